"""Windows disks that are damaged one piece at a time: each names its component and the status code on the screen."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cloudboot_base.gates import Gate, Verdict
from cloudboot_base.testing import judge, run
from cloudboot_gpt import GPTError
from cloudboot_ntfs.bcd import (
    BcdOptions,
    BootDevice,
    FileDevice,
    GptDevice,
    LocateDevice,
    ObjectType,
    Store,
    UnknownDevice,
    create,
)
from cloudboot_ntfs.bcd.store import BcdObject
from cloudboot_ntfs.layout.constants import Number, Type
from cloudboot_ntfs.registry import Hive, Value, build
from cloudboot_ntfs.testing import mounted, restart_pages
from cloudboot_ntfs.testing.damage import Patient, damages
from cloudboot_ntfs.testing.hives import new_log
from cloudboot_oci_stream import push_image
from cloudboot_probes import image, recipe
from cloudboot_probes.cli.dispatch import run as command
from cloudboot_probes.describe import describe, opened
from cloudboot_probes.errors import WindowsBootError
from cloudboot_probes.windows import demonstration
from cloudboot_probes.windows.components import conclusion
from cloudboot_probes.windows.drivers import boot_drivers
from cloudboot_probes.windows.programs import examine_program
from cloudboot_probes.windows.status import Status, screens
from cloudboot_uefi_abi.pe import PEImage, checksum
from cloudboot_uefi_host.compiling import COMPILERS, compile_program

MIB = 1 << 20
MANIFEST = "/EFI/cloudboot/manifest.json"
BCD = "/EFI/Microsoft/Boot/BCD"
WINLOAD = "/Windows/System32/winload.efi"
SYSTEM = "/Windows/System32/config/SYSTEM"
BOOT_MANAGER = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"


def made(top: Path, *without: str) -> Path:
    """A disk of the demonstration's files, without some of them."""
    files = demonstration.files("amd64")
    tree = top / "tree"
    for path in files.entries:
        data = files.read(path)
        if data is not None and path not in without:
            (tree / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            (tree / path[1:]).write_bytes(data)
    return rebuilt(top)


def rebuilt(top: Path) -> Path:
    """The disk of the tree in a folder."""
    known = recipe.load("windows")
    known = replace(
        known,
        esp=replace(known.esp, size=36 * MIB),
        windows=replace(known.windows, stand_in=True, source=top / "tree"),
    )
    image.build(image.plan(known), top / "disk.img", force=True)
    return top / "disk.img"


def put(disk: Path, path: str, data: bytes | None) -> None:
    """Replace a file of the ESP, or remove it; the manifest goes, which states what was there."""
    with opened(str(disk)) as found:
        place = f"{disk}@@{found.esp_partition.offset}"
        has_manifest = found.esp.exists(MANIFEST)
    if has_manifest:
        subprocess.run([judge("mdel", "mtools"), "-i", place, f"::{MANIFEST}"], check=True)
    if data is None:
        subprocess.run([judge("mdel", "mtools"), "-i", place, f"::{path}"], check=True)
        return
    source = disk.with_suffix(".file")
    source.write_bytes(data)
    subprocess.run([judge("mcopy", "mtools"), "-o", "-i", place, source, f"::{path}"], check=True)


def change(disk: Path, edit: Callable[[Store], object]) -> None:
    """Change the boot configuration on a disk."""
    with opened(str(disk)) as found:
        store = Store.open(found.esp.read_file(BCD))
    edit(store)
    put(disk, BCD, store.pack())


def unsecured(data: bytes) -> bytes:
    """A hive whose root has no security cell."""
    hive = bytearray(data)
    place = 4096 + struct.unpack_from("<I", hive, 36)[0] + 4
    struct.pack_into("<I", hive, place + 44, 0xFFFFFFFF)
    return bytes(hive)


def broken_checksum(data: bytes) -> bytes:
    """A hive whose base block was changed behind its checksum."""
    hive = bytearray(data)
    hive[0x30] ^= 1
    return bytes(hive)


def stored(disk: Path, edit: Callable[[bytes], bytes]) -> None:
    """Change the bytes of the boot configuration on a disk."""
    with opened(str(disk)) as found:
        data = found.esp.read_file(BCD)
    put(disk, BCD, edit(data))


def flipped(disk: Path, path: str) -> None:
    """Flip a bit in the middle of a file of the volume."""
    with opened(str(disk)) as found:
        assert found.ntfs is not None
        assert found.ntfs_partition is not None
        extent = found.ntfs.extents(path)[0]
        place = found.ntfs_partition.offset + extent.offset + extent.length // 2
    with disk.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))


