"""Real machines under real firmware."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_qemu import (
    ARCHITECTURES,
    BlockAccess,
    Drive,
    ExpectTimeoutError,
    FirmwareMissingError,
    ImageError,
    Machine,
    MachineEndedError,
    MachineFailedError,
    QmpError,
    usable_accelerator,
)
from cloudboot_qemu.drives import Interface
from cloudboot_qemu.picture import png_of_ppm
from cloudboot_qemu.testing import open_files, processes_named

pytestmark = pytest.mark.live

DISK_SIZE = 8 << 20

MakeFile = Callable[[bytes], int]


@pytest.fixture(autouse=True)
def _programs() -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    judge("setpriv", "util-linux")
    if not (os.path.exists("/usr/share/OVMF/OVMF_CODE_4M.fd") or os.path.exists("/usr/share/OVMF/OVMF_CODE.fd")):
        pytest.skip("no OVMF (Debian package ovmf)")


def sectors_of(disk: Path, name: str) -> set[int]:
    """The sectors of a file on a FAT12/16 disk, as mtools sees them."""
    shown = run(judge("mshowfat", "mtools"), "-i", str(disk), f"::{name}")
    facts: dict[str, int] = {}
    for line in run(judge("minfo", "mtools"), "-i", str(disk), "::").splitlines():
        key, _, value = line.partition(":")
        if re.match(r" *\d+( sectors)?$", value):
            facts[key.strip()] = int(value.split()[0])
    root = facts["max available root directory slots"] * 32 // 512
    first = facts["reserved (boot) sectors"] + facts["fats"] * facts["sectors per fat"] + root
    size = facts["cluster size"]
    sectors: set[int] = set()
    for extent in re.findall(r"<(\d+)(?:-(\d+))?>", shown):
        low, high = int(extent[0]), int(extent[1] or extent[0])
        sectors.update(range(first + (low - 2) * size, first + (high - 1) * size))
    return sectors


def touched(accesses: list[BlockAccess]) -> set[int]:
    return {sector for access in accesses for sector in range(access.lba, access.lba + access.sectors)}


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_sealed_memfd_boots_and_every_read_is_told(disk: Path, memory_file: MakeFile) -> None:
    fd = memory_file(disk.read_bytes())
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    with Machine([Drive(fd)]) as machine:
        begin = machine.expect(rb"mark: begin")
        found = machine.expect(rb"(?s)payload of (this disk).*mark: end")
        assert found.match[1] == b"this disk"
        assert found.text.startswith(b"\n")
        trace = machine.block_trace()
        assert {(access.drive, access.write) for access in trace} == {("disk0", False)}
        assert [access.time for access in trace] == sorted(access.time for access in trace)
        early = touched([access for access in trace if access.time < begin.time])
        late = touched([access for access in trace if access.time > begin.time])
        payload = sectors_of(disk, "/payload.bin")
        assert sectors_of(disk, "/EFI/BOOT/BOOTX64.EFI") <= early
        assert payload <= late
        assert not payload & early
        machine.send(b"hello\r")
        machine.expect(rb"typed: hello")
        assert machine.wait(30) == "guest-shutdown"
        with pytest.raises(MachineEndedError, match="guest-shutdown"):
            machine.expect(rb"never printed")
        with pytest.raises(QmpError, match="ended"):
            machine.qmp("query-status")
    assert os.pread(fd, DISK_SIZE, 0) == disk.read_bytes()


def test_the_screen_shows_what_is_typed(disk: Path) -> None:
    pngtopnm = judge("pngtopnm", "netpbm")
    with Machine([Drive(disk)]) as machine:
        machine.expect(rb"mark: end")
        before = machine.screendump("ppm")
        assert len(set(before[20:])) > 1  # text on the background
        for picture in (machine.screendump(), png_of_ppm(before)):
            decoded = subprocess.run([pngtopnm], input=picture, capture_output=True, check=True).stdout
            assert decoded == before
        machine.type_text("Keys: {1}")
        assert eventually(lambda: machine.screendump("ppm") != before)
        with pytest.raises(QmpError, match="no_such_key"):
            machine.send_keys("no_such_key")
        machine.send_keys("ret")
        machine.expect(rb"typed: Keys: \{1\}\n")


@pytest.mark.parametrize("interface", ["nvme", "usb", "ahci"])
def test_other_interfaces_boot_and_are_traced(disk: Path, memory_file: MakeFile, interface: Interface) -> None:
    drive = Drive(memory_file(disk.read_bytes()), name="the-disk", interface=interface, readonly=interface != "ahci")
    with Machine([drive]) as machine:
        machine.expect(rb"mark: end")
        assert sectors_of(disk, "/EFI/BOOT/BOOTX64.EFI") <= touched(machine.block_trace())
        assert {access.drive for access in machine.block_trace()} == {"the-disk"}


def test_firmware_alone_reaches_its_shell_and_its_variables_are_kept(memory_file: MakeFile) -> None:
    with Machine([Drive(memory_file(bytes(1 << 20)))]) as machine:
        machine.expect(rb"Press ESC in")
        machine.send(b"\x1b")
        machine.expect(rb"Shell> ")
        machine.send(b'setvar kept -guid 11111111-2222-3333-4444-555555555555 -nv -bs =L"yes"\r')
        machine.expect(rb"Shell> ")
        store = machine.variables()
    assert "kept".encode("utf-16-le") in store
    with Machine(variables=store) as machine:
        machine.expect(rb"Press ESC in")
        machine.send(b"\x1b")
        machine.expect(rb"Shell> ")
        machine.send(b"setvar kept -guid 11111111-2222-3333-4444-555555555555\r")
        machine.expect(rb"79 00 65 00 73 00")


@pytest.mark.parametrize("architecture", ["arm64", "riscv64", "loong64"])
def test_other_architectures_boot_with_disk_screen_and_keyboard(memory_file: MakeFile, architecture: str) -> None:
    row = ARCHITECTURES[architecture]
    judge(row.program, row.program_package)
    try:
        machine = Machine([Drive(memory_file(bytes(1 << 20)))], architecture=architecture)
    except FirmwareMissingError as error:
        pytest.skip(f"{error} ({error.hint})")
    with machine:
        machine.expect(rb"BLK0: Alias")
        machine.expect(rb"Press ESC in")
        machine.send_keys("esc")
        machine.expect(rb"Shell> ", timeout=4)  # the countdown takes five seconds without a key
        assert 0 in touched(machine.block_trace())
        assert len(set(machine.screendump("ppm")[20:])) > 1


def test_text_that_does_not_come_times_out_and_all_is_closed() -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ExpectTimeoutError) as caught, Machine(name="timing-out") as machine:
        pid = machine.pid
        machine.expect(rb"never printed", timeout=0.5)
    assert caught.value.seconds == 0.5
    assert isinstance(caught.value, TimeoutError)
    assert not os.path.exists(f"/proc/{pid}")
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert threading.active_count() == 1


def test_refusals_name_their_cause(tmp_path: Path, memory_file: MakeFile) -> None:
    with pytest.raises(MachineFailedError, match="no-such-device") as caught:
        Machine(extra=["-device", "no-such-device"])
    assert caught.value.status == 1
    with pytest.raises(MachineFailedError, match="too long"):
        Machine(extra=["x" * (1 << 20)])
    with pytest.raises(ImageError, match="No such file"):
        Machine([Drive(tmp_path / "absent.img")])
    with pytest.raises(ImageError, match="empty"):
        Machine([Drive(memory_file(b""))])
    with pytest.raises(ImageError, match="neither"):
        Machine([Drive(tmp_path)])
    assert threading.active_count() == 1


def test_the_accelerator_is_one_that_starts() -> None:
    with Machine(accelerator="auto") as machine:
        assert machine.description.accelerator in {"tcg", usable_accelerator()}
        assert machine.qmp("query-kvm")["enabled"] is (machine.description.accelerator == "kvm")


def test_a_killed_qemu_is_told() -> None:
    with Machine() as machine:
        os.kill(machine.pid, signal.SIGKILL)
        with pytest.raises(MachineFailedError) as caught:
            machine.expect(rb"anything")
        assert caught.value.status == -signal.SIGKILL
        with pytest.raises(MachineFailedError):
            machine.wait()


def test_a_machine_outlives_the_thread_that_started_it() -> None:
    machines: list[Machine] = []
    worker = threading.Thread(target=lambda: machines.append(Machine()))
    worker.start()
    worker.join()
    with machines[0] as machine:
        time.sleep(0.3)  # the signal would have come at once
        assert machine.qmp("query-status")["status"] == "running"


def test_closing_ends_what_other_threads_wait_for() -> None:
    outcomes: list[Exception] = []

    def wait_for(action: Callable[[], object]) -> None:
        try:
            while True:
                action()
        except (MachineFailedError, QmpError) as error:
            outcomes.append(error)

    machine = Machine()
    machine.qmp("stop")  # nobody reads the console
    actions: list[Callable[[], object]] = [
        lambda: machine.send(b"x" * (8 << 20)),
        lambda: machine.send(b"y"),
        lambda: machine.qmp("query-status"),
        lambda: machine.expect(rb"never printed"),
    ]
    threads = [threading.Thread(target=wait_for, args=[action], daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    machine.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert sorted(type(error).__name__ for error in outcomes) == ["MachineFailedError"] * 3 + ["QmpError"]


CALLER = """
import os, sys, time
from cloudboot_qemu import Drive, Machine
fd = os.memfd_create("disk")
os.truncate(fd, 1 << 20)
machine = Machine([Drive(fd)], name=sys.argv[1])
print(machine.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("delay", [0.0, 0.05, 1.5])
def test_nothing_survives_a_killed_caller(tmp_path: Path, delay: float) -> None:
    marker = f"killed-caller-{os.getpid()}-{int(delay * 100)}"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", CALLER, marker]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=tmp_path) as caller:
        assert caller.stdout is not None
        if delay:
            pid = int(caller.stdout.readline())
            time.sleep(delay)
            named = [name for name in open_files(pid) if name.startswith("/") and not name.startswith("/memfd:")]
            assert all(name.startswith(("/dev/", "/usr/share/")) for name in named), named
        else:  # while QEMU is being started
            assert eventually(lambda: len(processes_named(marker)) > 1)
        caller.kill()
    assert eventually(lambda: not processes_named(marker))
    assert os.listdir(tmp_path) == []


def test_nothing_survives_a_caller_that_forgets() -> None:
    marker = f"forgetful-caller-{os.getpid()}"
    body = CALLER.replace("time.sleep(600)", "")
    done = subprocess.run([sys.executable, "-c", body, marker], capture_output=True, check=True)
    assert done.stderr == b""
    assert eventually(lambda: not processes_named(marker))


def test_a_machine_nobody_holds_is_closed_with_a_warning() -> None:
    machines = [Machine()]
    pid = machines[0].pid
    with pytest.warns(ResourceWarning, match="unclosed machine"):
        machines.clear()
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_warning_that_is_an_error_closes_it_all_the_same() -> None:
    machines = [Machine()]
    pid = machines[0].pid
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        machines.clear()
    assert not os.path.exists(f"/proc/{pid}")


def test_a_machine_collected_in_its_own_thread_is_closed() -> None:
    machines = [Machine()]
    pid, supervisor = machines[0].pid, machines[0]._supervisor
    assert supervisor is not None

    async def collect() -> None:
        machines.clear()

    with pytest.warns(ResourceWarning, match="unclosed machine"):
        supervisor.call(collect())
    assert supervisor.wait(10)
    assert not os.path.exists(f"/proc/{pid}")


def test_an_interrupted_caller_cleans_up(tmp_path: Path) -> None:
    marker = f"interrupted-caller-{os.getpid()}"
    body = CALLER.replace("machine = ", "with ").replace("name=sys.argv[1])", "name=sys.argv[1]) as machine:")
    body = body.replace("\nprint", "\n    print").replace("\ntime", "\n    time")
    with subprocess.Popen(
        [sys.executable, "-c", body, marker], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as caller:
        assert caller.stdout is not None
        caller.stdout.readline()
        caller.send_signal(signal.SIGINT)
        _, stderr = caller.communicate(timeout=20)
    assert stderr.rstrip().endswith(b"KeyboardInterrupt")
    assert not processes_named(marker)


def test_the_command_runs_an_image(disk: Path) -> None:
    base = [sys.executable, "-m", "cloudboot_qemu", "run", str(disk), "--timeout", "60"]
    shown = subprocess.run([*base, "--expect", "mark: e[a-z]+"], capture_output=True, check=True)
    assert b"payload of this disk" in shown.stdout
    told = subprocess.run([*base[:-1], "0.3", "--expect", "x{9}", "--json"], capture_output=True, check=False)
    assert told.returncode == 1
    result = json.loads(told.stdout)
    assert result["ok"] is False
    assert "timeout" in result["problem"]
