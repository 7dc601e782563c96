"""Hives: what is built is read by programs of other projects; what is damaged is refused by name."""

from __future__ import annotations

import contextlib
import re
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudboot_base.testing import flipped, judge, run
from cloudboot_ntfs import errors
from cloudboot_ntfs.registry import (
    Hive,
    HiveOptions,
    Key,
    Value,
    build,
    check,
    decode_file,
    export_text,
    import_text,
    records,
    replay,
    structs,
)
from cloudboot_ntfs.registry.lists import name_hash
from cloudboot_ntfs.registry.logs import marvin32
from cloudboot_ntfs.testing import new_log, old_log, sample_key
from cloudboot_records.generate import generate


@pytest.fixture(scope="module")
def hive() -> bytes:
    return build(sample_key())


def test_checked_in_records_are_those_of_the_declaration() -> None:
    with open(records.__file__, encoding="utf-8") as file:
        assert file.read() == generate(structs)


def test_offsets_are_those_of_the_specification() -> None:
    assert records.BaseBlock.LAYOUT.offsets["checksum"] == 508
    assert records.BaseBlock.LAYOUT.offsets["last_reorganized"] == 168
    assert records.KeyNode.LAYOUT.offsets["class_length"] == 74
    assert (records.KeyNode.SIZE, records.KeyValue.SIZE, records.KeySecurity.SIZE) == (76, 20, 20)
    assert (records.HiveBin.SIZE, records.LogEntry.SIZE) == (32, 40)


def test_same_keys_same_bytes_and_nothing_wrong(hive: bytes) -> None:
    assert build(sample_key()) == hive
    assert check(hive) == []
    assert build(Hive(hive).load()) == hive


@pytest.mark.parametrize("minor", [3, 4, 5, 6])
def test_hivex_reads_every_version(minor: int, tmp_path: Path) -> None:
    path = tmp_path / "hive"
    path.write_bytes(build(sample_key(), HiveOptions(minor_version=minor)))
    xml = run(judge("hivexml", "libhivex-bin"), path)
    # hivex opens 1.3 and later, and reads big data in segments in each of them.
    assert len(re.findall("<node ", xml)) == 1304
    assert '<value type="int64" key="large" value="1099511627776">' in xml
    assert '<value type="expand" key="path" value="%SystemRoot%">' in xml
    assert Hive(path).version == (1, minor)
    assert Hive(path).load() == Hive(build(sample_key())).load()


