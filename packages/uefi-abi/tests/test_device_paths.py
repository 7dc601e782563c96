"""Device paths: EDK2's vectors, the differences from EDK2 by name, and round trips of every kind of node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import RangeError
from cloudboot_uefi_abi.device_path import (
    END_ENTIRE,
    END_INSTANCE,
    Acpi,
    AcpiExtended,
    DevicePath,
    FilePath,
    GenericNode,
    HardDrive,
    Ipv4,
    Node,
    Pci,
    Uart,
    VendorMedia,
    VendorMessage,
    eisa_id,
    eisa_text,
    first_instance_size,
    is_strict_prefix,
    remaining,
)
from cloudboot_uefi_abi.device_path.node import _KINDS, KEYWORDS
from cloudboot_uefi_abi.errors import DevicePathError
from cloudboot_uefi_abi.guids import GUIDS

DATA = Path(__file__).parent / "data"
VECTORS: dict[str, dict[str, Any]] = json.loads((DATA / "device-paths-edk2-2025.02.json").read_text())
LIVE: dict[str, list[str]] = json.loads((DATA / "device-paths-ovmf-live.json").read_text())
# Nodes of UEFI 2.8 and later for which EDK2 2025.02 has only the generic form: ours is the specification's.
NEWER = {
    "NvdimmAcpi": "NvdimmAcpiAdr(0x11)",
    "NVDIMM ns": "NVDIMM(C10DDB00-7E1A-4001-91B0-070CB1EC80B1)",
    "RestService": "RestService(0x1,0x2)",
    "RestService vendor": "RestService(0xFF,0xFF,C10DDB00-7E1A-4001-91B0-070CB1EC80B1,0102)",
    "NVMe-oF": "NVMEoF(nqn.2014-08.x,00DB0DC11A7E014091B0070CB1EC80B1)",
}
# What EDK2 reads from its own text for these differs from what the text stands for.
READ_OTHERWISE = {"Acpi(other)", "Uart dflt"}
# Paths whose EDK2 text loses something; the exact text keeps it.
EXACT = {
    "IPv4": "IPv4(10.0.2.2:67,UDP,Static,10.0.2.15:68,10.0.2.1,255.255.255.0)",
    "IPv4 19byte": "Msg(12,0A00020F0A00020244004300060000)",
    "IPv6": "IPv6([2001:0DB8:0000:0000:0000:0000:0000:0001]:2,UDP,StatelessAutoConfigure,"
    "[2001:0DB8:0000:0000:0000:0000:0000:0001]:1,0x40,0000:0000:0000:0000:0000:0000:0000:0000)",
    "HD none": "MediaPath(1,030000003F00000000000000E803000000000000000000000000000000000000000000000100)",
    "FilePath with /": "MediaPath(4,61002F0062000000)",
    "FilePath with ,": "MediaPath(4,61002C0062000000)",
}


@pytest.mark.parametrize("name", VECTORS)
def test_edk2_s_vectors(name: str) -> None:
    vector = VECTORS[name]
    data = bytes.fromhex(vector["hex"])
    path = DevicePath.parse(data)
    assert path.pack() == data
    if name in NEWER:
        assert path.text() == path.text(display=True, shortcuts=True) == NEWER[name]
        assert DevicePath.from_text(vector["text"]) == path  # EDK2's generic form is understood, too
    else:
        assert path.text() == vector["text"]
        assert path.text(display=True) == vector["display"]
        assert path.text(display=True, shortcuts=True) == vector["short"]
        assert path.text(shortcuts=True) == vector["shortonly"]
    if name not in READ_OTHERWISE:
        assert DevicePath.from_text(vector["text"]).pack().hex() == vector["back"]


@pytest.mark.parametrize("name", VECTORS)
def test_the_exact_text_is_edk2_s_where_that_loses_nothing(name: str) -> None:
    vector = VECTORS[name]
    path = DevicePath.parse(bytes.fromhex(vector["hex"]))
    exact = path.text(exact=True)
    assert DevicePath.from_text(exact) == path
    assert exact == str(path) == EXACT.get(name, NEWER.get(name, vector["text"]))
    assert DevicePath.from_text(path.text(exact=True, shortcuts=True)) == path


@pytest.mark.parametrize("data", [each for each in LIVE if not each.startswith("Boot")])
def test_a_live_firmware_s_paths(data: str) -> None:
    path = DevicePath.parse(bytes.fromhex(data))
    assert path.pack().hex() == data
    assert [path.text(), path.text(display=True, shortcuts=True)] == LIVE[data]
    assert DevicePath.from_text(path.text(exact=True)) == path


def test_difference_non_pnp_acpi_keeps_its_number() -> None:
    assert DevicePath.from_text("Acpi(0x12345678,0x3)").nodes == (Acpi(0x12345678, 3),)
    assert VECTORS["Acpi(other)"]["back"] != VECTORS["Acpi(other)"]["hex"]


def test_difference_default_of_a_serial_line_stays_the_device_s_default() -> None:
    assert DevicePath.from_text("Uart(DEFAULT,DEFAULT,D,D)").nodes == (Uart(0, 0, 0, 0, 0),)
    assert DevicePath.from_text("Uart()").nodes == (Uart(0, 115200, 8, 0, 0),)


def test_difference_ports_of_addresses_are_kept() -> None:
    node = Ipv4(bytes([10, 0, 2, 15]), bytes([10, 0, 2, 2]), 68, 67, 17, 1)
    assert DevicePath.from_text(str(DevicePath.of(node))).nodes == (node,)


def test_difference_file_names_with_marks_are_one_node() -> None:
    for name in ("a/b", "a,b", "Pci(0x1,0x0)", "a(", ")a", "(a)", "", "\ud800", "Acpi(PNP0A03,0)"):
        path = DevicePath.of(FilePath(name))
        assert DevicePath.from_text(str(path)) == path, name
    for name in ("a(b)", "Pci", "Pic(0x1)", "\\EFI\\a b.efi"):
        assert str(DevicePath.of(FilePath(name))) == name


def bodies(kind: type[Node]) -> st.SearchStrategy[bytes]:
    """Bytes after a node's head: of its fixed layout, and with texts of all sorts behind it."""
    layout = getattr(kind, "LAYOUT", None)
    size = layout.size if layout is not None else 0
    fixed = st.binary(min_size=size, max_size=size)
    small = st.integers(0, 3).map(lambda value: bytes([value])) | st.just(b"\0")
    sparse = st.lists(small | st.binary(min_size=1, max_size=1), min_size=size, max_size=size).map(b"".join)
    plain = st.text("abZ019.:-/,()\"' \\=é\0", max_size=12)
    narrow = plain.map(lambda text: text.encode("latin-1") + b"\0")
    wide = plain.map(lambda text: text.encode("utf-16-le") + b"\0\0")
    tails = (
        st.just(b"") | narrow | wide | st.binary(max_size=20) | st.lists(narrow, min_size=3, max_size=3).map(b"".join)
    )
    return st.builds(lambda head, tail: head + tail, fixed | sparse, tails) | fixed | sparse


