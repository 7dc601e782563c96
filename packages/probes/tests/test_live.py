"""The whole chain on real firmware: what boots passes every gate, and what is wrong in it fails the right one."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cloudboot_base import new_image, run_stages
from cloudboot_base.gates import Verdict
from cloudboot_base.testing import judge, run
from cloudboot_oci_stream import push_image
from cloudboot_oci_stream.testing import docker_registry
from cloudboot_probes import image, linux, systems
from cloudboot_probes.describe import opened
from cloudboot_probes.inventory import RootMember, account_of_mapping
from cloudboot_probes.manifest import Manifest
from cloudboot_probes.probe import Probe, stages
from cloudboot_probes.probe.account import Account, compare
from cloudboot_probes.probe.qemu import failures
from cloudboot_probes.recipe import Recipe
from cloudboot_qemu import Drive, Machine
from cloudboot_ufs2 import Directory, File, HardLink, Options, Symlink, WritableUFS2, build, check
from cloudboot_ufs2.builder.members import Member
from cloudboot_ufs2.testing import pattern, small_tree
from cloudboot_ufs2.testing.model import Model, random_operations
from cloudboot_vfs.testing import walk

pytestmark = pytest.mark.live

GATES = [
    "resolve", "fetch", "verify", "header", "publish-block-io", "connect-controller", "sfs-child", "load-image",
    "ufs-root", "start-image", "loader-banner", "kernel-banner", "root-mounted",
]  # fmt: skip


def probe(reference: str, *flags: str | Path, code: int = 0) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "cloudboot_probes", "probe", "linux", reference, "--json", *flags],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_debians_kernel_boots_from_our_ufs2_out_of_a_registry(linux_image: Path, tmp_path: Path) -> None:
    report, console = tmp_path / "report.html", tmp_path / "console.txt"
    with docker_registry() as server:
        reference = f"{server.host}/demo/linux:v1"
        manifest = push_image(linux_image, reference)
        gates = probe(reference, "--report", report, "--console", console, "--junit", tmp_path / "junit.xml")
    assert [gate["gate"] for gate in gates] == GATES
    assert [gate["gate"] for gate in gates if gate["verdict"] != "pass"] == ["ufs-root"]
    assert gates[GATES.index("ufs-root")]["verdict"] == "not-applicable"
    assert all(gate["leaves_open"] for gate in gates if gate["verdict"] == "pass")
    assert all(gate["headline"] for gate in gates if gate["verdict"] == "pass")
    evidence = {str(gate["gate"]): gate["evidence"] for gate in gates}
    assert json.dumps(evidence["resolve"]).count(manifest.digest) == 1
    assert hashlib.sha256(linux_image.read_bytes()).hexdigest() in json.dumps(evidence["verify"])
    mounted = evidence["root-mounted"]
    assert isinstance(mounted, dict)
    with opened(str(linux_image)) as disk:
        assert disk.manifest is not None
        assert mounted["files"] == sum(entry.sha256 is not None for entry in disk.manifest.root.values())
    assert mounted["differences"] == 0
    # Linux's own words, past our gates: the partition it mounted, and how.
    text = console.read_text()
    assert re.search(r"cloudboot: mounted vda2 \d+ /dev/vda2 ufs ro,", text)
    page = report.read_text()
    assert "data:image/png;base64," in page
    assert 'class="verdict pass"' in page
    assert "/boot/vmlinuz" in page.replace("<wbr>", "")
    assert report.stat().st_size <= 150_000


def changed_image(source: Path, target: Path, change: Callable[[bytearray, int], None], path: str) -> Path:
    """A copy with ``change(data, offset of the first byte of the root's file)`` applied."""
    with opened(str(source)) as disk:
        assert disk.root is not None
        assert disk.root_partition is not None
        offset = disk.root_partition.offset + disk.root.extents(path)[0][0]
    data = bytearray(source.read_bytes())
    change(data, offset)
    target.write_bytes(data)
    return target


def flip(data: bytearray, offset: int) -> None:
    data[offset + 100] ^= 0xFF


@pytest.mark.parametrize(
    ("path", "change", "gate", "words"),
    [
        # A byte of a file that nothing needs to boot: only the kernel's own hash can tell.
        ("/usr/share/doc/grub-common/copyright", flip, "root-mounted", "copyright: SHA-256 is"),
        # The kernel's own header: GRUB refuses to start it.
        (
            "/boot/vmlinuz",
            lambda data, offset: data.__setitem__(slice(offset + 0x202, offset + 0x206), b"XXXX"),
            "kernel-banner",
            "the machine says: error: ",
        ),
    ],
)
def test_what_is_wrong_in_the_root_fails_the_right_gate(
    linux_image: Path, tmp_path: Path, path: str, change: Callable[[bytearray, int], None], gate: str, words: str
) -> None:
    changed = changed_image(linux_image, tmp_path / "changed.img", change, path)
    reference = f"oci:{tmp_path / 'layout'}:v1"
    push_image(changed, reference)
    gates = probe(reference, code=1)
    number = GATES.index(gate)
    verdicts = [str(found["verdict"]) for found in gates]
    expected = ["pass"] * number + ["fail"] + ["not-reached"] * (len(GATES) - number - 1)
    expected[GATES.index("ufs-root")] = "not-applicable"
    assert verdicts == expected
    assert words in json.dumps(gates[number]["error"])


class Maker:
    """Makes variants of the linux recipe's image in a folder."""

    def __init__(self, made: Recipe, folder: Path) -> None:
        self._made, self._folder = made, folder

    def grub(self, script: str, *modules: str) -> Path:
        """An EFI GRUB that runs ``script``."""
        folder = self._folder
        (folder / "early.cfg").write_text(script)
        run(
            judge("grub-mkimage", "grub-common"), "--format", "x86_64-efi",
            "--directory", str(self._made.linux.grub_modules), "--config", folder / "early.cfg",
            "--prefix", "/boot/grub", "--output", folder / "grub.efi", *linux.GRUB_MODULES, *modules,
        )  # fmt: skip
        return folder / "grub.efi"

    def image(self, **own: object) -> str:
        """The image with another loader, initial RAM disk or arguments, pushed to a folder."""
        made, folder = self._made, self._folder
        loader = own.pop("loader", None)
        if isinstance(loader, Path):
            made = replace(made, esp=replace(made.esp, files={"/EFI/BOOT/BOOTX64.EFI": loader}))
        made = replace(made, linux=replace(made.linux, **own))  # type: ignore[arg-type]  # by name
        image.build(image.plan(made), folder / "disk.img")
        push_image(folder / "disk.img", f"oci:{folder / 'layout'}:v1")
        return f"oci:{folder / 'layout'}:v1"


@pytest.fixture
def maker(linux_recipe: Recipe, tmp_path: Path) -> Maker:
    return Maker(linux_recipe, tmp_path)


def program(code: bytes, path: Path) -> Path:
    """An EFI application for amd64 that is nothing but ``code`` (PE32+: one section, no relocations, no imports)."""
    header = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
    optional = struct.pack("<HBBIIIII", 0x20B, 0, 0, 512, 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QIIHHHHHHIIIIHH", 0, 0x1000, 512, 0, 0, 0, 0, 0, 0, 0, 0x2000, 512, 0, 10, 0)
    optional += struct.pack("<QQQQII", 1 << 20, 1 << 12, 1 << 20, 1 << 12, 0, 16) + bytes(128)
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 512, 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020)
    dos = b"MZ" + bytes(0x3A) + struct.pack("<I", 0x40)
    path.write_bytes((dos + header + optional + section).ljust(512, b"\0") + code.ljust(512, b"\0"))
    return path


def judge_failure(reference: str, gate: str, verdict: str, *words: str) -> dict[str, object]:
    gates = probe(reference, code=1)
    failed = [found for found in gates if found["verdict"] == "fail"]
    assert [found["gate"] for found in failed] == [gate], gates
    error = failed[0]["error"]
    assert isinstance(error, dict)
    assert error.get("verdict") == verdict
    text = json.dumps(error)
    assert all(word in text for word in words), text
    assert error["try_next"]
    # Plain words: nothing of a pattern reaches a person.
    assert not any(mark in str(error["message"]) for mark in ("(?P", "\\S", "[^", "\\n"))
    return error


FORGED = """
echo "cloudboot: loader $cmdpath"
search --no-floppy --label --set=root cloudboot
echo "cloudboot: configuration ($root)/boot/grub/grub.cfg"
for file in /boot/grub/grub.cfg /boot/vmlinuz /boot/initrd.img; do hashsum --hash sha256 --uncompress ($root)$file; done
echo "Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP"
smbios --type 1 --get-string 7 --set serial
echo "cloudboot: nonce $serial"
echo "cloudboot: mounted vda2 24576 /dev/vda2 ufs ro,relatime,ufstype=ufs2,onerror=lock"
echo "cloudboot: account 1"
echo "cloudboot: account end"
echo "cloudboot: end"
sleep 600
"""


def test_a_script_that_prints_a_boot_is_no_boot(maker: Maker) -> None:
    """The lines are all there, the files are all read; no kernel ran, and the gate that claims one says so."""
    reference = maker.image(loader=maker.grub(FORGED, "hashsum", "gcry_sha256", "smbios", "sleep"))
    gates = probe(reference, code=1)
    failed = [gate for gate in gates if gate["verdict"] == "fail"]
    assert [gate["gate"] for gate in failed] == ["kernel-banner"]
    assert "the firmware's driver still holds the disk" in json.dumps(failed[0]["error"])
    assert "--policy" in json.dumps(failed[0]["error"])
    assert "Linux version 6.1.0-56" in json.dumps(failed[0]["evidence"])


def test_what_is_no_program_gives_no_boot_option(maker: Maker, tmp_path: Path) -> None:
    (tmp_path / "loader.efi").write_bytes(b"MZ" + bytes(1000))
    error = judge_failure(
        maker.image(loader=tmp_path / "loader.efi"), "load-image", "no-boot-option", "BdsDxe: failed to load"
    )
    assert any("/EFI/BOOT/BOOTX64.EFI" in str(text) for text in error["try_next"])  # type: ignore[attr-defined]  # a list


def test_a_loader_that_crashes_is_told_with_its_registers(maker: Maker, tmp_path: Path) -> None:
    loader = program(bytes.fromhex("0f0b"), tmp_path / "crash.efi")  # ud2
    error = judge_failure(maker.image(loader=loader), "start-image", "loader-crashed", "Invalid Opcode")
    assert any("RIP" in str(line) for line in error["screen"])  # type: ignore[attr-defined]  # a list


def test_a_prompt_is_told(maker: Maker) -> None:
    error = judge_failure(maker.image(loader=maker.grub("echo hello\n")), "loader-banner", "prompt", "waits for input")
    assert "grub>" in str(error["screen"])


def test_a_reset_is_told(maker: Maker) -> None:
    script = 'echo "cloudboot: loader x"\necho "cloudboot: configuration y"\nreboot\n'
    judge_failure(maker.image(loader=maker.grub(script, "reboot")), "kernel-banner", "reset-loop", "reset")


def test_a_panic_is_told(maker: Maker, tmp_path: Path) -> None:
    (tmp_path / "initrd").write_bytes(b"no archive")
    error = judge_failure(
        maker.image(initrd=tmp_path / "initrd"), "root-mounted", "kernel-panic", "Kernel panic - not syncing"
    )
    assert any("Kernel panic" in str(line) for line in error["screen"])  # type: ignore[attr-defined]  # a list


def test_a_standstill_is_told_before_the_time_is_over(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = maker.image(loader=program(bytes.fromhex("ebfe"), tmp_path / "loop.efi"))  # jmp .
    with Probe(systems.load("linux"), reference) as running:
        gates = []
        for gate in run_stages(stages("qemu"), running):
            gates.append(gate)
            if gate.name == "load-image":  # the firmware itself computes for longer than that
                monkeypatch.setattr(failures, "_CIRCLE_AFTER", 3.0)
    failed = next(gate for gate in gates if gate.verdict is Verdict.FAIL)
    assert failed.name == "start-image"
    assert failed.error is not None
    assert failed.error["verdict"] == "stalled"
    assert isinstance(failed.evidence["processor"], dict)
    assert int(failed.evidence["processor"]["instruction"], 16) & 0xFFF == 0  # the entry point, at its section's start


def rich_tree(folder: Path) -> dict[str, RootMember]:
    """Every kind of thing UFS2 stores, at the sizes where its layout changes."""
    moment = 1_700_000_000_123_456_789
    sparse = folder / "sparse"
    with sparse.open("wb") as file:
        file.truncate(3 << 20)
        file.seek(1 << 20)
        file.write(os.urandom(5000))
    members: dict[str, RootMember] = {
        "mode": File(b"set", mode=0o6751, uid=70000, gid=4_000_000_000, mtime_ns=moment),
        "old": File(b"x", mtime_ns=-5 * 10**9),
        "sparse": sparse,
        "private": Directory(mode=0o1700, uid=5, gid=6, mtime_ns=moment),
        "private/again": HardLink("mode"),
        "inline": Symlink("t" * 119, mtime_ns=moment),
        "block": Symlink("t" * 120, mtime_ns=moment),
        "long": Symlink("d/" * 400 + "end", uid=3),
        "n" * 255: File(b"longest name"),
        "spaces and ünïcode": File("grüße".encode()),
    }
    for size in (
        0,
        1,
        511,
        512,
        4095,
        4096,
        4097,
        12 * 4096,
        12 * 4096 + 1,
        12 * 32768 + 1,
        12 * 4096 + 512 * 4096 + 1,
    ):
        members[f"size-{size}"] = File(hashlib.shake_128(str(size).encode()).digest(size), mtime_ns=moment)
    members |= {f"many/{number:05}-{'x' * (number % 90)}": File(str(number).encode()) for number in range(1500)}
    return members


#: Linux takes both byte orders and fragments of up to 4096 bytes, which leaves blocks of 65536 to other judges.
SHAPES = [
    Options(block_size=4096, fragment_size=512, density=4096),
    Options(block_size=8192, fragment_size=4096, density=4096),
    Options(block_size=16384, fragment_size=4096, density=8192),
    Options(block_size=32768, density=8192),
    Options(block_size=32768, density=8192, byteorder="big"),
]


@pytest.fixture(scope="module")
def judged(
    linux_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, Mapping[str, RootMember], Account]]:
    """File systems that were built, and others that were changed after, with what Linux sees in each."""
    folder = tmp_path_factory.mktemp("judged")
    rich = rich_tree(folder)
    disks: list[tuple[Path, str, Mapping[str, RootMember]]] = []
    for number, options in enumerate(SHAPES):
        path = folder / f"built-{number}.img"
        with new_image(path, 64 << 20) as storage:
            build(storage, rich, options)
            assert check(storage) == []
        disks.append((path, f"built {options}", rich))
    for number, options in enumerate(SHAPES):
        path = folder / f"edited-{number}.img"
        disks.append((path, f"edited {options}", edited(path, options, number)))
    made = linux_recipe
    made = replace(made, linux=replace(made.linux, arguments=f"{made.linux.arguments} cloudboot.disks"))
    image.build(image.plan(made), folder / "boot.img")
    drives = [Drive(path, name=f"disk{number}") for number, (path, _, _) in enumerate(disks)]
    with Machine([Drive(folder / "boot.img", name="boot"), *drives]) as machine:
        text = b""
        for line in machine.lines(300):
            text += line + b"\n"
            if re.fullmatch(rb"cloudboot: end|cloudboot: fail .*|Kernel panic.*", line):
                break
    assert text.endswith(b"\ncloudboot: end\n"), text.decode("utf-8", "replace")[-3000:]
    reports = re.split(rb"cloudboot: mounted (\w+) ", text)[1:]
    assert reports[::2] == [b"vda2", *(b"vd%c" % (ord("b") + number) for number in range(len(disks)))]
    return [(name, members, Account.parse(text)) for (_, name, members), text in zip(disks, reports[3::2], strict=True)]


def edited(path: Path, options: Options, seed: int) -> Mapping[str, RootMember]:
    """What a model of POSIX says of a file system that was built and then changed by a long sequence of operations."""
    members: dict[str, Member] = {
        **small_tree(),
        "double": File(pattern(12 * 4096 + 512 * 4096 + 1), mtime_ns=10**18),
    }
    build(path, members, options, size=48 << 20)
    model = Model(lambda clock: WritableUFS2.open(path, clock=clock), 1_600_000_000 * 10**9, members)
    random_operations(model, random.Random(seed), 700)
    # Linux, which knows nothing of extended attributes, takes a link that holds blocks for one that is not inline.
    for name, node in walk(model.root).items():
        for attribute in node.attributes if stat.S_ISLNK(node.mode) else ():
            model.volume.removexattr(name, attribute, follow_symlinks=False)
    model.volume.close()
    assert check(path) == []
    found = model.members()
    assert len(found) > 100
    return {name: member for name, member in found.items() if isinstance(member, File | Directory | Symlink | HardLink)}


def test_linux_reads_every_block_size_as_we_wrote_it(
    judged: list[tuple[str, Mapping[str, RootMember], Account]],
) -> None:
    """Both what was built and what was changed in place: every byte, mode, owner, time, link."""
    assert len(judged) == 2 * len(SHAPES)
    entries = {id(members): {entry.path: entry for entry in account_of_mapping(members)} for _, members, _ in judged}
    for name, members, account in judged:
        manifest = Manifest("linux", "amd64", "", "", entries[id(members)])
        assert compare(account, manifest) == [], name
        files = [path for path, entry in manifest.root.items() if entry.sha256 is not None]
        assert len(account.hashes) == len(files) > 50