def test_hivexsh_finds_by_name(hive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hive"
    path.write_bytes(hive)
    listed = run(judge("hivexsh", "libhivex-bin"), path, stdin=b"cd \\Many\\KEY0777\nlsval number\n")
    assert listed.split() == ["777"]


def test_python_registry_reads_it(hive: bytes, tmp_path: Path) -> None:
    registry = pytest.importorskip("Registry.Registry")
    path = tmp_path / "hive"
    path.write_bytes(hive)
    root = registry.Registry(str(path)).root()
    values = {value.name(): value.value() for value in root.values() if value.name() != "resources"}
    assert values["big"] == bytes(range(256)) * 200
    assert values["texts"] == ["one", "two", "", ""]  # the end of the list is two empty texts to it
    assert values["large"] == 1 << 40
    assert values["(default)"] == "default"
    assert [key.name() for key in root.subkey("Many").subkeys()] == [f"key{number:04}" for number in range(1300)]


def test_regipy_reads_it(hive: bytes, tmp_path: Path) -> None:
    registry = pytest.importorskip("regipy.registry")
    path = tmp_path / "hive"
    path.write_bytes(hive)
    found = registry.RegistryHive(str(path))
    values = {value.name: value.value for value in found.root.iter_values()}
    assert values["small"] == 7
    assert values["\u00fcn\u00ef\u0416"] == 'q"\\'
    assert found.get_key("\\Many\\key1299").get_value("number") == 1299


@pytest.mark.filterwarnings("ignore")  # regipy leaves files open
def test_log_is_replayed_as_regipy_does(hive: bytes, tmp_path: Path) -> None:
    recovery = pytest.importorskip("regipy.recovery")
    after = build(_changed())
    assert len(after) == len(hive)
    dirty, log = new_log(hive, after)
    (tmp_path / "hive").write_bytes(dirty)
    (tmp_path / "hive.LOG1").write_bytes(log)
    theirs, pages = recovery.apply_transaction_logs(
        str(tmp_path / "hive"), str(tmp_path / "hive.LOG1"), restored_hive_path=str(tmp_path / "restored")
    )
    ours = replay(dirty, [log])
    assert pages > 0
    assert Path(theirs).read_bytes()[4096:] == ours[4096:]
    assert Hive(dirty).is_dirty
    assert [finding.kind for finding in check(dirty)] == ["hive-dirty"]
    assert check(ours) == []
    assert Hive(dirty, logs=[log]).key("Many\\key0001").value("number").decoded == 99999


@pytest.mark.parametrize("make", [new_log, old_log])
def test_logs_of_both_formats(hive: bytes, make: object) -> None:
    after = build(_changed())
    dirty, log = make(hive, after)  # type: ignore[operator]  # a parameter
    replayed = replay(dirty, [log])
    assert replayed[4096:] == after[4096:]
    assert not Hive(replayed).is_dirty
    assert replay(hive, [log]) == hive  # a clean hive stays as it is


def test_log_with_a_wrong_hash_is_not_applied(hive: bytes) -> None:
    dirty, log = new_log(hive, build(_changed()))
    with pytest.raises(errors.HiveDirtyError, match="no log continues it"):
        replay(dirty, [flipped(log, 2000)])


def test_marvin32_known_answers() -> None:
    # The vectors that .NET's implementation is tested with: seed 0x4FB61A001BDBCCF0.
    seed = 0x004FB61A001BDBCC
    vectors = {
        "": 0x30ED35C100CD3C7D,
        "AF": 0x48E73FC77D75DDC1,
        "E70F": 0xB5F6E1FC485DBFF8,
        "37F495": 0xF0B07C789B8CF7E8,
    }
    assert {text: marvin32(bytes.fromhex(text), seed) for text in vectors} == vectors


def _changed() -> Key:
    key = sample_key()
    key.key("many\\KEY0001").set(Value.number("number", 99999))
    key.key("many\\key1200").set(Value.number("number", 12345))
    return key


def test_reg_text_goes_round(hive: bytes) -> None:
    prefix = "HKEY_LOCAL_MACHINE\\SYSTEM"
    root = Hive(hive).load()
    text = export_text(root, prefix)
    back = Key("ROOT", modified=root.modified)
    assert import_text(back, decode_file(text.encode("utf-16")), prefix) > 1300
    values = {path: key.values for path, key in root.walk()}
    assert {path: key.values for path, key in back.walk()} == values


def test_hivexregedit_exports_the_same_values(hive: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hive"
    path.write_bytes(hive)
    program = judge("hivexregedit", "libwin-hivex-perl")
    done = subprocess.run(
        [program, "--export", "--prefix", "HKLM\\X", path, "\\"], stdout=-1, stderr=-3, check=True, encoding="utf-8"
    )
    theirs = done.stdout
    back = Key("ROOT")
    import_text(back, theirs, "HKLM\\X")
    mine = {path: {value.name: value for value in key.values} for path, key in Hive(hive).load().walk()}
    assert {path: {value.name: value for value in key.values} for path, key in back.walk()} == mine


def test_hivexregedit_merges_our_text(tmp_path: Path) -> None:
    path = tmp_path / "hive"
    path.write_bytes(build(Key("ROOT")))
    (tmp_path / "sample.reg").write_text(export_text(sample_key(), "HKLM\\X").replace("\r\n", "\n"), encoding="utf-8")
    run(judge("hivexregedit", "libwin-hivex-perl"), "--merge", "--prefix", "HKLM\\X", path, tmp_path / "sample.reg")
    merged = {key: {value.name: value.data for value in node.values} for key, node in Hive(path).load().walk()}
    assert merged == {key: {value.name: value.data for value in node.values} for key, node in sample_key().walk()}


def test_reg_text_as_regedit_writes_it() -> None:
    """Texts over several lines, separators of Unicode in them, quotes and signs of the grammar in names."""
    root = Key()
    text = (
        'Windows Registry Editor Version 5.00\r\n\r\n; a quote " in a comment\r\n[X\\A[b]]\r\n'
        '"two"="line 1\r\n  line 2 \\"q\\"\r\nend\\\\"\r\n"u"="a\u2028b\x85c"\r\n"x=y"="1"\r\n'
        '"list"=hex(7):61,00,\\\r\n  62,00,00,00,\\\r\n  00,00\r\n@="d"\r\n"e\\"q"=dword:0000000A\r\n"p"="C:\\\\"\r\n'
    )
    assert import_text(root, text, "X") == 8
    assert [(value.name, value.decoded) for value in root.key("A[b]").values] == [
        ("two", 'line 1\r\n  line 2 "q"\r\nend\\'), ("u", "a\u2028b\x85c"), ("x=y", "1"), ("list", ["ab"]), ("", "d"),
        ('e"q', 10), ("p", "C:\\"),
    ]  # fmt: skip
    old = Key()
    import_text(old, decode_file(b'REGEDIT4\n\n[X]\n"euro"="\x80\x81"\n"hex"=hex(2):80,00\n'), "X")
    assert [value.decoded for value in old.values] == ["\u20ac\x81", "\u20ac"]


def test_reg_text_removes(hive: bytes) -> None:
    root = Hive(hive).load()
    text = 'REGEDIT4\n\n; a comment\n[-X\\Many]\n[X]\n"small"=-\n"old"=hex(1):61,\\\n  62,00\n'
    import_text(root, text, "X")
    assert root.find("Many") is None
    assert root.value("old").decoded == "ab"
    with pytest.raises(errors.KeyNotFoundError):
        root.value("small")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "not a .reg file"),
        ("REGEDIT4\n[Y]", "outside of the hive"),
        ('REGEDIT4\n"a"="b"', "a value without a key"),
        ("REGEDIT4\n[X]\nabc", "not a value"),
        ('REGEDIT4\n[X]\n"a"=hex:123', "not the data"),
        ('REGEDIT4\n[X]\n"a"=hex:12,\\', "goes on"),
        ('REGEDIT4\n[X]\n"a"="b\nc" d', "not the data"),
        ('REGEDIT4\n[X]\n"a"="b\nc', "goes on"),
        ("REGEDIT4\n[-X]", "root of the hive"),
    ],
)
def test_reg_text_at_fault(text: str, message: str) -> None:
    with pytest.raises(errors.RegTextError, match=message):
        import_text(Key(), text, "X")