NODES = st.one_of(
    *(st.builds(lambda body, key=key: (*key, body), bodies(kind)) for key, kind in _KINDS.items()),
    st.tuples(
        st.integers(0, 255).filter(lambda kind: kind & 0x7F != 0x7F), st.integers(0, 255), st.binary(max_size=24)
    ),
)


@given(st.lists(st.lists(NODES, max_size=3), min_size=1, max_size=3))
def test_every_path_survives_bytes_and_text(instances: list[list[tuple[int, int, bytes]]]) -> None:
    packed = [
        b"".join(bytes([kind, subtype]) + (4 + len(body)).to_bytes(2, "little") + body for kind, subtype, body in nodes)
        for nodes in instances
    ]
    data = END_INSTANCE.join(packed) + END_ENTIRE
    path = DevicePath.parse(data)
    assert path.pack() == data
    assert DevicePath.from_text(path.text(exact=True)) == path
    assert DevicePath.from_text(path.text(exact=True, shortcuts=True)) == path
    path.text(display=True, shortcuts=True)


@given(st.sampled_from(sorted(_KINDS)), st.data())
def test_a_lossless_text_parses_into_its_node(key: tuple[int, int], data: st.DataObject) -> None:
    body = data.draw(bodies(_KINDS[key]))
    node = DevicePath.parse(bytes(key) + (4 + len(body)).to_bytes(2, "little") + body + END_ENTIRE).nodes[0]
    if not isinstance(node, GenericNode) and node.is_lossless():
        assert DevicePath.from_text(node.text()).nodes == (node,)


