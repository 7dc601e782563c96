"""Probes on a real OVMF whose boot services this process calls: the gates are those of the firmware in this process."""

import json
import os
import select
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from cloudboot_base import new_image
from cloudboot_base.testing import judge, judge_file
from cloudboot_oci_stream import push_image
from cloudboot_probes import demo
from cloudboot_probes.cli.dispatch import run
from cloudboot_probes.probe import BOOT_GATES, IMAGE_GATES
from cloudboot_uefi_host.edk2 import FIRMWARE_IMAGES
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.testing import boot_disk

#: A shell that runs the tests in the background leaves SIGINT ignored to all of them.
LISTENING = ("env", "--default-signal=INT,TERM,HUP", sys.executable)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demonstration's image in a folder."""
    judge("qemu-system-x86_64", "qemu-system-x86")
    judge_file(*FIRMWARE_IMAGES["amd64"])
    folder = tmp_path_factory.mktemp("demo")
    name = f"oci:{folder / 'store'}:demo"
    push_image(demo.build("amd64", folder), name)
    return name


def gates_of(record: Path) -> dict[str, dict[str, object]]:
    """The gates of a record by name."""
    return {gate["gate"]: gate for gate in json.loads(record.read_text())["gates"]}


@pytest.mark.live
def test_the_demonstration_passes_every_gate_on_ovmf(
    reference: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, report, junit, kept = (tmp_path / name for name in ("record.json", "report.html", "junit.xml", "kept"))
    code = run(
        [
            "probe", "demo", reference, "--firmware", "hosted,ovmf", "--record", str(record), "--report", str(report),
            "--junit", str(junit), "--keep", str(kept), "--memory", "512M",
        ]
    )  # fmt: skip
    assert code == 0, capsys.readouterr().out
    runs = json.loads(record.read_text())["runs"]
    assert [each["run"]["firmware"] for each in runs] == ["hosted", "ovmf"]
    found = [{gate["gate"]: gate for gate in each["gates"]} for each in runs]
    assert list(found[0]) == list(found[1]) == [*IMAGE_GATES, *BOOT_GATES]
    same = (("sfs-child", "device_path"), ("sfs-child", "size"), ("ufs-root", "device_path"), ("start-image", "files"),
            ("start-image", "ending"), ("loader-banner", "console"), ("loader-banner", "printed_by"))  # fmt: skip
    for gate, fact in same:
        seen = [each[gate]["evidence"][fact] for each in found]
        assert seen[0] == seen[1], (gate, fact)
    page = report.read_text()
    for text in ("hosted: Passed", "ovmf: Passed", "BLOCK_IO.ReadBlocks", "/boot/loader.conf, through a published"):
        assert text in page
    assert page.count("cloudboot stand-in EFI loader, Revision 1.0</pre>") + page.count("Revision 1.0&#10;") == 2
    suites = ET.fromstring(junit.read_text()).findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["cloudboot.probe.demo.hosted", "cloudboot.probe.demo.ovmf"]
    common = {"record.json", "report.html", "console.txt", "reads.txt", "calls.txt"}
    assert {path.name for path in (kept / "hosted").iterdir()} == common
    assert {path.name for path in (kept / "ovmf").iterdir()} == {*common, "serial.log", "screenshot.png"}
    picture = (kept / "ovmf" / "screenshot.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert "The screen at the end under ovmf" in page
    # The serial line has the firmware's own lines before the loader's.
    serial = (kept / "ovmf" / "serial.log").read_text()
    assert serial.index("BdsDxe") < serial.index("cloudboot stand-in EFI loader")
    for firmware in ("hosted", "ovmf"):
        assert "EFI_BLOCK_IO_PROTOCOL.ReadBlocks(" in (kept / firmware / "calls.txt").read_text()
        assert "/EFI/BOOT/BOOTX64.EFI" in (kept / firmware / "reads.txt").read_text()


@pytest.mark.live
def test_a_killed_probe_leaves_no_machine(reference: str, tmp_path: Path) -> None:
    command = ["-m", "cloudboot_probes", "probe", "demo", reference, "--firmware", "ovmf", "--record", "record.json"]
    with subprocess.Popen([*LISTENING, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as done:
        machines: set[int] = set()
        while not machines and done.poll() is None:
            machines = {child for child in descendants(done.pid) if "qemu-system" in command_line(child)}
            time.sleep(0.02)
        assert machines, done.communicate()
        endings = [os.pidfd_open(each) for each in machines]
        done.send_signal(signal.SIGINT)
        _, errors = done.communicate()
    assert done.returncode == 130
    assert b"Traceback" not in errors
    for ending in endings:  # a machine that never ends is a test that hangs, which the limit of every test ends
        select.select([ending], [], [])
        os.close(ending)
    verdicts = {name: gate["verdict"] for name, gate in gates_of(tmp_path / "record.json").items()}
    assert verdicts["loader-banner"] == "not-reached"


def descendants(pid: int) -> set[int]:
    """The processes below a process."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = {int(word) for word in task.read_text().split()}
        except OSError:  # the thread has ended
            continue
        found |= children.union(*map(descendants, children))
    return found


def command_line(pid: int) -> str:
    """The command line of a process; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def pushed(tmp_path: Path, architecture: str) -> str:
    """A disk with the stand-in, in a folder."""
    image, path = boot_disk(architecture, standin(architecture)), tmp_path / "disk.img"
    with new_image(path, len(image)) as storage:
        storage.write_at(0, image)
    push_image(path, f"oci:{tmp_path / 'store'}:image")
    return f"oci:{tmp_path / 'store'}:image"


def failed(tmp_path: Path, architecture: str) -> dict[str, object]:
    """The error of publish-block-io in a probe that fails there."""
    record = tmp_path / "record.json"
    options = ["--firmware", "ovmf", "--architecture", architecture, "--record", str(record)]
    assert run(["probe", "demo", pushed(tmp_path, architecture), *options]) == 1
    found = gates_of(record)
    assert found["publish-block-io"]["verdict"] == "fail"
    assert {found[name]["verdict"] for name in BOOT_GATES[1:]} == {"not-reached"}
    return found["publish-block-io"]["error"]  # type: ignore[return-value]  # JSON


def test_a_missing_qemu_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    error = failed(tmp_path, "amd64")
    assert "qemu-system-x86_64" in str(error["message"])
    assert "qemu-system-x86" in str(error["hint"])


def test_a_missing_firmware_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudboot_qemu import firmware

    monkeypatch.setattr(firmware, "list_firmware", lambda *_, **__: [])
    error = failed(tmp_path, "amd64")
    assert "ovmf" in f"{error['message']} {error['hint']}"


def test_other_processors_than_amd64_are_refused_with_the_reason(tmp_path: Path) -> None:
    assert "arm64" in str(failed(tmp_path, "arm64")["message"])
