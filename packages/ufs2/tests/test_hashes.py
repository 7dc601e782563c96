"""Check-hashes against crccheck's bitwise CRC-32C, which has the final inversion UFS2 leaves out."""

from __future__ import annotations

from crccheck.crc import Crc32c
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_ufs2.layout.hashes import check_hash, check_hash_plain, hashes_of, hashes_of_plain


@given(st.binary(max_size=2000))
def test_of_any_bytes(data: bytes) -> None:
    expected = Crc32c.calc(data) ^ 0xFFFFFFFF
    assert check_hash(data) == expected
    assert check_hash_plain(data) == expected


@given(st.binary(max_size=300), st.integers(0, 9000), st.binary(max_size=300))
def test_of_long_buffers(start: bytes, zeros: int, end: bytes) -> None:
    data = start + bytes(zeros) + end
    assert check_hash_plain(data) == Crc32c.calc(data) ^ 0xFFFFFFFF


@given(st.integers(1, 300), st.lists(st.binary(min_size=300, max_size=300), min_size=1, max_size=9), st.integers(1, 90))
def test_of_many_rows_at_once(size: int, rows: list[bytes], times: int) -> None:
    rows = [row[:size] for row in rows] * times
    expected = [check_hash(row) for row in rows]
    assert list(hashes_of(b"".join(rows), size)) == expected
    assert list(hashes_of_plain(b"".join(rows), size)) == expected