@given(
    st.text(max_size=60)
    | st.builds("{}({})".format, st.sampled_from(sorted(KEYWORDS)), st.text('0x19aF,.:-"N)', max_size=30))
)
def test_any_text_is_a_path_or_a_typed_error(text: str) -> None:
    try:
        path = DevicePath.from_text(text)
    except DevicePathError:
        return
    assert DevicePath.parse(path.pack()) == path


@given(st.binary(max_size=80))
def test_any_bytes_are_a_path_or_a_typed_error(data: bytes) -> None:
    try:
        path = DevicePath.parse(data)
    except DevicePathError:
        return
    assert path.pack() == data


def test_every_kind_of_uefi_2_10_is_known() -> None:
    hardware, acpi = {(1, each) for each in range(1, 7)}, {(2, each) for each in range(1, 5)}
    messaging = {(3, each) for each in range(1, 35)} - {(3, 7), (3, 8)}  # never assigned
    media = {(4, each) for each in range(1, 10)}
    assert set(_KINDS) == hardware | acpi | messaging | media | {(5, 1)}


@pytest.mark.parametrize(
    ("data", "message", "offset"),
    [
        (b"", "no end", 0),
        (b"\x7f\xff\x04", "head leaves", 0),
        (b"\x01\x01\x00\x00" + END_ENTIRE, "shorter than its head", 2),
        (b"\x01\x01\x06\x00\x00", "leaves the data", 2),
        (b"\x01\x01\x06\x00\x00\x00", "no end", 6),
        (b"\x01\x01\x06\x00\x00\x00" + END_INSTANCE, "no end", 10),
        (b"\x7f\xff\x05\x00\x00", "not an end node", 0),
        (b"\x7f\x02\x04\x00", "not an end node", 0),
        (END_ENTIRE + b"\0", "bytes follow", 4),
    ],
)
def test_malformed_paths(data: bytes, message: str, offset: int) -> None:
    with pytest.raises(DevicePathError, match=message) as caught:
        DevicePath.parse(data)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Pci()", "missing"),
        ("Pci(1,2,3)", "too many"),
        ("Pci(0x100,0)", "too large"),
        ("Pci(x,0)", "not an integer"),
        ("HD(1,GPT,nonsense,1,2)", "not a GUID"),
        ("VenHw(C10DDB00-7E1A-4001-91B0-070CB1EC80B1,ABC)", "hex dump"),
        ("IPv4(300.1.1.1)", "not an IPv4"),
        ("IPv4(1.1.1.1:x)", "not a port"),
        ("IPv6(nothing)", "not an IPv6"),
        ("Acpi(HELLO)", "EISA"),
        ("NVMe(1,00)", "EUI-64"),
        ("NVMEoF(nqn,00)", "another size"),
        ("SAS(1,2,3,SAS,Internal,Direct,300)", "drive bay"),
        ("SAS(1,2,3,x)", "not an integer"),
        ("Wi-Fi(" + "x" * 33 + ")", "SSID"),
        ("MAC(" + "00" * 33 + ")", "32 bytes"),
        ("Path(127,255)", "end node"),
        ("Msg(99," + "00" * 70000 + ")", "too large"),
        ("a\0b", "null"),
    ],
)
def test_malformed_texts(text: str, message: str) -> None:
    with pytest.raises(DevicePathError, match=message):
        DevicePath.from_text(text)
    with pytest.raises(DevicePathError, match=message):
        DevicePath.from_text(f"PciRoot(0x0)/{text}")


def test_errors_name_the_node_and_its_place() -> None:
    with pytest.raises(DevicePathError) as caught:
        DevicePath.from_text("PciRoot(0x0)/Pci(0x1,0x100)")
    assert (caught.value.structure, caught.value.field, caught.value.offset) == ("Pci", "argument 2", 13)


def test_optional_arguments_have_the_specification_s_defaults() -> None:
    # edk2 issue 7562: Sata, Usb... and AcpiExp with arguments left out.
    assert str(DevicePath.from_text("Sata(0x1)")) == "Sata(0x1,0xFFFF,0x0)"
    assert str(DevicePath.from_text("UsbClass()")) == "UsbClass(0xFFFF,0xFFFF,0xFF,0xFF,0xFF)"
    assert str(DevicePath.from_text("UsbHub()")) == "UsbHub(0xFFFF,0xFFFF,0xFF,0xFF)"
    assert str(DevicePath.from_text("AcpiExp(PNP0A03,,U1)")) == "AcpiExp(PNP0A03,0,U1)"
    assert str(DevicePath.from_text("PciRoot()")) == "PciRoot(0x0)"
    assert str(DevicePath.from_text("eMMC()")) == "eMMC(0x0)"


