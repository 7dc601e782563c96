"""What stands on the disk, against files that mkntfs wrote and against the documents."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import judge
from cloudboot_ntfs import errors, upcase
from cloudboot_ntfs.layout import attrdef, filename, fixup, lznt1, lzx, records, runlist, structs, times, xpress
from cloudboot_ntfs.layout.constants import Namespace
from cloudboot_ntfs.layout.runlist import Run
from cloudboot_ntfs.layout.secure import descriptor_hash
from cloudboot_ntfs.testing import ntfs3g_volume, pattern, wim_chunks
from cloudboot_records.generate import generate


def test_checked_in_records_are_those_of_the_declaration() -> None:
    with open(records.__file__, encoding="utf-8") as file:
        assert file.read() == generate(structs)


def test_offsets_are_those_of_the_documents() -> None:
    assert records.BootSector.SIZE == 512
    assert records.BootSector.LAYOUT.offsets["total_sectors"] == 0x28
    assert records.BootSector.LAYOUT.offsets["clusters_per_record"] == 0x40
    assert records.BootSector.LAYOUT.offsets["serial"] == 0x48
    assert records.RecordHeader.SIZE == 0x30
    assert 16 + records.NonResidentHeader.SIZE == 0x40
    assert records.StandardInformation.SIZE == 72
    assert records.FileName.SIZE == 66
    assert records.AttributeListEntry.SIZE == 26
    assert records.AttrDefEntry.SIZE == 160
    assert records.SdsEntry.SIZE == 20
    assert records.UsnRecord.SIZE == 60


def test_tables_are_those_that_mkntfs_writes(tmp_path: Path) -> None:
    image = ntfs3g_volume(tmp_path / "image", 8 << 20)
    cat = judge("ntfscat", "ntfs-3g")
    assert subprocess.run([cat, "-i", "10", image], capture_output=True, check=True).stdout == upcase.default_bytes()
    assert subprocess.run([cat, "-i", "4", image], capture_output=True, check=True).stdout == attrdef.table()
    assert hashlib.sha256(upcase.default_bytes()).hexdigest().startswith("41c26bc7a12b")
    assert hashlib.sha256(attrdef.table()).hexdigest().startswith("d7de5b1b2f79")


def test_upper_case_is_not_that_of_unicode() -> None:
    assert upcase.upcase("stra\u00dfe") == "STRA\u00dfE"
    assert upcase.upcase("\U00010428") == "\ud801\udc28"
    differing = [unit for unit, upper in enumerate(upcase.default_table()) if chr(unit).upper() != chr(upper)]
    assert len(differing) > 200


runs = st.lists(st.tuples(st.integers(1, 1 << 20), st.none() | st.integers(0, 1 << 40)), max_size=20)


@given(runs)
def test_runs_go_round(pairs: list[tuple[int, int | None]]) -> None:
    expected, vcn = [], 0
    for length, lcn in pairs:
        expected.append(Run(vcn, length, lcn))
        vcn += length
    assert runlist.decode(runlist.encode(expected), 0, 1 << 42) == expected


def test_runs_of_the_documents() -> None:
    # linux-ntfs, "Data Runs": 0x18 clusters at 0x5634; then with holes and steps back.
    assert runlist.decode(bytes.fromhex("2118345600"), 0, 1 << 20) == [Run(0, 0x18, 0x5634)]
    back = bytes.fromhex("113060 21100001 1120e0 0108 00")
    assert runlist.decode(back, 0, 1 << 20) == [
        Run(0, 0x30, 0x60),
        Run(0x30, 0x10, 0x160),
        Run(0x40, 0x20, 0x140),
        Run(0x60, 8, None),
    ]


@given(st.binary(max_size=40))
def test_any_bytes_are_runs_or_an_error(data: bytes) -> None:
    try:
        found = runlist.decode(data, 0, 1000)
    except errors.RunListError:
        return
    assert all(run.lcn is None or run.lcn + run.length <= 1000 for run in found)


def test_fixups_notice_a_torn_write() -> None:
    record = bytearray(pattern(1024))
    record[4:8] = b"\x30\0\x03\0"
    before = bytes(record)
    fixup.protect(record, 7)
    assert record[510:512] == record[1022:1024] == b"\x07\0"
    whole = bytearray(record)
    fixup.restore(whole, "record")
    assert whole[0x36:] == before[0x36:]
    record[1022] ^= 1
    with pytest.raises(errors.FixupError, match="another update sequence number"):
        fixup.restore(record, "record")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("README.TXT", Namespace.WIN32_AND_DOS), ("readme.txt", Namespace.WIN32_AND_DOS),
        ("$MFT", Namespace.WIN32_AND_DOS),
        ("a b", Namespace.POSIX), ("NUL", Namespace.POSIX), ("con.txt", Namespace.POSIX), ("a:b", Namespace.POSIX),
        ("end.", Namespace.POSIX), ("end ", Namespace.POSIX),
    ],
)  # fmt: skip
def test_kinds_of_names(name: str, kind: Namespace) -> None:
    assert filename.namespace_of(name) == kind


def test_times() -> None:
    assert times.to_unix_ns(times.UNIX_EPOCH) == 0
    assert times.from_unix_ns(times.to_unix_ns(132_000_000_000_000_000)) == 132_000_000_000_000_000
    assert times.from_unix_ns(-(1 << 80)) == 0


def test_hashes_of_descriptors_are_those_of_mkntfs(tmp_path: Path) -> None:
    from cloudboot_ntfs import NTFS
    from cloudboot_ntfs.layout.records import SdsEntry
    from cloudboot_ntfs.reader.secure import Secure

    with NTFS(ntfs3g_volume(tmp_path / "image", 8 << 20)) as volume:
        stream = volume.open_inode(9, stream="$SDS")
        secure = Secure(volume.mft)
        found = {
            head.security_id: head.hash for head in (SdsEntry.unpack_from(stream.read_at(at, 20)) for at in (0, 128))
        }
        assert found == {number: descriptor_hash(secure.get(number)) for number in (0x100, 0x101)}


@pytest.mark.parametrize("compression", ["LZX", "XPRESS"])
def test_wimlib_compresses_what_is_decompressed(compression: str, tmp_path: Path) -> None:
    source = Path("/bin/sh").resolve().read_bytes()
    decompress = lzx.decompress if compression == "LZX" else xpress.decompress
    parts = []
    for index, chunk in enumerate(wim_chunks(source, compression, tmp_path)):
        size = min(32768, len(source) - index * 32768)
        parts.append(chunk if len(chunk) == size else decompress(chunk, size))
    assert b"".join(parts) == source


def test_lznt1_chunks() -> None:
    stored = (0x3000 | 99).to_bytes(2, "little") + pattern(100)
    assert lznt1.decompress(stored, 100) == pattern(100)
    # One literal, then a reference to it of 4,095 bytes: 12 bits of length, 4 of distance.
    repeated = bytes.fromhex("03b0 02 61 fc0f")
    assert lznt1.decompress(repeated, 4096) == b"a" * 4096
    with pytest.raises(errors.CompressionError, match="passes the end"):
        lznt1.decompress(stored[:50], 100)


@given(st.binary(max_size=600), st.integers(0, 5000))
def test_any_bytes_are_decompressed_or_refused(data: bytes, size: int) -> None:
    for decompress in (lznt1.decompress, xpress.decompress, lzx.decompress):
        with contextlib.suppress(errors.CompressionError):
            assert len(decompress(data, size)) == size
