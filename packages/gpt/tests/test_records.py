"""The generated records are the declared ones, and struct, construct and numpy see the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_gpt import layout, records
from cloudboot_records.declaration import construct_of, layouts
from cloudboot_records.generate import generate


def test_the_checked_in_records_are_the_generated_ones() -> None:
    assert Path(records.__file__).read_text(encoding="utf-8") == generate(layout)


@pytest.mark.parametrize(
    ("name", "size"),
    [("MBRPartitionRecord", 16), ("MasterBootRecord", 512), ("GPTHeader", 92), ("GPTPartitionEntry", 128)],
)
def test_sizes_are_the_specification_s(name: str, size: int) -> None:
    assert size == getattr(records, name).SIZE


@given(st.binary(min_size=92, max_size=92))
def test_construct_struct_and_numpy_agree_on_the_header(data: bytes) -> None:
    header = records.GPTHeader.unpack_from(data)
    parsed = construct_of(layouts(layout)["GPTHeader"]).parse(data)
    row = np.frombuffer(data, records.GPTHeader.LAYOUT.dtype())[0]
    for field in header.LAYOUT.fields:
        value = getattr(header, field.name)
        assert parsed[field.name] == value
        assert (row[field.name].tobytes() if field.code == "s" else int(row[field.name])) == value
    assert header.pack() == data


@given(st.binary(min_size=512, max_size=512))
def test_every_mbr_survives_a_round_trip(data: bytes) -> None:
    assert records.MasterBootRecord.unpack_from(data).pack() == data