def test_deleted_keys_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "hive"
    path.write_bytes(build(sample_key()))
    assert list(Hive(path).deleted()) == []
    run(judge("hivexsh", "libhivex-bin"), "-w", path, stdin=b"cd \\Many\\key0007\ndel\ncommit\nquit\n")
    hive = Hive(path)
    assert [found.name for found in hive.deleted() if found.kind == "key"] == ["key0007"]
    with pytest.raises(errors.KeyNotFoundError):
        hive.key("Many\\key0007")


def test_limits() -> None:
    for root in (
        Key("R", keys=[Key("a"), Key("A")]),
        Key("R", keys=[Key("x" * 256)]),
        Key("R", keys=[Key("a\\b")]),
        Key("R", [Value.binary("a", b""), Value.binary("A", b"")]),
    ):
        with pytest.raises(errors.HiveLimitError):
            build(root)
    with pytest.raises(errors.HiveLimitError):
        build(Key("R"), HiveOptions(minor_version=7))
    with pytest.raises(errors.HiveLimitError):
        Value.number("n", 1 << 32)


names = st.text(st.characters(exclude_characters="\\\0"), min_size=1, max_size=20)
values = st.builds(Value, st.text(max_size=10), st.integers(0, 0xFFFFFFFF), st.binary(max_size=40))
trees = st.recursive(
    st.builds(Key, names, st.lists(values, max_size=3, unique_by=lambda value: value.name.upper())),
    lambda below: st.builds(
        Key, names, st.just([]), st.lists(below, max_size=4, unique_by=lambda key: key.name.upper())
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(trees)
def test_what_is_built_is_read(root: Key) -> None:
    try:
        data = build(root)
    except errors.HiveLimitError:  # two names that Windows takes for one, and Unicode does not
        return
    assert check(data) == []
    loaded = Hive(data).load()
    expected = {path.casefold(): key.values for path, key in root.walk()}
    assert {path.casefold(): key.values for path, key in loaded.walk()} == expected


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_is_an_error_or_a_finding(data: st.DataObject) -> None:
    small = build(Key("R", [Value.binary("v", bytes(20))], [Key("a"), Key("b", [Value.text("t", "x")])]))
    damaged = bytearray(small)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, 1) | st.integers(4096, 4900))
        damaged[place] = data.draw(st.integers(0, 255))
    check(bytes(damaged))
    with contextlib.suppress(errors.HiveError, errors.DescriptorError):
        Hive(bytes(damaged)).load()


