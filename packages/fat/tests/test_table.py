"""FAT entries on disk."""

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_fat import table


def test_fat12_packs_two_entries_into_three_bytes() -> None:
    # The start of the FAT of a freshly formatted 1.44 MB diskette, and a chain 2 -> 3 -> end.
    entries = array("I", [0xFF0, 0xFFF, 0x003, 0xFFF])
    assert table.encode(entries, 12) == bytes.fromhex("f0ffff03f0ff")


@pytest.mark.parametrize("bits", [12, 16, 32])
@given(data=st.data())
def test_codec_round_trip(bits: Any, data: Any) -> None:
    values = data.draw(st.lists(st.integers(0, (1 << bits) - 1), max_size=50))
    raw = table.encode(array("I", values), bits)
    assert len(raw) == -(-len(values) * bits // 8)
    assert table.decode(raw, bits).tolist() == values
