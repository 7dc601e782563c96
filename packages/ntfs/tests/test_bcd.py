"""Boot configurations: read by programs of other projects, and kept whole through every change."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import judge, run
from cloudboot_ntfs import errors
from cloudboot_ntfs.bcd import (
    TEMPLATES,
    BcdOptions,
    BootDevice,
    Device,
    FileDevice,
    GptDevice,
    LocateDevice,
    MbrDevice,
    ObjectType,
    RamDiskDevice,
    Store,
    UnknownDevice,
    create,
    devices,
    records,
    show,
    structs,
)
from cloudboot_ntfs.bcd.__main__ import main
from cloudboot_ntfs.registry import Key, Value, build, check
from cloudboot_ntfs.testing.hives import new_log
from cloudboot_records.generate import generate

PARTITION = UUID("11223344-5566-7788-99aa-bbccddeeff00")
DISK = UUID("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf")
GPT = GptDevice(PARTITION, DISK)
OTHER = GptDevice(UUID(int=1), UUID(int=2))
OPTIONS = UUID("7619dcc8-fafe-11d9-b411-000476eba25f")


def test_checked_in_records_are_those_of_the_declaration() -> None:
    with open(records.__file__, encoding="utf-8") as file:
        assert file.read() == generate(structs)


def test_bytes_of_a_gpt_device() -> None:
    # The layout that Windows' boot manager (19041) was seen to accept, and to match by partition GUID.
    expected = (
        bytes(16) + bytes.fromhex("06000000 00000000 48000000 00000000")
        + PARTITION.bytes_le + bytes.fromhex("00000000 00000000") + DISK.bytes_le + bytes(16)
    )  # fmt: skip
    assert devices.pack(GPT) == expected
    assert len(expected) == 88


def test_bytes_of_a_boot_device() -> None:
    assert devices.pack(BootDevice()) == bytes(16) + bytes.fromhex("05000000 00000000 48000000") + bytes(60)


def test_bytes_of_a_ram_disk() -> None:
    # As in the stores of Windows PE media: 126 bytes around the path, 86 of them in the path's own descriptor.
    path = "\\sources\\boot.wim"
    expected = (
        OPTIONS.bytes_le + bytes.fromhex("00000000 01000000") + (126 + 2 * len(path)).to_bytes(4, "little") + bytes(4)
        + bytes.fromhex("03000000") + bytes(20)
        + bytes.fromhex("01000000") + (86 + 2 * len(path)).to_bytes(4, "little") + bytes.fromhex("05000000")
        + bytes.fromhex("05000000 00000000 48000000 00000000") + bytes(56)
        + path.encode("utf-16-le") + bytes(2)
    )  # fmt: skip
    assert devices.pack(RamDiskDevice(BootDevice(), path, OPTIONS)) == expected


def test_bytes_of_a_file() -> None:
    # pybcd took the form from stores that bcdedit wrote: no flag, the type 5, and the descriptor of the path.
    path = "\\disk.bin"
    expected = (
        bytes(16) + bytes(8) + (106 + 2 * len(path)).to_bytes(4, "little") + bytes(4) + bytes.fromhex("05000000")
        + bytes.fromhex("01000000") + (86 + 2 * len(path)).to_bytes(4, "little") + bytes.fromhex("05000000")
        + bytes.fromhex("05000000 00000000 48000000 00000000") + bytes(56) + path.encode("utf-16-le") + bytes(2)
    )  # fmt: skip
    assert devices.pack(FileDevice(BootDevice(), path)) == expected


def test_bytes_of_a_virtual_disk() -> None:
    # From the same stores: locate by the loader's path (0x12000002), its parent at 0x1e, a disk of type 6 in a file.
    packed = devices.pack(LocateDevice(0x12000002, FileDevice(GPT, "\\a.vhd")))
    file = devices.pack(FileDevice(GPT, "\\a.vhd"))[16:]
    disk = bytes(8) + (40 + len(file)).to_bytes(4, "little") + bytes(4) + bytes.fromhex("06000000") + bytes(20) + file
    located = bytes.fromhex("00000000 02000012 1e000000 0000") + disk
    assert (
        packed
        == bytes(16)
        + bytes.fromhex("08000000 00000000")
        + (16 + len(located)).to_bytes(4, "little")
        + bytes(4)
        + located
    )
    assert devices.to_text(devices.parse(packed)) == (
        f"vhd=[gpt={{{PARTITION}}},{{{DISK}}}]\\a.vhd,locate=custom:12000002"
    )


EVERY_DEVICE = [
    BootDevice(),
    GPT,
    MbrDevice(0x12345678, 1 << 20),
    RamDiskDevice(GPT, "\\a\\b.wim", OPTIONS),
    FileDevice(BootDevice(), "\\disk.bin"),
    RamDiskDevice(FileDevice(MbrDevice(1, 512), "\\x"), "\\y"),
    LocateDevice(0x22000002),
    LocateDevice(0x12000002, FileDevice(MbrDevice(1, 512), "\\a,b.vhdx")),
    UnknownDevice(bytes(16) + bytes.fromhex("08000000 00000000 14000000 00000000 aabbccdd")),
]


@pytest.mark.parametrize("device", EVERY_DEVICE)
def test_devices_go_round(device: Device) -> None:
    assert devices.parse(devices.pack(device)) == device
    assert devices.from_text(devices.to_text(device)) == device


@given(st.binary(max_size=200))
def test_any_bytes_are_a_device_or_an_error(data: bytes) -> None:
    try:
        device = devices.parse(data)
    except errors.DeviceError:
        return
    assert devices.pack(device) == data


@pytest.mark.parametrize(
    "text", ["", "gpt=", "gpt=x", "mbr=1", "ramdisk=\\a", "ramdisk=[boot]a", "file=[nothing]\\a", "unknown=0"]
)
def test_text_that_is_not_a_device(text: str) -> None:
    with pytest.raises(errors.DeviceError):
        devices.from_text(text)


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_are_hives_without_findings(template: str) -> None:
    store = create(template, BcdOptions(windows=GPT, boot_manager=OTHER))
    data = store.pack()
    assert check(data) == []
    assert data == create(template, BcdOptions(windows=GPT, boot_manager=OTHER)).pack()
    assert Store.open(data).pack() == data


def test_hivexsh_reads_the_elements(tmp_path: Path) -> None:
    (tmp_path / "BCD").write_bytes(create("windows", BcdOptions(windows=GPT)).pack())
    program = judge("hivexsh", "libhivex-bin")
    script = (
        "cd \\Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\\Description\nlsval Type\n"
        "cd \\Objects\\{9DEA862C-5CDD-4E70-ACC1-F32B344D4795}\\Elements\\12000004\nlsval Element\n"
        "cd \\Description\nlsval KeyName\nlsval System\nlsval TreatAsSystem\n"
    )
    listed = run(program, tmp_path / "BCD", stdin=script.encode()).splitlines()
    assert listed == [str(0x10100002), "Windows Boot Manager", "BCD00000000", "1", "1"]


def test_regipy_lists_the_boot_entries(tmp_path: Path) -> None:
    registry = pytest.importorskip("regipy.registry")
    plugin = pytest.importorskip("regipy.plugins.bcd.boot_entry_list")
    (tmp_path / "BCD").write_bytes(create("windows", BcdOptions(windows=GPT, boot_manager=OTHER)).pack())
    hive = registry.RegistryHive(str(tmp_path / "BCD"))
    assert hive.hive_type == "bcd"
    found = plugin.BootEntryListPlugin(hive, as_json=True)
    found.run()
    assert [(each["name"], each["gpt_partition"], each["gpt_disk"], each["image_path"]) for each in found.entries] == [
        ("Windows Boot Manager", str(OTHER.partition), str(OTHER.disk), "\\EFI\\Microsoft\\Boot\\bootmgfw.efi"),
        ("Windows", str(PARTITION), str(DISK), "\\Windows\\system32\\winload.efi"),
    ]


def test_smallest_store_that_the_boot_manager_takes() -> None:
    store = Store()
    loader = store.make(UUID(int=7), ObjectType.OS_LOADER)
    for name, value in (("device", GPT), ("description", "W"), ("osdevice", GPT), ("systemroot", "\\Windows")):
        loader.set(name, value)
    store.make("bootmgr", ObjectType.BOOT_MANAGER).set("default", loader.guid)
    assert len(store.pack()) == 8192
    assert sorted(number for number, _ in loader.elements()) == [0x11000001, 0x12000004, 0x21000001, 0x22000002]


def test_elements_are_stored_as_the_boot_manager_reads_them() -> None:
    store = create("windows", BcdOptions(windows=GPT))
    manager = store.root.key("Objects\\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\\Elements")
    stored = {key.name: (key.value("Element").kind, key.value("Element").data) for key in manager.keys}
    assert stored["25000004"] == (3, (30).to_bytes(8, "little"))
    assert stored["12000005"] == (1, "en-US\0".encode("utf-16-le"))
    assert stored["24000001"][0] == 7
    assert stored["23000003"][0] == 1
    loader = store.object("{default}")
    loader.set("winpe", True)
    key = store.root.key(f"Objects\\{{{loader.guid}}}\\Elements\\26000022")
    assert (key.value("Element").kind, key.value("Element").data) == (3, b"\x01")


def test_a_store_that_others_wrote_is_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "BCD").write_bytes(build(Key("NewStoreRoot")))
    (tmp_path / "BCD.reg").write_text(
        "Windows Registry Editor Version 5.00\n\n[B\\Description]\n\"KeyName\"=\"BCD00000000\"\n\n"
        "[B\\Objects]\n\n[B\\Objects\\{00000000-0000-0000-0000-000000000007}]\n\n[B\\Objects\\{00000000-0000-0000-0000-000000000007}\\Description]\n\"Type\"=dword:10200003\n"
        "\"FirmwareVariable\"=hex(3):01,02\n\n"
        "[B\\Objects\\{00000000-0000-0000-0000-000000000007}\\Elements]\n\n"
        "[B\\Objects\\{00000000-0000-0000-0000-000000000007}\\Elements\\2f0000aa]\n\"Element\"=hex(3):aa,bb\n\n"
        "[B\\Objects\\{00000000-0000-0000-0000-000000000007}\\Elements\\21000001]\n\"Element\"=hex(3):"
        + ",".join(f"{byte:02x}" for byte in devices.pack(GPT)) + "\n"
    )  # fmt: skip
    run(judge("hivexregedit", "libwin-hivex-perl"), "--merge", "--prefix", "B", tmp_path / "BCD", tmp_path / "BCD.reg")
    store = Store.open(tmp_path / "BCD")
    assert store.repoint(windows=OTHER) == 1
    again = Store.open(store.pack())
    found = again.object(UUID(int=7))
    assert found.get("osdevice") == OTHER
    assert found.get(0x2F0000AA) == b"\xaa\xbb"
    assert again.root.key(f"Objects\\{{{UUID(int=7)}}}\\Description").value("FirmwareVariable").data == b"\1\2"
    assert "custom:2f0000aa         hex:aabb" in show(again)


def test_repoint_moves_each_role() -> None:
    recovery = GptDevice(UUID(int=5))
    store = create("recovery", BcdOptions(windows=GPT, boot_manager=GPT))
    assert store.repoint(esp=OTHER, windows=MbrDevice(1, 2), recovery=recovery) == 6
    assert store.object("bootmgr").get("device") == OTHER
    loader = store.object("{default}")
    assert (loader.get("device"), loader.get("osdevice")) == (MbrDevice(1, 2), MbrDevice(1, 2))
    sequence = loader.get("recoverysequence")
    assert isinstance(sequence, list)
    assert isinstance(sequence[0], UUID)
    rescue = store.object(sequence[0]).get("device")
    assert isinstance(rescue, RamDiskDevice)
    assert (rescue.parent, rescue.path) == (recovery, "\\Recovery\\WindowsRE\\Winre.wim")


def test_deleting_an_object_leaves_no_reference() -> None:
    store = create("windows")
    guid = store.object("{default}").guid
    store.delete("{default}")
    assert str(guid) not in show(store)
    with pytest.raises(errors.ObjectNotFoundError):
        store.object(guid)


@pytest.mark.parametrize(
    ("element", "value"),
    [("timeout", "soon"), ("timeout", -1), ("device", "boot"), ("displayorder", [1]), ("path", 7), ("resume", 1)],
)
def test_values_of_another_format_are_refused(element: str, value: object) -> None:
    with pytest.raises(errors.ElementError):
        create("windows").object("bootmgr").set(element, value)  # type: ignore[arg-type]  # wrong


def test_what_is_not_a_store() -> None:
    with pytest.raises(errors.BcdError, match="not a boot configuration"):
        Store.open(build(Key("ROOT", [Value.number("a", 1)])))
    with pytest.raises(errors.HiveError):
        Store.open(b"not a hive")
    with pytest.raises(errors.ObjectNotFoundError):
        create("dos")


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def bcd(*words: str | Path, code: int = 0) -> str:
        assert main([str(word) for word in words]) == code
        return "".join(capsys.readouterr())

    store = tmp_path / "BCD"
    bcd("create", store, "--windows", devices.to_text(GPT), "--description", "Test", "--timeout", "5")
    assert "exists" in bcd("create", store, code=5)
    bcd("set", store, "{default}", "testsigning", "Yes")
    bcd("set", store, "{default}", "nx", "AlwaysOff")
    bcd("set", store, "{default}", "21000001", "boot")
    bcd("set", store, "{bootmgr}", "toolsdisplayorder", "{memdiag}", "{ntldr}")
    shown = bcd("show", store, "{default}", "{bootmgr}")
    for line in ("testsigning             Yes", "nx                      AlwaysOff", "osdevice                boot"):
        assert line in shown.splitlines()
    assert "toolsdisplayorder       {memdiag}\n                        {ntldr}" in shown
    bcd("delete", store, "{default}", "testsigning")
    assert "testsigning" not in bcd("show", store)
    assert "1 element changed" in bcd("repoint", store, "--windows", devices.to_text(OTHER))
    assert "1 element changed" in bcd("import", tmp_path / "other", store, "--windows", devices.to_text(GPT))
    assert f'"gpt={{{PARTITION}}},{{{DISK}}}"' in bcd("show", tmp_path / "other", "--json")
    assert "not on" not in bcd("repoint", store, code=2)
    said = bcd("set", store, "{default}", "path", "/Windows/system32/winload.efi", code=2)
    assert "begins with a backslash" in said
    assert "\\Windows\\system32\\winload.efi" in said
    bcd("set", store, "{default}", "path", "\\Windows\\system32\\winload.exe")
    assert "there is no such element" in bcd("set", store, "{default}", "nothing", "1", code=3)
    assert "format" in bcd("set", store, "{default}", "winpe", "perhaps", code=2)
    assert check(store) == []


def test_an_object_without_a_type_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an interrupted change leaves: the others are shown, moved and kept, and it can be deleted."""
    store = create("windows", BcdOptions(windows=GPT))
    broken = UUID(int=7)
    store.root.make(f"Objects\\{{{broken}}}\\Elements\\11000001").set(Value.binary("Element", devices.pack(GPT)))
    assert "Object without a type" in show(store)
    assert store.repoint(windows=OTHER) == 3
    assert store.object(broken).get("device") == OTHER
    with pytest.raises(errors.BcdError, match="the object has no type"):
        _ = store.object(broken).object_type
    path = tmp_path / "BCD"
    path.write_bytes(store.pack())
    assert main(["show", str(path), "--json"]) == 0
    assert '"type": null' in capsys.readouterr().out
    assert main(["delete", str(path), f"{{{broken}}}"]) == 0
    assert "without a type" not in show(Store.open(path))