@pytest.mark.parametrize(("offset", "kind"), [(0, "hive"), (508, "hive"), (4096, "hive")])
def test_hivex_refuses_what_we_refuse(hive: bytes, offset: int, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "hive"
    path.write_bytes(flipped(hive, offset, 1))
    assert [finding.kind for finding in check(path)] == [kind]
    done = subprocess.run([judge("hivexml", "libhivex-bin"), path], capture_output=True, check=False)
    assert done.returncode != 0


def test_check_names_what_is_wrong() -> None:
    data = build(Key("R", keys=[Key("a"), Key("b")]))
    node = data.index(b"lh")
    assert {finding.kind for finding in check(flipped(data, node + 8))} == {"hive-name-hash"}
    security = data.index(b"sk")
    assert {finding.kind for finding in check(flipped(data, security + 12))} == {"hive-security-count"}
    swapped = data.replace(b"\xff\0a", b"\xff\0a")
    position = swapped.index(b"a", data.index(b"nk", data.index(b"nk") + 1) + 76)
    assert "hive-key-order" in {finding.kind for finding in check(swapped[:position] + b"c" + swapped[position + 1 :])}


def test_hash_of_a_name() -> None:
    # From the specification's section on the hash leaf: H = 37 * H + upper-case character.
    assert name_hash("ab") == ord("A") * 37 + ord("B")


def test_a_predefined_handle_has_no_values_and_stays_one(tmp_path: Path) -> None:
    """Windows keeps a handle where other keys have the number of their values: Perflib\\009 in SOFTWARE (flag 0x40)."""
    root = Key("R", keys=[Key("009", flags=0x40, handle=0x80000060, control=0x8)])
    hive = Hive(build(root))
    assert hive.key("009").values() == []
    assert check(hive.data) == []
    again = Hive(build(hive.load())).key("009").node
    assert (again.value_count, again.largest_subkey_name >> 16) == (0x80000060, 8)
    with pytest.raises(errors.HiveLimitError, match="predefined handle"):
        build(Key("R", keys=[Key("009", [Value.number("a", 1)], flags=0x40)]))


@pytest.mark.parametrize("minor", [3, 5])
def test_a_key_is_found_with_and_without_hashes(minor: int) -> None:
    root = Key("R")
    for number in range(1200):
        root.make(f"Key {number}\u00e9")
    data = bytearray(build(root, HiveOptions(minor_version=minor)))
    hive = Hive(data)
    assert hive.key("kEY 777\u00c9").name == "Key 777\u00e9"
    with pytest.raises(errors.KeyNotFoundError):
        hive.key("Key 1200\u00e9")
    # A hash that is wrong: Windows does not find the key, a reader does, and the check says why.
    if minor == 5:
        data[data.index(struct.pack("<I", name_hash("Key 777\u00e9")))] ^= 1
        assert Hive(data).key("Key 777\u00e9").name == "Key 777\u00e9"
        assert [finding.kind for finding in check(data)] == ["hive-name-hash"]
