"""Check-hashes against crccheck's bitwise CRC-32C, which has the final inversion UFS2 leaves out."""

from __future__ import annotations

import numpy as np
from crccheck.crc import Crc32c
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_ufs2.layout.hashes import check_hash, check_hash_plain, check_hashes


@given(st.binary(max_size=2000))
def test_of_any_bytes(data: bytes) -> None:
    expected = Crc32c.calc(data) ^ 0xFFFFFFFF
    assert check_hash(data) == expected
    assert check_hash_plain(data) == expected


@given(st.lists(st.binary(min_size=256, max_size=256), min_size=1, max_size=9))
def test_of_many_rows_at_once(rows: list[bytes]) -> None:
    table = np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), 256)
    assert check_hashes(table).tolist() == [check_hash(row) for row in rows]
