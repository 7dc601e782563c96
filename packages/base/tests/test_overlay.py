"""Changes that are kept in memory: what is read is what was written, and the storage below stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import MemoryStorage, WritableStorage, open_storage
from cloudboot_base.overlay import Overlay, flush

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE = 5 * 4096 + 700  # the last page is a part of one
BELOW = bytes(index * 7 & 0xFF for index in range(SIZE))


@st.composite
def writes(draw: st.DrawFn) -> tuple[int, bytes]:
    """An offset and what is written there; some writes repeat what is there already."""
    offset = draw(st.integers(0, SIZE))
    length = draw(st.integers(0, min(2 * 4096 + 5, SIZE - offset)))
    if draw(st.booleans()):
        return offset, BELOW[offset : offset + length]
    return offset, bytes([draw(st.integers(0, 255))]) * length


@given(st.lists(writes(), max_size=8), st.integers(0, SIZE), st.integers(0, SIZE))
def test_reads_what_was_written(made: Sequence[tuple[int, bytes]], first: int, second: int) -> None:
    below = bytearray(BELOW)
    overlay = Overlay(MemoryStorage(below))
    model = bytearray(BELOW)
    for offset, data in made:
        overlay.write_at(offset, data)
        model[offset : offset + len(data)] = data
    start, end = sorted((first, second))
    assert overlay.size == SIZE
    assert overlay.read_at(start, end - start) == model[start:end]
    buffer = bytearray(end - start)
    overlay.readinto_at(start, buffer)
    assert buffer == model[start:end]
    assert below == BELOW

    changes = overlay.changes()
    offsets = [offset for offset, _ in changes]
    assert offsets == sorted(offsets)
    assert all(BELOW[offset : offset + len(data)] != data for offset, data in changes)
    flush(MemoryStorage(below), changes)
    assert below == model


def test_changes_of_a_file_are_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(BELOW)
    with open_storage(path, writable=True) as opened:
        storage = opened.storage
        assert isinstance(storage, WritableStorage)
        overlay = Overlay(storage)
        overlay.write_at(SIZE - 3, b"end")
        assert path.read_bytes() == BELOW
        flush(storage, overlay.changes())
    assert path.read_bytes() == BELOW[:-3] + b"end"
