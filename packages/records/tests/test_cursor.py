"""No read passes the end, whatever a stranger's offsets and sizes say; loops end; unknown tags survive."""

from __future__ import annotations

import dataclasses
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base import BudgetError, FormatError, TruncatedError
from cloudboot_records import Budget, Cursor, TaggedFamily, Unknown

SIZES = st.integers(-(1 << 70), 1 << 70) | st.integers(-2, 40)


@given(st.binary(max_size=32), st.lists(st.tuples(st.sampled_from(["take", "skip", "sub", "at", "u32"]), SIZES)))
def test_a_cursor_is_a_slice(data: bytes, steps: list[tuple[str, int]]) -> None:
    cursor, expected = Cursor(data, base=1000), 0
    for verb, size in steps:
        count = 4 if verb == "u32" else size
        fits = 0 <= count <= len(data) if verb == "at" else 0 <= count <= len(data) - expected
        if not fits:
            with pytest.raises(TruncatedError):
                getattr(cursor, verb)(*([] if verb == "u32" else [size]))
        elif verb == "take":
            assert cursor.take(size) == data[expected : expected + size]
        elif verb == "skip":
            cursor.skip(size)
        elif verb == "sub":
            assert cursor.sub(size).rest() == data[expected : expected + size]
        elif verb == "u32":
            assert cursor.u32() == int.from_bytes(data[expected : expected + 4], "little")
        else:
            assert cursor.at(size).rest() == data[size:]
        if fits and verb != "at":
            expected += count
        assert (cursor.position, cursor.offset, cursor.remaining) == (expected, 1000 + expected, len(data) - expected)


def test_errors_say_where_in_the_image() -> None:
    inner = Cursor(bytes(64), base=4096, structure="outer").at(16, 8, "inner")
    inner.skip(6)
    with pytest.raises(TruncatedError) as caught:
        inner.u32("big")
    error = caught.value
    assert (error.structure, error.offset, error.expected, error.actual) == ("inner", 4096 + 16 + 6, 4, 2)
    with pytest.raises(TruncatedError) as caught:
        Cursor(bytes(64), base=4096, structure="outer").at(60, 8)
    assert (caught.value.structure, caught.value.offset, caught.value.expected, caught.value.actual) == (
        "outer",
        4156,
        8,
        4,
    )
    with pytest.raises(FormatError, match="bytes remain"):
        inner.expect_end()


@given(st.text(st.characters(min_codepoint=1)), st.binary(max_size=5))
def test_utf16_text_ends_at_its_nul(text: str, tail: bytes) -> None:
    encoded = text.encode("utf-16-le", "surrogatepass")
    cursor = Cursor(encoded + b"\0\0" + tail)
    assert cursor.utf16z() == encoded.decode("utf-16-le", "surrogatepass")
    assert cursor.rest() == tail


def test_utf16_text_is_not_ended_by_the_halves_of_two_characters() -> None:
    assert Cursor("\u0100\u0001".encode("utf-16-le") + bytes(2)).utf16z() == "\u0100\u0001"


@pytest.mark.parametrize("data", [b"", b"a\0b", b"a\0b\0", b"a\0\0"])
def test_text_without_an_end_is_truncated(data: bytes) -> None:
    with pytest.raises(TruncatedError):
        Cursor(data).utf16z()
    with pytest.raises(TruncatedError):
        Cursor(data.replace(b"\0", b"x")).asciiz()


def test_text_is_bounded() -> None:
    with pytest.raises(TruncatedError):
        Cursor(b"abcd\0").asciiz(limit=4)
    assert Cursor(b"abcd\0").asciiz(limit=5) == b"abcd"


def test_alignment_counts_from_the_start_of_the_data() -> None:
    cursor = Cursor(bytes(16), base=3)
    cursor.skip(5)
    cursor.align(4)
    assert cursor.position == 8
    cursor.align(4)
    assert cursor.position == 8


def test_a_budget_ends_a_loop_of_structures_that_refer_to_one_another() -> None:
    cursor = Cursor(bytes(8), base=512, structure="node", budget=Budget(100, "nodes"))
    with pytest.raises(BudgetError) as caught:
        while True:
            cursor = cursor.at(cursor.u8())
            cursor.spend()
    assert cursor.budget is not None
    assert cursor.budget.spent == 101
    assert (caught.value.structure, caught.value.expected, caught.value.actual) == ("node", "at most 100", 101)
    assert "nodes" in str(caught.value)


SHAPES: TaggedFamily[int] = TaggedFamily("shape")


@SHAPES.member(1, 2)
@dataclasses.dataclass(frozen=True)
class Square:
    side: int

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        return cls(cursor.u16())

    def pack(self) -> bytes:
        return self.side.to_bytes(2, "little")


@given(st.integers(0, 5), st.binary(min_size=2, max_size=2))
def test_every_member_packs_into_its_bytes(tag: int, data: bytes) -> None:
    member = SHAPES.parse(tag, Cursor(data))
    assert isinstance(member, Square if tag in SHAPES else Unknown)
    assert member.pack() == data


def test_a_tag_has_one_codec() -> None:
    assert list(SHAPES) == [1, 2]
    assert SHAPES.codec(1) is Square
    assert SHAPES.codec(7) is None
    with pytest.raises(ValueError, match="shape 2 is registered twice"):
        SHAPES.member(2)(Square)