def test_edk2_issue_7623_display_and_shortcuts_are_told_apart() -> None:
    path = DevicePath.of(AcpiExtended(eisa_id("PNP0A03"), 5, eisa_id("PNP0A08")))
    assert path.text(shortcuts=True) == "AcpiEx(PNP0A03,PNP0A08,0x5,,,)"
    assert path.text(display=True) == "PciRoot()"


def test_edk2_issue_6901_several_instances_keep_their_ends() -> None:
    path = DevicePath.from_text("Pci(0x1,0x0),/Pci(0x2,0x0)")
    assert path.instances == ((Pci(0, 1),), (Pci(0, 2),))
    assert path.pack().count(END_INSTANCE) == 1
    assert path == DevicePath.from_text("Pci(0x1,0x0),Pci(0x2,0x0)")
    with pytest.raises(DevicePathError, match="several instances"):
        _ = path.nodes


def test_edk2_issue_7759_a_file_s_path_without_its_null_is_no_file_s_path() -> None:
    # EDK2's IsDevicePathValid took such nodes, and its users read on behind them.
    for body in (b"", b"a", b"a\0", b"a\0b\0", b"a\0\0\0b\0\0\0"):
        data = b"\4\4" + (4 + len(body)).to_bytes(2, "little") + body + END_ENTIRE
        path = DevicePath.parse(data)
        assert path.nodes == (GenericNode(4, 4, body),)
        assert DevicePath.from_text(str(path)).pack() == path.pack() == data


def test_edk2_issue_9422_missing_strings_are_not_read_past_the_node() -> None:
    # EDK2 looked for the strings of AcpiEx behind the node when the node had none.
    for strings in (b"", b"HID\0", b"HID\0UID\0", b"HID\0UID\0CID"):
        body = bytes.fromhex("d041030a05000000d041080a") + strings
        data = b"\2\2" + (4 + len(body)).to_bytes(2, "little") + body + END_ENTIRE
        path = DevicePath.parse(data)
        assert path.nodes == (GenericNode(2, 2, body),)
        assert str(path) == path.text(display=True) == f"AcpiPath(2,{body.hex().upper()})"
        assert DevicePath.from_text(str(path)).pack() == data


@pytest.mark.parametrize("key", sorted(_KINDS))
def test_efivar_pull_264_every_kind_of_node_is_kept_at_every_size(key: tuple[int, int]) -> None:
    # efivar's formatters used a node's size without looking whether it was an error.
    for size in range(80):
        data = bytes(key) + (4 + size).to_bytes(2, "little") + bytes(size) + END_ENTIRE
        path = DevicePath.parse(data)
        assert path.pack() == data
        assert DevicePath.from_text(str(path)) == path
        path.text(display=True, shortcuts=True)


def test_efibootmgr_issue_133_unknown_node_types_are_kept() -> None:
    # efivar refused whole boot entries over one node of a type it did not know.
    data = bytes.fromhex("060106000102") + END_ENTIRE
    assert DevicePath.parse(data).nodes == (GenericNode(6, 1, b"\1\2"),)
    assert str(DevicePath.parse(data)) == "Path(6,1,0102)"


def test_gfxutil_pull_6_ends_of_efi_1_10_are_ends() -> None:
    data = bytes.fromhex("04061400CA98B835A9B6CE498C72904735CC49B7FFFF0400")
    path = DevicePath.parse(data)
    assert str(path) == "FvFile(35B898CA-B6A9-49CE-8C72-904735CC49B7)"
    assert path.pack() == data


def test_gfxutil_pull_7_vendor_nodes_without_a_guid_are_kept() -> None:
    for number in ("01", "02"):
        data = bytes.fromhex(f"02010C00D041030A0000000001010600001E030A0500{number}7FFF0400")
        path = DevicePath.parse(data)
        assert str(path) == f"PciRoot(0x0)/Pci(0x1E,0x0)/Msg(10,{number})"
        assert DevicePath.from_text(str(path)).pack() == path.pack() == data


