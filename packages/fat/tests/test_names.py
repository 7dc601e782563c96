"""Long and short names against the specification's examples and against mtools."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import MemoryStorage, RangeError
from cloudboot_fat import FormatOptions, InvalidNameError, build, names, times
from cloudboot_fat.directory import Directory, parse
from cloudboot_fat.entries import new_record
from cloudboot_fat.extents import Extent
from cloudboot_fat.testing import mkfs, mtools


def free(_short: bytes) -> Any:
    return False


# fatgen103, "Short Directory Entries": how DIR_Name looks for what a user enters.
@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("foo.bar", b"FOO     BAR"),
        ("FOO.BAR", b"FOO     BAR"),
        ("Foo.Bar", b"FOO     BAR"),
        ("foo", b"FOO        "),
        ("PICKLE.A", b"PICKLE  A  "),
        ("prettybg.big", b"PRETTYBGBIG"),
    ],
)
def test_short_names_of_the_specification(name: str, short: bytes) -> None:
    assert names.ShortNames().choose(name, free) == short


@pytest.mark.parametrize(
    ("name", "short"),
    [
        # fatgen103, "Long Directory Entries": this very name and its short one
        ("The quick brown.fox", b"THEQUI~1FOX"),
        ("TextFile.Mine.txt", b"TEXTFI~1TXT"),
        (".profile", b"PROFIL~1   "),
        ("ver +1.2.text", b"VER_12~1TEX"),
        ("naïve.txt", b"NA_VE~1 TXT"),
        ("...a", b"A~1        "),
    ],
)
def test_numeric_tails(name: str, short: bytes) -> None:
    assert names.ShortNames().choose(name, free) == short


def test_tails_shorten_the_base_and_never_repeat() -> None:
    taken: set[bytes] = set()
    chooser = names.ShortNames()
    for number in range(12345):
        short = chooser.choose(f"a long name number {number}.config", taken.__contains__)
        assert short not in taken
        taken.add(short)
    assert b"ALONG~10CON" in taken
    assert b"ALO~1000CON" in taken
    assert b"AL~12345CON" in taken


def test_checksum_and_entries_equal_those_of_mtools(tmp_path: Path) -> None:
    """mcopy stores names; the slots must equal ours, byte for byte, but for times and clusters."""
    chosen = [
        "The quick brown.fox",
        "exactly13char",
        "ünïcödé €.text",
        "a",
        "x" * 255,
        "26 characters in one name "[:25] + "!",
    ]
    image = tmp_path / "m.img"
    mkfs(image, 1 << 20)
    (tmp_path / "x").write_bytes(b"")
    for name in chosen:
        mtools("mcopy", image, tmp_path / "x", f"::/{name}")
    data = image.read_bytes()
    fs = build(MemoryStorage(bytearray(1 << 20)), dict.fromkeys(chosen, b""))
    theirs = Directory(0, [Extent(0, 1 << 14)], bytearray(data[_root(data) : _root(data) + (1 << 14)]), wide=False)
    parse(theirs, "cp437")
    ours = fs.directory(0)
    compared = 0
    for name in chosen:
        mine, other = ours.find(name), theirs.find(name)
        assert other is not None, name
        assert mine is not None
        assert other.name == mine.name == name
        # mtools numbers tails in another order and keeps other characters; the long entries follow from the short name
        long = b"".join(theirs.slot(index) for index in range(other.index - other.slots + 1, other.index))
        expected = names.long_entries(name, other.record.DIR_Name) if other.slots > 1 else b""
        assert long == expected
        compared += len(long)
    assert compared > 32 * 25


def _root(data: Any) -> Any:
    return (int.from_bytes(data[14:16], "little") + data[16] * int.from_bytes(data[22:24], "little")) * 512


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "a\\b", "nul\0", "tab\t", "a:b", "what?", "x" * 256, "🐡" * 128, "dot.", "space ", "\udc80"],
)
def test_names_vfat_cannot_store_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError):
        names.validate(name)


@pytest.mark.parametrize("name", ["a", "x" * 255, "🐡" * 127, " leading", "a+b,c;d=[e]", ".hidden", "\x7f"])
def test_names_vfat_can_store_are_accepted(name: str) -> None:
    names.validate(name)


VALID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda name: names.long_name_problem(name) is None
)


@given(VALID)
def test_what_is_encoded_is_parsed_again(name: str) -> None:
    short = names.ShortNames().choose(name, free)
    assert names.short_name_problem(short) is None
    record = new_record(0x20, 0, 0, times.encode(times.EPOCH))
    record.DIR_Name = short
    long = names.long_entries(name, short) if names.long_entry_count(name) else b""
    assert len(long) == 32 * names.long_entry_count(name)
    data = bytearray(long + record.pack() + bytes(32))
    reports = []
    found = parse(Directory(0, [Extent(0, len(data))], data, wide=True), "cp437", lambda *facts: reports.append(facts))
    assert [entry.name for entry in found.entries] == [name]
    assert found.find(names.fold(name)) is found.entries[0]
    assert reports == []


@given(st.text(max_size=20))
def test_folding_is_idempotent_and_keeps_the_length(name: str) -> None:
    assert names.fold(names.fold(name)) == names.fold(name)
    assert len(names.fold(name)) == len(name)


@given(st.binary(min_size=11, max_size=11), st.integers(0, 255))
def test_a_short_name_never_has_a_separator(raw: bytes, case: int) -> None:
    shown = names.display_short(raw, "cp437", case)
    assert not names.FORBIDDEN_LONG.intersection(shown)
    assert shown not in {"", ".", ".."}


@given(st.datetimes(times.EPOCH, times.EPOCH.replace(2107, 12, 31, 23, 59, 59)))
def test_times_keep_ten_milliseconds(moment: dt.datetime) -> None:
    stamp = times.encode(moment)
    assert times.decode(*stamp) == moment.replace(microsecond=moment.microsecond // 10_000 * 10_000)


def test_time_zones_and_ranges() -> None:
    east, west = dt.timezone(dt.timedelta(hours=2)), dt.timezone(dt.timedelta(hours=-2))
    assert times.decode(*times.encode(dt.datetime(2025, 1, 1, 1, 0, tzinfo=east))) == times.EPOCH.replace(
        2024, 12, 31, 23
    )
    for early in (times.EPOCH.replace(1979), dt.datetime.min.replace(tzinfo=east), times.EPOCH.replace(tzinfo=east)):
        assert times.encode(early) == times.encode(times.EPOCH)
        assert times.is_too_early(early)
    assert not times.is_too_early(times.EPOCH)
    for late in (dt.datetime.max.replace(tzinfo=west), times.EPOCH.replace(2108)):
        with pytest.raises(RangeError):
            FormatOptions(timestamp=late)
    assert times.decode(0) is None
    assert times.decode(0xFFFF, 0xFFFF) is None