def test_logs_of_a_dirty_store_are_applied_when_they_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = create("windows", BcdOptions(timeout=5)), create("windows", BcdOptions(timeout=6))
    dirty, log = new_log(before.pack(), after.pack())
    (tmp_path / "BCD").write_bytes(dirty)
    (tmp_path / "BCD.LOG1").write_bytes(log)
    (tmp_path / "BCD.LOG2").write_bytes(b"")
    assert main(["show", str(tmp_path / "BCD"), "{bootmgr}"]) == 0
    shown = capsys.readouterr()
    assert "timeout                 5" in shown.out
    assert "begun and not ended" in shown.err
    logs = ["--log", str(tmp_path / "BCD.LOG1"), "--log", str(tmp_path / "BCD.LOG2")]
    assert main(["show", str(tmp_path / "BCD"), "{bootmgr}", *logs]) == 0
    shown = capsys.readouterr()
    assert "timeout                 6" in shown.out
    assert not shown.err


def test_a_description_of_bytes_that_are_not_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line may have any bytes (os.fsdecode), and a string of a hive halves of surrogate pairs."""
    assert main(["create", str(tmp_path / "BCD"), "--description", "Windows \udcff"]) == 0
    assert main(["show", str(tmp_path / "BCD")]) == 0
    assert "Windows \\udcff" in capsys.readouterr().out