def volume(disk: Path, damage: Callable[[Patient], object]) -> None:
    """Damage the NTFS volume."""
    with opened(str(disk)) as found:
        assert found.ntfs_partition is not None
        offset, size = found.ntfs_partition.offset, found.ntfs_partition.size
        patient = Patient(found.storage.read_at(offset, size))
    damage(patient)
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(patient.data)


def fixup(disk: Path) -> None:
    """Break the fixup of winload's record."""

    def damage(patient: Patient) -> None:
        patient.data[patient.record_offset(patient.find(WINLOAD)) + 510] ^= 0xFF

    volume(disk, damage)


def other_fixup(disk: Path) -> None:
    """Break the fixup of a record that the boot manager does not look at."""

    def damage(patient: Patient) -> None:
        patient.data[patient.record_offset(patient.find("/Windows/System32/config/SOFTWARE")) + 510] ^= 0xFF

    volume(disk, damage)


def truncated(data: bytes) -> bytes:
    """A hive of which the end was not written."""
    return data[:-4096]


def dirty(disk: Path) -> None:
    """Set the dirty flag of the volume, as a cut of the power leaves it."""
    volume(disk, next(damage for kind, damage in damages() if kind == "volume-dirty"))


def dirty_and_not_whole(disk: Path) -> None:
    """Both: the flag, and damage that no log and no check need to mend."""
    dirty(disk)
    other_fixup(disk)


