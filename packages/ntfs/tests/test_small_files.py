"""Many small files: what is done for all of them together is what would be done for each by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cloudboot_ntfs as ntfs
from cloudboot_base import MemoryStorage
from cloudboot_ntfs import errors
from cloudboot_ntfs.builder.content import FileContent, MemoryContent
from cloudboot_ntfs.builder.copies import Piece, gather
from cloudboot_ntfs.builder.options import Options, plan
from cloudboot_ntfs.builder.placement import Allocator
from cloudboot_ntfs.builder.plain import PlainRecords, is_plain
from cloudboot_ntfs.builder.plan import Plan
from cloudboot_ntfs.builder.record import assemble
from cloudboot_ntfs.builder.secure import Descriptors
from cloudboot_ntfs.builder.source import Member, TreeBuilder, load_mapping
from cloudboot_ntfs.layout import names
from cloudboot_ntfs.layout.fixup import protect, protect_all

MIB = 1 << 20
times = st.integers(0, 1 << 60)


@given(
    st.sampled_from([1024, 4096]),
    st.integers(0, 3000),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60),
    st.tuples(times, times, times, times),
    st.integers(0, 0xFFFF),
    st.sampled_from([None, "O:SYG:SYD:(A;;FA;;;SY)"]),
)
def test_record_of_an_ordinary_file_is_that_of_any_other(
    record_size: int, size: int, name: str, when: tuple[int, int, int, int], attributes: int, security: str | None
) -> None:
    if name in {".", ".."}:
        return
    created, modified, accessed, changed = when
    builder = TreeBuilder()
    file = ntfs.File(
        b"c" * size, created_ns=created, mtime_ns=modified, accessed_ns=accessed, changed_ns=changed,
        attributes=attributes & ~0x4000, security=security,
    )  # fmt: skip
    load_mapping(builder, {f"/folder/{name}": file})
    options = Options(record_size=record_size)
    tree = Plan(builder.root, options, plan(options, 16 * MIB, b""), Descriptors())
    tree.place(Allocator(100))
    folder, item = tree.items
    assert is_plain(item)
    assert not is_plain(folder)

    found = bytearray(3 * record_size)
    PlainRecords(record_size).write(found, record_size, item, item.attributes, tree.security_of(item))
    whole = assemble(item.number, tree.attributes(item), record_size=record_size, links=1, flags=item.flags)
    assert found == bytes(record_size) + whole + bytes(record_size)


def test_files_with_more_than_an_ordinary_one_are_not_taken_for_one() -> None:
    builder = TreeBuilder()
    tree: dict[str, Member] = {
        "/linked": b"x",
        "/another name": ntfs.HardLink("/linked"),
        "/stream": ntfs.File(b"", streams={"s": b""}),
        "/link": ntfs.Symlink("linked"),
        "/folder link": ntfs.Symlink("folder", is_directory=True),
        "/short name": ntfs.File(b"", short_name="SHORTN~1"),
        "/hole": ntfs.Reparse(bytes.fromhex("1700008000000000"), size=MIB),
    }
    load_mapping(builder, tree)
    options = Options()
    laid_out = Plan(builder.root, options, plan(options, 16 * MIB, b""), Descriptors())
    laid_out.place(Allocator())
    assert [item.names[0].name for item in laid_out.items if is_plain(item)] == []


def test_all_records_of_a_buffer_are_protected_as_each() -> None:
    for size in (1024, 4096):
        records = [bytearray(os.urandom(8) * (size // 8)) for _ in range(5)]
        for record in records:
            record[4:8] = (0x30).to_bytes(2, "little") + (size // 512 + 1).to_bytes(2, "little")
        together = bytearray(b"".join(records))
        protect_all(together, size, 0x1234)
        for record in records:
            protect(record, 0x1234)
        assert together == b"".join(records)


@given(st.text(max_size=5) | st.sampled_from(["CON", "con.txt", "COM9", "lpt1 ", "a.", "a ", "console", "x" * 255]))
def test_ordinary_names_are_names_that_windows_takes(name: str) -> None:
    if names.is_ordinary(name):
        names.require_name(name, name)
        names.require_windows_name(name, name)


def test_nearly_all_names_are_ordinary() -> None:
    for name in ("a file of many 12", "README.md", "x" * 255, "winload.efi", "{guid}~1", "a", "$x", "co n", "icon"):
        assert names.is_ordinary(name), name
    for name in ("", ".", "..", "a/b", "a:b", "x" * 256, "CON", "Com1.txt", "dot.", "space ", "ä", "a\nb", "a\n"):
        assert not names.is_ordinary(name), name


@pytest.mark.parametrize("cluster", [512, 4096, 16384, 65536])
@pytest.mark.parametrize("clear", [False, True])
def test_copies_together_write_what_copies_one_by_one_do(cluster: int, clear: bool) -> None:
    sizes = [1, 511, 512, 4096, 5000, 1, 20_000, 3, 16_384, 16_383, 70_000, 9]
    pieces, offset = [], cluster
    for number, size in enumerate(sizes):
        offset += cluster * (number % 5 == 4)  # a gap
        pieces.append(Piece(offset, size, MemoryContent(bytes([number + 1]) * size), 0))
        offset += -(-size // cluster) * cluster
    target, expected = MemoryStorage(bytearray(offset + cluster)), bytearray(offset + cluster)
    if clear:
        target.write_at(0, b"\xff" * target.size)
        expected[:] = b"\xff" * len(expected)
    for piece in pieces:
        end = piece.offset + -(-piece.size // cluster) * cluster
        expected[piece.offset : end] = piece.content.read().ljust(end - piece.offset, b"\0")
    copies = list(gather(reversed(pieces), cluster, clear=clear))
    for copy in copies:
        copy.write(target)
    assert target.view == expected
    assert sum(copy.size for copy in copies) == sum(sizes)
    assert len(copies) < len(pieces) or cluster > 4096
    assert [piece.offset for copy in copies for piece in copy.pieces] == [piece.offset for piece in pieces]


def test_copies_that_stand_together_are_of_bounded_size() -> None:
    pieces = [Piece(number << 14, 1 << 14, MemoryContent(bytes(1 << 14)), 0) for number in range(200)]
    copies = list(gather(pieces, 4096, clear=False))
    assert [len(copy.pieces) for copy in copies] == [64, 64, 64, 8]


@pytest.mark.parametrize("size", [10, 5000, 100_000])
def test_a_file_that_is_written_to_meanwhile_is_an_error(tmp_path: Path, size: int) -> None:
    place = tmp_path / "file"
    place.write_bytes(bytes(size))
    status = place.stat()
    content = FileContent(os.fspath(place), size, status.st_mtime_ns, has_holes=False)
    assert content.read() == bytes(size)
    with place.open("r+b") as file:
        file.write(b"x")
    os.utime(place, ns=(0, status.st_mtime_ns + 1))
    target = MemoryStorage(bytearray(MIB))
    with pytest.raises(errors.SourceChangedError) as raised:
        content.read()
    assert raised.value.member == os.fspath(place)
    with pytest.raises(errors.SourceChangedError):
        content.copy_to(target, 0, 0, size)
    place.write_bytes(bytes(size - 1))
    with pytest.raises(errors.SourceChangedError) as raised:
        content.read()
    assert (raised.value.expected, raised.value.actual) == (size, size - 1)
    with pytest.raises(errors.SourceChangedError):
        content.copy_to(target, 0, 0, size)


def test_small_files_of_a_folder_are_read_back(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(300):
        place = tree / f"folder {number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"file {number}").write_bytes(b"%d " % number * (number * 3))
    calls: list[tuple[int, int]] = []
    storage = MemoryStorage(bytearray(b"\xff" * (16 * MIB)))
    built = ntfs.build(storage, tree, progress=lambda done, total: calls.append((done, total)))
    assert built.files == 307
    assert ntfs.check(storage) == []
    with ntfs.NTFS(storage) as volume:
        for number in range(300):
            assert volume.read_file(f"/folder {number % 7}/file {number}") == b"%d " % number * (number * 3)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1][0] == calls[-1][1]
    assert len(calls) < 20