def test_eisa_identifiers() -> None:
    assert (eisa_id("PNP0A03"), eisa_text(0x0A0341D0)) == (0x0A0341D0, "PNP0A03")
    with pytest.raises(ValueError, match="EISA"):
        eisa_id("PNP0A0")


def test_builders_make_the_published_disk_s_path() -> None:
    guid = GUIDS["CLOUDBOOT_PUBLISHED_DISK"]
    disk = DevicePath.of(VendorMedia(guid))
    assert disk.pack().hex() == "0403140000db0dc11a7e014091b0070cb1ec80b17fff0400"
    partition = disk.append(HardDrive.gpt(1, 64, 32768, UUID("12345678-1234-1234-1234-123456789abc")))
    assert len(partition.pack()) == 66  # as a firmware's partition driver makes it
    loader = partition.append(FilePath(r"\EFI\BOOT\BOOTX64.EFI"))
    assert loader.is_child_of(partition)
    assert partition.is_child_of(disk)
    assert not disk.is_child_of(disk)
    assert disk.starts_with(disk)
    assert str(loader).endswith(r"/HD(1,GPT,12345678-1234-1234-1234-123456789ABC,0x40,0x8000)/\EFI\BOOT\BOOTX64.EFI")
    assert HardDrive.mbr(1, 63, 1000, 0x12345678).text() == "HD(1,MBR,0x12345678,0x3F,0x3E8)"
    with pytest.raises(RangeError):
        Pci(256, 0).pack()
    with pytest.raises(RangeError):
        VendorMessage(guid, bytes(70000)).pack()


DISK = bytes.fromhex("0403140000db0dc11a7e014091b0070cb1ec80b1")
CHILD = DISK + Pci(0, 1).pack()


@pytest.mark.parametrize(
    ("parent", "child", "strict"),
    [
        (DISK + END_ENTIRE, CHILD + END_ENTIRE, True),  # a child
        (DISK + END_ENTIRE, DISK + END_ENTIRE, False),  # equal
        (DISK + END_ENTIRE, Pci(0, 1).pack() + END_ENTIRE, False),  # a sibling
        (DISK[:8] + END_ENTIRE, CHILD + END_ENTIRE, False),  # a prefix that ends inside a node
        (DISK, CHILD + END_ENTIRE, False),  # a prefix without an end
        (b"", CHILD + END_ENTIRE, False),
        (DISK + END_ENTIRE, b"", False),
        (b"", b"", False),
        (b"\x01\x01\x00\x00" + END_ENTIRE, CHILD + END_ENTIRE, False),  # a node of length zero
        (DISK + END_ENTIRE, DISK + b"\x01\x01\x00\x00", False),
        (END_ENTIRE, CHILD + END_ENTIRE, True),  # the empty path begins every path
        (DISK + END_ENTIRE, DISK + END_INSTANCE + CHILD + END_ENTIRE, False),  # only the first instance counts
    ],
)
def test_strict_prefixes(parent: bytes, child: bytes, strict: bool) -> None:
    assert is_strict_prefix(parent, child) is strict


def test_what_locate_device_path_leaves() -> None:
    assert remaining(DISK + END_ENTIRE, CHILD + END_ENTIRE) == Pci(0, 1).pack() + END_ENTIRE
    assert remaining(DISK + END_ENTIRE, DISK + END_ENTIRE) == END_ENTIRE
    assert remaining(CHILD + END_ENTIRE, DISK + END_ENTIRE) is None
    assert first_instance_size(CHILD + END_ENTIRE) == len(CHILD)
    assert first_instance_size(CHILD) is None


def test_lists_of_paths() -> None:
    data = DISK + END_ENTIRE + CHILD + END_ENTIRE
    assert [path.pack() for path in DevicePath.parse_list(data)] == [DISK + END_ENTIRE, CHILD + END_ENTIRE]
    with pytest.raises(DevicePathError) as caught:
        DevicePath.parse_list(data[:-4], offset=100)
    assert caught.value.offset == 100 + len(data) - 4
    with pytest.raises(DevicePathError, match="at least"):
        DevicePath(())
    with pytest.raises(DevicePathError, match="one end"):
        DevicePath(((),), (0x7F, 0x7F))
    with pytest.raises(ValueError, match="not exact"):
        DevicePath.of().text(exact=True, display=True)