def to_be_replayed(disk: Path) -> None:
    """Give the volume a log with what is to be replayed, and a bitmap that this would have changed."""

    def damage(patient: Patient) -> None:
        stream = patient.volume.mft.stream(patient.volume.mft.file(Number.LOG_FILE), Type.DATA)
        place = next(stream.places())[1]
        patient.data[place : place + 8192] = restart_pages(stream.size, is_clean=False)
        bitmap = patient.volume.mft.stream(patient.volume.mft.file(Number.BITMAP), Type.DATA)
        patient.data[next(bitmap.places())[1] + patient.volume.geometry.clusters // 8 - 2] |= 0x10

    volume(disk, damage)


def dirty_esp(disk: Path) -> None:
    """Clear the bit of the ESP's FAT that says that it was unmounted, as a Windows that has it mounted does."""
    with opened(str(disk)) as found:
        geometry = found.esp.geometry
        assert geometry.fat_type == 32
        places = [found.esp_partition.offset + geometry.fat_offset(copy) + 7 for copy in range(2)]
    with disk.open("r+b") as file:
        for place in places:
            file.seek(place)
            file.write(b"\x07")


def partition_file(disk: Path, target: Path, *, esp: bool = False) -> Path:
    """A partition of a disk as a file, for the judges."""
    with opened(str(disk)) as found:
        partition = found.esp_partition if esp else found.ntfs_partition
        assert partition is not None
        target.write_bytes(found.storage.read_at(partition.offset, partition.size))
    return target


def registry(disk: Path) -> None:
    """Damage the SYSTEM hive: its root's signature."""
    with opened(str(disk)) as found:
        assert found.ntfs is not None
        assert found.ntfs_partition is not None
        extent = found.ntfs.extents("/Windows/System32/config/SYSTEM")[0]
        place = found.ntfs_partition.offset + extent.offset
    with disk.open("r+b") as file:
        file.seek(place)
        file.write(b"none")


@dataclass(frozen=True)
class Case:
    """A damage, the component that names it, its status code, and whether the stand-in gets that far."""

    component: str
    status: int | None
    damage: Callable[[Path], object] = lambda _: None
    without: tuple[str, ...] = ()
    shown: bool = True


NO_DEVICE = UnknownDevice(bytes(16) + struct.pack("<4I", 2, 0, 0x48, 0) + bytes(56))
OTHER = GptDevice(UUID("01234567-89ab-4def-8123-456789abcdef"), UUID("11234567-89ab-4def-8123-456789abcdef"))


def manager(edit: Callable[[BcdObject], object]) -> Callable[[Path], None]:
    """A damage of the boot manager's object."""
    return lambda disk: change(disk, lambda store: edit(store.object(BOOT_MANAGER)))


def loader(edit: Callable[[BcdObject], object]) -> Callable[[Path], None]:
    """A damage of the default loader's object."""
    return lambda disk: change(disk, lambda store: edit(store.object("{default}")))


def no_objects(store: Store) -> None:
    """A hive that can be read, without the key that all objects are below."""
    store.root.keys[:] = [key for key in store.root.keys if key.name != "Objects"]


def nothing_to_start(found: BcdObject) -> None:
    """Neither a default nor a display order."""
    found.delete("default")
    found.delete("displayorder")


CASES = {
    "no store": Case("boot-store", 0xC000000F, lambda disk: put(disk, BCD, None)),
    "a store that is no hive": Case("boot-store", 0xC000000F, lambda disk: put(disk, BCD, b"no hive" * 1000)),
    "a base block with a wrong checksum": Case("boot-store", 0xC000000F, lambda disk: stored(disk, broken_checksum)),
    "a truncated hive": Case("boot-store", 0xC000000F, lambda disk: stored(disk, truncated)),
    "a default that is not there": Case(
        "boot-store", 0xC0000098, manager(lambda found: found.set("default", UUID(int=9)))
    ),
    "a device of no kind": Case("boot-device", 0xC000000E, loader(lambda found: found.set("device", NO_DEVICE))),
    "no security cell": Case("boot-store", 0xC000014C, lambda disk: stored(disk, unsecured)),
    "no object of the boot manager": Case(
        "boot-store", 0xC0000034, lambda disk: change(disk, lambda store: store.delete(BOOT_MANAGER))
    ),
    "no objects at all": Case("boot-store", 0xC0000034, lambda disk: change(disk, no_objects)),
    "nothing to start": Case("boot-store", 0xC0000098, manager(nothing_to_start)),
    "no description": Case("boot-store", 0xC0000001, loader(lambda found: found.delete("description"))),
    "a path with slashes": Case(
        "boot-store", 0xC000000F, loader(lambda found: found.set("path", WINLOAD)), shown=False
    ),
    "a system root with slashes": Case(
        "boot-store", 0xC000000F, loader(lambda found: found.set("systemroot", "/Windows")), shown=False
    ),
    "no device": Case("boot-device", 0xC000000E, loader(lambda found: found.delete("device"))),
    "a partition of another disk": Case("boot-device", 0xC0000225, loader(lambda found: found.set("device", OTHER))),
    "no loader": Case("os-loader", 0xC000000F, without=(WINLOAD,)),
    "a flipped bit in the loader": Case("os-loader", 0xC0000221, lambda disk: flipped(disk, WINLOAD)),
    "a record that was not written whole": Case("windows-volume", 0xC0000001, fixup),
    "another record that was not written whole": Case("windows-volume", None, other_fixup, shown=False),
    "a dirty volume with such a record": Case("windows-volume", None, dirty_and_not_whole, shown=False),
    "no kernel": Case("kernel-files", 0xC000000F, without=("/Windows/System32/ntoskrnl.exe",), shown=False),
    "no SYSTEM hive": Case("kernel-files", 0xC000000F, without=(SYSTEM,)),
    "neither a SYSTEM hive nor a kernel": Case(
        "kernel-files", 0xC000000F, without=(SYSTEM, "/Windows/System32/ntoskrnl.exe")
    ),
    "a damaged SYSTEM hive": Case("kernel-files", 0xC000014C, registry),
    "no driver": Case("kernel-files", 0xC000000F, without=("/Windows/System32/drivers/disk.sys",), shown=False),
    "a flipped bit in the boot manager": Case(
        "boot-manager", None, lambda disk: put(disk, "/EFI/Microsoft/Boot/bootmgfw.efi", b"MZ"), shown=False
    ),
}


def table(disk: Path) -> dict[str, Gate]:
    """The components of a disk by name."""
    with opened(str(disk)) as found:
        return {gate.name: gate for gate in describe(found).components}


def test_a_whole_disk_has_every_component(tmp_path: Path) -> None:
    found = table(made(tmp_path))
    assert {gate.verdict for gate in found.values()} == {Verdict.PASS}
    assert found["kernel-files"].evidence["boot_drivers"] == len(demonstration.DRIVERS)
    assert "Windows 10" in str(found["requirements"].evidence["generation"])


@pytest.mark.parametrize("name", CASES)
def test_each_damage_has_its_component_and_its_status(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    disk = made(tmp_path, *case.without)
    case.damage(disk)
    found = table(disk)
    first = next(gate for gate in found.values() if gate.verdict is Verdict.FAIL)
    assert first.name == case.component
    assert first.error is not None
    assert first.error.get("status") == (None if case.status is None else f"{case.status:#010x}")
    assert command(["image", "inspect", str(disk)]) == 1
    said = capsys.readouterr().out
    assert case.component in said
    assert conclusion(list(found.values())) in said
    if case.status is not None:
        shown = f"the screen shows {case.status:#010x} STATUS_{Status(case.status).name} on {first.error.get('file')}"
        assert conclusion(list(found.values())).endswith(shown)
    if not case.shown:
        return
    # What the stand-in for the boot manager shows is what the table says of the disk.
    gates = probed(disk, tmp_path)
    text = "\n".join(gates["loader-banner"]["evidence"]["console"]) + "\n"
    assert [screen.status for screen in screens(text)] == [case.status]
    assert [(screen.file or "").casefold() for screen in screens(text)] == [str(first.error.get("file")).casefold()]
    failed = [gate for gate in gates.values() if gate["verdict"] == "fail"]
    assert [gate["gate"] for gate in failed] == [case.component]
    assert f"{case.status:#010x}" in failed[0]["evidence"]["screens"][0]


def test_a_dirty_volume_boots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No loader looks at the flag; ntfsinfo says that it is set."""
    disk = made(tmp_path)
    dirty(disk)
    said = run(judge("ntfsinfo", "ntfs-3g"), "-f", "-m", partition_file(disk, tmp_path / "volume"))
    assert "Volume Flags: 0x0001 DIRTY" in said, said
    gate = table(disk)["windows-volume"]
    assert (gate.verdict, gate.evidence["dirty"], gate.evidence["findings"]) == (Verdict.PASS, True, 0)
    warnings = gate.evidence["warnings"]
    assert isinstance(warnings, list)
    assert [each.partition(":")[0] for each in warnings] == ["volume-dirty"]
    assert "Windows checks the volume when it starts" in warnings[0]
    # A check of the disk still tells it, and the last sentence says what comes of it.
    assert command(["image", "inspect", str(disk)]) == 1
    assert "no component is missing or damaged; windows-volume has warnings" in capsys.readouterr().out
    gates = probed(disk, tmp_path)
    assert {gate["verdict"] for gate in gates.values()} == {"pass"}
    assert gates["windows-volume"]["evidence"]["warnings"] == warnings
    assert gates["boot-verdict"]["evidence"]["loader"] == f"{WINLOAD}, 12800 of 12800 bytes read"


def test_a_volume_with_a_log_to_be_replayed_boots(tmp_path: Path) -> None:
    """As a snapshot of a disk in use has it; ntfs-3g does not write to such a volume."""
    disk = made(tmp_path)
    to_be_replayed(disk)
    image = partition_file(disk, tmp_path / "volume")
    with mounted(image, "norecover") as folder, pytest.raises(OSError, match="Read-only"):
        (folder / "new").write_bytes(b"new")
    gates = probed(disk, tmp_path)
    assert {gate["verdict"] for gate in gates.values()} == {"pass"}
    warnings = gates["windows-volume"]["evidence"]["warnings"]
    assert [each.partition(":")[0] for each in warnings] == ["cluster-bitmap-leak", "log-file-dirty"]
    assert "Windows mends this" in warnings[0]
    assert "Windows applies the log" in warnings[1]


def test_a_bitmap_of_a_volume_that_was_not_in_use_is_a_defect(tmp_path: Path) -> None:
    disk = made(tmp_path)
    volume(disk, next(damage for kind, damage in damages() if kind == "cluster-bitmap-leak"))
    gate = table(disk)["windows-volume"]
    assert gate.verdict is Verdict.FAIL
    assert "warnings" not in gate.evidence


def test_an_esp_that_was_in_use_boots(tmp_path: Path) -> None:
    """Firmware does not look at the bit; fsck.fat says that it is set."""
    disk = made(tmp_path)
    dirty_esp(disk)
    image = partition_file(disk, tmp_path / "esp", esp=True)
    told = subprocess.run([judge("fsck.fat", "dosfstools"), "-n", image], capture_output=True, text=True, check=False)
    assert "Dirty bit is set" in told.stdout
    gates = probed(disk, tmp_path)
    assert {gate["verdict"] for gate in gates.values()} == {"pass"}
    assert any(each.startswith("ESP: dirty: ") for each in gates["header"]["evidence"]["warnings"])


@pytest.mark.parametrize(
    ("writes", "words", "status"),
    [
        ([(3, b"-FVE-FS-")], "BitLocker", None),
        ([(3, b"ReFS\0\0\0\0")], "ReFS", None),
        ([(0, bytes(4096))], "an NTFS volume without its boot sector", "0xc000000e"),
        ([(0, bytes(4096)), (-512, bytes(512))], "its first sectors are zeros", "0xc000000e"),
        ([(0, bytes(4096)), (82, b"FAT32   ")], "a FAT32 volume", "0xc000000e"),
        ([(0, bytes(4096)), (1080, b"\x53\xef")], "a Linux file system", "0xc000000e"),
        ([(11, bytes(2))], "no NTFS volume that can be read", "0xc000000e"),
    ],
)
def test_what_is_no_ntfs_volume_is_named_once(
    writes: list[tuple[int, bytes]],
    words: str,
    status: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk = made(tmp_path)
    with opened(str(disk)) as found:
        assert found.ntfs_partition is not None
        start, size = found.ntfs_partition.offset, found.ntfs_partition.size
    with disk.open("r+b") as file:
        for offset, data in writes:
            file.seek(start + (offset if offset >= 0 else size + offset))
            file.write(data)
    gates = table(disk)
    assert gates["windows-volume"].error is not None
    assert words in str(gates["windows-volume"].error["message"])
    assert gates["windows-volume"].error.get("status") == status
    assert gates["windows-volume"].error.get("hint")
    assert {gates[name].verdict for name in ("os-loader", "kernel-files", "requirements")} == {Verdict.NOT_REACHED}
    assert command(["image", "inspect", str(disk)]) == 1
    said = capsys.readouterr().out
    assert "Windows' boot: windows-volume fails" in said
    assert ("STATUS_NO_SUCH_DEVICE" in said) is (status is not None)


def test_a_loader_is_found_by_what_the_smallest_store_has(tmp_path: Path) -> None:
    """The elements that the boot manager was seen to need, with a default or with a display order."""
    disk = made(tmp_path)
    with opened(str(disk)) as found:
        own = GptDevice(found.gpt_table.partitions[2].guid, found.gpt_table.disk_guid)
    for number, element in enumerate(("default", "displayorder")):
        store = Store()
        entry = store.make(UUID(int=7), ObjectType.OS_LOADER)
        entry.set("device", own)
        entry.set("osdevice", own)
        entry.set("description", "W")
        entry.set("systemroot", "\\Windows")
        store.make("bootmgr", ObjectType.BOOT_MANAGER).set(element, [UUID(int=7)] if number else UUID(int=7))
        for name in ("KeyName", "System", "TreatAsSystem"):
            store.root.key("Description").discard(name)
        put(disk, BCD, store.pack())
        assert {gate.verdict for gate in table(disk).values()} == {Verdict.PASS}
        (tmp_path / f"{number}").mkdir()
        gates = probed(disk, tmp_path / f"{number}")
        assert {gate["verdict"] for gate in gates.values()} == {"pass"}
        console = gates["loader-banner"]["evidence"]["console"]
        assert console[-4].startswith("   Partition: ")
        assert console[-2].startswith("   Registry: \\Windows\\system32\\config\\system, ")


def test_an_object_that_nothing_needs_decides_nothing(tmp_path: Path) -> None:
    """Its key is no GUID. An element without a value is one that cannot be."""
    disk = made(tmp_path)
    change(disk, lambda store: store.root.make("Objects\\{no GUID}\\Elements"))
    gates = table(disk)
    assert {gate.verdict for gate in gates.values()} == {Verdict.PASS}
    change(
        disk,
        lambda store: store.root.key(f"Objects\\{{{store.object('{default}').guid}}}\\Elements\\22000002").discard(
            "Element"
        ),
    )
    assert (table(disk)["boot-store"].error or {}).get("status") == "0xc000000d"


def test_a_probe_names_a_volume_that_is_encrypted(tmp_path: Path) -> None:
    disk = made(tmp_path)
    with opened(str(disk)) as found:
        assert found.ntfs_partition is not None
        start = found.ntfs_partition.offset
    with disk.open("r+b") as file:
        file.seek(start + 3)
        file.write(b"-FVE-FS-")
    error = probed(disk, tmp_path)["ufs-root"]["error"]
    assert "BitLocker" in error["message"]
    assert "manage-bde" in error["hint"]


def test_windows_in_a_ram_disk_is_not_examined(tmp_path: Path) -> None:
    """WinPE: the boot manager loads the image from the ESP."""
    disk = made(tmp_path)
    stored(disk, lambda _: create("windows-ramdisk", BcdOptions(wim="\\boot.wim")).pack())
    gates = table(disk)
    assert gates["boot-device"].error is not None
    assert gates["boot-device"].error["status"] == "0xc000000f"
    assert "partition 1 has no /boot.wim" in str(gates["boot-device"].error["message"])
    put(disk, "/boot.wim", bytes(5000))
    error = table(disk)["boot-device"].error or {}
    assert (error["status"], error["file"]) == ("0xc000000f", "\\boot\\boot.sdi")
    change(disk, lambda store: next(each for each in store.objects() if each.get("ramdisksdipath")).set(
        "ramdisksdipath", "\\boot.sdi"
    ))  # fmt: skip
    put(disk, "/boot.sdi", bytes(300))
    gates = table(disk)
    assert gates["boot-device"].evidence["image"] == "\\boot.wim, 5000 bytes"
    assert gates["boot-device"].evidence["sdi"] == "\\boot.sdi, 300 bytes"
    inside = [gates[name] for name in ("windows-volume", "os-loader", "kernel-files", "requirements")]
    assert {gate.verdict for gate in inside} == {Verdict.NOT_APPLICABLE}
    assert inside[0].reason == "Windows is in \\boot.wim, which is not looked into"
    assert conclusion(list(gates.values())).endswith("; Windows is in \\boot.wim, which is not looked into")


def test_windows_in_a_virtual_disk_is_not_examined(tmp_path: Path) -> None:
    disk = made(tmp_path)
    with opened(str(disk)) as found:
        own = GptDevice(found.gpt_table.partitions[2].guid, found.gpt_table.disk_guid)
    for name in ("device", "osdevice"):
        loader(lambda each, name=name: each.set(name, LocateDevice(disk=FileDevice(own, "\\Windows\\w.vhdx"))))(disk)  # type: ignore[misc]  # mypy does not infer the default's type
    assert "has no /Windows/w.vhdx" in str((table(disk)["boot-device"].error or {}).get("message"))
    (tmp_path / "tree/Windows/w.vhdx").write_bytes(bytes(70000))
    again = rebuilt(tmp_path)
    with opened(str(again)) as found:
        own = GptDevice(found.gpt_table.partitions[2].guid, found.gpt_table.disk_guid)
    for name in ("device", "osdevice"):
        loader(lambda each, name=name: each.set(name, LocateDevice(disk=FileDevice(own, "\\Windows\\w.vhdx"))))(again)  # type: ignore[misc]  # mypy does not infer the default's type
    gates = table(again)
    assert gates["boot-device"].evidence["image"] == "\\Windows\\w.vhdx, 70000 bytes"
    assert gates["kernel-files"].verdict is Verdict.NOT_APPLICABLE


def test_a_device_that_is_located_by_a_file(tmp_path: Path) -> None:
    disk = made(tmp_path)
    for name in ("device", "osdevice"):
        loader(lambda each, name=name: each.set(name, LocateDevice()))(disk)  # type: ignore[misc]  # mypy does not infer the default's type
    assert {gate.verdict for gate in table(disk).values()} == {Verdict.PASS}
    loader(lambda each: each.set("path", "\\Windows\\none.efi"))(disk)
    assert "which none has" in str((table(disk)["boot-device"].error or {}).get("message"))


def test_the_hint_names_the_partition_that_has_windows(tmp_path: Path) -> None:
    disk = made(tmp_path)
    CASES["a partition of another disk"].damage(disk)
    with opened(str(disk)) as found:
        guid = found.gpt_table.partitions[2].guid
    hint = str((table(disk)["boot-device"].error or {}).get("hint"))
    assert f"Windows is on partition 3: cloudboot-bcd repoint BCD --windows gpt={guid}" in hint


def test_a_loader_on_another_partition_than_windows(tmp_path: Path) -> None:
    """The kernel is looked for where ``osdevice`` says, the loader where ``device`` says."""
    disk = made(tmp_path)
    loader(lambda each: each.set("osdevice", BootDevice()))(disk)
    gates = table(disk)
    assert "partition 1 holds a FAT32 volume" in str((gates["windows-volume"].error or {}).get("message"))
    assert gates["os-loader"].verdict is Verdict.NOT_REACHED


def test_a_dirty_store_is_completed_by_its_logs(tmp_path: Path) -> None:
    disk = made(tmp_path)
    with opened(str(disk)) as found:
        whole = found.esp.read_file(BCD)
    store = Store.open(whole)
    store.object("{default}").set("description", "Changed")
    dirty, log = new_log(whole, store.pack())
    put(disk, BCD, dirty)
    evidence = table(disk)["boot-store"].evidence
    assert (evidence["description"], evidence["state"]) == ("Windows", "dirty: a write to it was begun and not ended")
    put(disk, f"{BCD}.LOG1", log)
    put(disk, f"{BCD}.LOG2", b"")
    evidence = table(disk)["boot-store"].evidence
    assert evidence["description"] == "Changed"
    assert str(evidence["state"]).endswith("its logs complete it")


@pytest.mark.parametrize(("content", "is_told"), [(b"HIBR", True), (b"hibr", True), (b"wake", False), (b"", False)])
def test_a_hibernated_windows_is_told(content: bytes, is_told: bool, tmp_path: Path) -> None:
    """The boot manager resumes it if its object in the store has what Windows puts there when it hibernates."""
    made(tmp_path)
    (tmp_path / "tree/hiberfil.sys").write_bytes(content + bytes(5000 if content else 0))
    disk = rebuilt(tmp_path)
    for words in ("Windows is started anew", "the boot manager resumes it"):
        gate = table(disk)["windows-volume"]
        assert gate.verdict is Verdict.PASS
        assert [words in each for each in gate.evidence.get("warnings", [])] == ([True] if is_told else [])  # type: ignore[attr-defined]  # a list
        for element, value in (("resume", True), ("resumeobject", UUID(int=8))):
            manager(lambda found, element=element, value=value: found.set(element, value))(disk)  # type: ignore[misc]  # mypy does not infer the default's type


def test_a_control_set_that_is_not_there(tmp_path: Path) -> None:
    made(tmp_path)
    hive = demonstration.system_hive()
    hive.key("Select").set(Value.number("Default", 2))
    (tmp_path / "tree/Windows/System32/config/SYSTEM").write_bytes(build(hive))
    error = table(rebuilt(tmp_path))["kernel-files"].error or {}
    assert error["status"] == "0xc000014c"
    assert "ControlSet002" in str(error["message"])


@pytest.mark.parametrize(
    ("first", "hint"),
    [
        (bytes(512), "the first sector is zeros"),
        (b"\xeb\x52\x90NTFS    ".ljust(510, b"\0") + b"\x55\xaa", "this is an NTFS volume, not a disk"),
        (
            bytes(446) + bytes([0x80, 0, 2, 0, 7, 0, 0, 0]) + struct.pack("<II", 64, 64) + bytes(48) + b"\x55\xaa",
            "the disk has an MBR",
        ),
    ],
)
def test_what_is_no_gpt_disk_is_named(first: bytes, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(first + bytes(1 << 20))
    with pytest.raises(GPTError) as caught, opened(str(path)):
        pass
    assert hint in str(caught.value.hint)


def test_a_driver_that_is_not_critical_is_told_and_no_failure(tmp_path: Path) -> None:
    disk = made(tmp_path, "/Windows/System32/drivers/volsnap.sys")
    with opened(str(disk)) as found:
        assert found.ntfs is not None
        hive = Hive(found.ntfs.read_file("/Windows/System32/config/SYSTEM")).load()
    assert table(disk)["kernel-files"].verdict is Verdict.FAIL
    hive.key("ControlSet001\\Services\\volsnap").set(Value.number("ErrorControl", 1))
    (tmp_path / "tree/Windows/System32/config/SYSTEM").write_bytes(build(hive))
    disk = rebuilt(tmp_path)
    gate = table(disk)["kernel-files"]
    assert gate.verdict is Verdict.PASS
    assert "volsnap.sys" in str(gate.evidence["not_usable"])


def checksummed(data: bytes) -> bytes:
    """A program with the checksum of its bytes."""
    image = PEImage.parse(data)
    changed = bytearray(data)
    struct.pack_into("<I", changed, image.optional_offset + 64, checksum(image))
    return bytes(changed)


def test_a_program_is_not_as_it_was_signed(tmp_path: Path) -> None:
    """sbsign signs it; what counts is the digest in its signature, whatever the checksum says."""
    program, signed = tmp_path / "winload.efi", tmp_path / "signed.efi"
    program.write_bytes(demonstration.files("amd64").read(WINLOAD) or b"")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    run(
        judge("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test",
        "-keyout", key, "-out", certificate,
    )  # fmt: skip
    run(judge("sbsign", "sbsigntool"), "--key", key, "--cert", certificate, "--output", signed, program)
    whole = checksummed(signed.read_bytes())
    assert examine_program(whole, WINLOAD, "amd64")["signatures"] == 1
    changed = bytearray(whole)
    changed[0x800] ^= 1
    with pytest.raises(WindowsBootError, match="states the checksum"):
        examine_program(bytes(changed), WINLOAD, "amd64")
    with pytest.raises(WindowsBootError, match="not as it was signed") as caught:
        examine_program(checksummed(bytes(changed)), WINLOAD, "amd64")
    assert caught.value.status == Status.IMAGE_CHECKSUM_MISMATCH
    with pytest.raises(WindowsBootError, match="not for arm64"):
        examine_program(whole, WINLOAD, "arm64")


def test_every_service_path_that_windows_writes_is_found() -> None:
    root = demonstration.system_hive()
    services = root.key("ControlSet001\\Services")
    written = ["\\SystemRoot\\System32\\drivers\\a.sys", "system32\\DRIVERS\\b.sys", "\\??\\C:\\Windows\\c.sys", ""]
    for number, path in enumerate(written):
        key = services.make(f"zz{number}")
        key.set(Value.number("Start", 0))
        key.set(Value.number("Type", 2))
        key.set(Value.text("ImagePath", path))
    found = {driver.service: driver.path for driver in boot_drivers(Hive(build(root)))}
    assert [found[f"zz{number}"] for number in range(4)] == [
        "/System32/drivers/a.sys", "/system32/DRIVERS/b.sys", "/c.sys", "/System32/drivers/zz3.sys",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "file", "status"),
    [
        (
            "Windows failed to start.\n    File: \\EFI\\Microsoft\\Boot\\BCD\n\n    Status: 0xc000000f\n",
            "\\EFI\\Microsoft\\Boot\\BCD", Status.NO_SUCH_FILE,
        ),
        (
            "Recovery\n\nFile: \\Windows\\system32\\winload.efi\nError code: 0xc0000225\n",
            "\\Windows\\system32\\winload.efi", Status.NOT_FOUND,
        ),
        ("    Statut : 0xC0000221\n", None, Status.IMAGE_CHECKSUM_MISMATCH),
    ],
)  # fmt: skip
def test_screens_are_read_in_every_form(text: str, file: str | None, status: int) -> None:
    (screen,) = screens(text)
    assert (screen.file, screen.status) == (file, status)
    assert f"{status:#010x}" in str(screen)
    assert screen.cause is not None


def test_a_code_without_a_name_is_still_told() -> None:
    (screen,) = screens("Status: 0xc0430001\n")
    assert str(screen) == "0xc0430001"
    assert screen.cause is None


def silent(disk: Path) -> None:
    """Put a boot manager on the disk that reads the volume, prints nothing and takes the machine over."""
    compiler, objcopy, package, _ = COMPILERS["amd64"]
    judge(objcopy, "binutils")
    judge(compiler, package)
    program = compile_program("amd64", Path(__file__).parent / "programs" / "silent.c")
    for path in ("/EFI/Microsoft/Boot/bootmgfw.efi", "/EFI/BOOT/BOOTX64.EFI"):
        put(disk, path, program)


def test_a_boot_manager_that_succeeds_prints_nothing(tmp_path: Path) -> None:
    disk = made(tmp_path)
    silent(disk)
    gates = probed(disk, tmp_path)
    assert {name for name, gate in gates.items() if gate["verdict"] != "pass"} == {"loader-banner"}
    assert gates["loader-banner"]["verdict"] == "not-applicable"
    assert gates["start-image"]["evidence"]["ending"] == "boot-services-exited"
    assert gates["boot-verdict"]["evidence"]["loader"] == f"{WINLOAD}, 12800 of 12800 bytes read"


@pytest.mark.live
def test_a_silent_boot_manager_passes_under_qemu(tmp_path: Path) -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    disk = made(tmp_path)
    silent(disk)
    gates = probed(disk, tmp_path, "--firmware", "qemu")
    skipped = {name for name, gate in gates.items() if gate["verdict"] == "not-applicable"}
    assert skipped == {"ufs-root", "loader-banner"}
    assert {gate["verdict"] for name, gate in gates.items() if name not in skipped} == {"pass"}
    assert gates["boot-verdict"]["evidence"]["loader"] == f"{WINLOAD}, 12800 of 12800 bytes read"


@pytest.mark.live
def test_edk2_shows_the_partition_and_our_volume_to_the_stand_in(tmp_path: Path) -> None:
    """Handles and device paths are EDK2's; NTFS, which it has no driver for, is published on its partition by us."""
    judge("qemu-system-x86_64", "qemu-system-x86")
    disk = made(tmp_path)
    gates = probed(disk, tmp_path, "--firmware", "ovmf")
    assert {gate["verdict"] for gate in gates.values()} == {"pass"}
    evidence = gates["boot-verdict"]["evidence"]
    assert evidence["store"] == f"{BCD}, 16384 of 16384 bytes read"
    assert evidence["loader"] == f"{WINLOAD}, 12800 of 12800 bytes read"
    with opened(str(disk)) as found:
        assert f"   Partition: {found.gpt_table.partitions[2].guid}" in evidence["console"]


@pytest.mark.live
def test_an_error_screen_is_read_from_the_serial_line(tmp_path: Path) -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    disk = made(tmp_path)
    CASES["a partition of another disk"].damage(disk)
    gates = probed(disk, tmp_path, "--firmware", "qemu")
    assert gates["boot-device"]["error"]["status"] == "0xc0000225"
    assert gates["boot-device"]["evidence"]["screens"][0].startswith(
        "\\Windows\\system32\\winload.efi: 0xc0000225 STATUS_NOT_FOUND"
    )


@pytest.mark.live
@pytest.mark.parametrize(
    "name", ["no object of the boot manager", "a record that was not written whole", "no SYSTEM hive"]
)
def test_edk2_leads_the_stand_in_to_the_same_status(name: str, tmp_path: Path) -> None:
    """Over EDK2's handles and its FAT driver, with NTFS published by us."""
    judge("qemu-system-x86_64", "qemu-system-x86")
    case = CASES[name]
    disk = made(tmp_path, *case.without)
    case.damage(disk)
    gates = probed(disk, tmp_path, "--firmware", "ovmf")
    failed = next(gate for gate in gates.values() if gate["verdict"] == "fail")
    assert failed["gate"] == case.component
    assert f"{case.status:#010x}" in failed["evidence"]["screens"][0]


def probed(disk: Path, folder: Path, *options: str) -> dict[str, Any]:
    """The gates of a probe of a disk by name."""
    reference, record = f"oci:{folder / 'store'}:disk", folder / "record.json"
    push_image(disk, reference)
    command(["probe", "windows", reference, "--record", str(record), *options])
    return {gate["gate"]: gate for gate in json.loads(record.read_text())["gates"]}
