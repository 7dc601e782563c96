"""One declaration, three readers: construct, struct and numpy agree in both directions and both byte orders."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from construct import Array, Byte, Bytes, GreedyBytes, Int16ub, Struct, this
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.errors import RangeError, TruncatedError
from cloudboot_records.__main__ import main
from cloudboot_records.declaration import DeclarationError, construct_of, layout_of, layouts
from cloudboot_records.generate import generate
from cloudboot_records.model import ByteOrder, Field, RecordLayout
from cloudboot_records.record import Record

CODES = "bBhHlLqQefd"


@st.composite
def record_layouts(draw: st.DrawFn, depth: int = 2, prefix: str = "R") -> RecordLayout:
    fields = []
    for index in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["scalar", "array", "bytes"] + (["nested", "nested-array"] if depth else [])))
        name = f"f{index}"
        count = draw(st.integers(1, 5))
        if kind == "bytes":
            fields.append(Field(name, "s", count))
        elif kind.startswith("nested"):
            inner = draw(record_layouts(depth=depth - 1, prefix=f"{prefix}{index}_"))
            fields.append(Field(name, "", count if kind == "nested-array" else None, inner))
        else:
            fields.append(Field(name, draw(st.sampled_from(CODES)), count if kind == "array" else None))
    return RecordLayout(f"{prefix}x", tuple(fields))


def flat(value: Any) -> list[Any]:
    """A construct Container, a numpy scalar or array, or a tuple, as the flat list struct gives."""
    if isinstance(value, np.void) and value.dtype.names is not None:
        return [item for name in value.dtype.names for item in flat(value[name])]
    if isinstance(value, np.void):
        return [value.tobytes()]
    if isinstance(value, np.ndarray):
        return [item for element in value for item in flat(element)]
    if isinstance(value, dict):
        return [item for name, element in value.items() if name != "_io" for item in flat(element)]
    if isinstance(value, list | tuple):
        return [item for element in value for item in flat(element)]
    return [value.item() if isinstance(value, np.generic) else value]


@given(st.data(), st.sampled_from(["little", "big"]))
def test_construct_struct_and_numpy_read_alike(data: st.DataObject, byteorder: ByteOrder) -> None:
    layout = data.draw(record_layouts())
    raw = data.draw(st.binary(min_size=layout.size, max_size=layout.size))
    by_struct = list(layout.struct(byteorder).unpack(raw))
    by_numpy = flat(np.frombuffer(raw, layout.dtype(byteorder))[0])
    by_construct = flat(construct_of(layout, byteorder).parse(raw))
    # repr() so that a NaN equals itself.
    assert repr(by_struct) == repr(by_construct)
    assert repr(by_struct) == repr(by_numpy)
    assert len(by_struct) == layout.values


@given(st.data(), st.sampled_from(["little", "big"]))
def test_construct_struct_and_numpy_write_alike(data: st.DataObject, byteorder: ByteOrder) -> None:
    layout = data.draw(record_layouts())
    # A NaN's payload is not kept by every way through Python's float; every other pattern is.
    raw = data.draw(st.binary(min_size=layout.size, max_size=layout.size))
    values = [0.5 if value != value else value for value in layout.struct(byteorder).unpack(raw)]
    packed = layout.struct(byteorder).pack(*values)
    construct = construct_of(layout, byteorder)
    assert construct.build(construct.parse(packed)) == packed
    array = np.zeros(1, layout.dtype(byteorder))
    array[0] = np.frombuffer(packed, layout.dtype(byteorder))[0]
    assert array.tobytes() == packed


@given(record_layouts())
def test_offsets_match_numpy(layout: RecordLayout) -> None:
    fields = layout.dtype("little").fields
    assert fields is not None
    assert {name: field[1] for name, field in fields.items()} == layout.offsets
    assert layout.dtype("little").itemsize == layout.size == layout.struct("little").size


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "shapes.py").write_text(
        "from construct import Array, Bytes, Int32sl, Int32ul, Int64ul, Struct\n"
        'BYTE_ORDER = "either"\n'
        'Point = Struct("x" / Int32sl, "y" / Int32sl * "downwards") * "A point."\n'
        'Shape = Struct("magic" / Int32ul, "centre" / Point, "corners" / Array(3, Point), "tag" / Bytes(5),\n'
        '               "sizes" / Array(2, Int64ul))\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shapes", raising=False)
    monkeypatch.delitem(sys.modules, "records", raising=False)
    import importlib

    return importlib.import_module("shapes")


@pytest.fixture
def records(module: ModuleType) -> ModuleType:
    import importlib

    assert main(["shapes"]) == 0
    importlib.invalidate_caches()
    return importlib.import_module("records")


def test_generated_classes_round_trip(records: ModuleType) -> None:
    point = records.Point
    shape = records.Shape(7, point(1, -2), (point(3, 4), point(5, 6), point(7, 8)), b"hello", (2**64 - 1, 0))
    expected = bytes.fromhex(
        "07000000 01000000 feffffff 03000000 04000000 05000000 06000000 07000000 08000000 68656c6c6f"
        "ffffffffffffffff 0000000000000000"
    )
    assert shape.pack("little") == expected
    assert records.Shape.unpack_from(b"??" + expected, 2, "little") == shape
    assert records.Shape.unpack_from(shape.pack("big"), 0, "big") == shape
    assert list(point.iter_unpack(expected[4:20], "little")) == [point(1, -2), point(3, 4)]
    buffer = bytearray(records.Shape.SIZE + 1)
    shape.pack_into(buffer, 1, "little")
    assert buffer[1:] == expected


def test_generated_classes_compare_and_show_themselves_as_dataclasses_do(records: ModuleType) -> None:
    fields = ["x", "y"]
    judge = dataclasses.make_dataclass("Point", fields)
    for left, right in itertools.product([(1, 2), (1, 3), (2, 2)], repeat=2):
        assert (records.Point(*left) == records.Point(*right)) is (judge(*left) == judge(*right))
    assert [field.name for field in dataclasses.fields(records.Point)] == fields
    assert repr(records.Point(1, -2)) == repr(judge(1, -2))
    assert records.Point(1, 2) != judge(1, 2)
    for each in (records.Point, judge):
        with pytest.raises(TypeError):
            hash(each(1, 2))


def by_the_standard_library(records: ModuleType) -> dict[str, Any]:
    """The generated classes as :mod:`dataclasses` makes them of the same declarations."""
    assert records.__file__ is not None
    source = Path(records.__file__).read_text(encoding="utf-8")
    source = source.replace("from cloudboot_base.lightdata import", "from dataclasses import")
    source, removed = re.subn(r"\n    def __init__\(\n.*?\n(?=\n)", "", source, flags=re.DOTALL)
    assert removed == 2
    names: dict[str, Any] = {"__name__": records.__name__}
    exec(compile(source, records.__file__, "exec", dont_inherit=True), names)
    return names


@pytest.mark.parametrize("name", ["Point", "Shape"])
def test_what_makes_a_record_is_what_a_dataclass_has(records: ModuleType, name: str) -> None:
    ours, judge = getattr(records, name), by_the_standard_library(records)[name]
    assert ours.__match_args__ == judge.__match_args__
    assert ours.__slots__ == judge.__slots__
    parameters = inspect.signature(ours).parameters.values()
    assert [each.name for each in parameters] == list(inspect.signature(judge).parameters)
    assert all(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters)
    names = ("name", "type", "default", "init", "repr", "hash", "compare", "kw_only")
    facts = [[[getattr(field, name) for name in names] for field in dataclasses.fields(each)] for each in (ours, judge)]
    assert facts[0] == facts[1]
    first, second, expected = ours(), ours(), judge()
    assert repr(first) == repr(second) == repr(expected)
    assert dataclasses.asdict(first) == dataclasses.asdict(expected)
    assert dataclasses.astuple(first) == dataclasses.astuple(expected)
    one = dataclasses.fields(ours)[0].name
    assert repr(dataclasses.replace(first, **{one: 9})) == repr(dataclasses.replace(expected, **{one: 9}))
    for made in (ours, judge):
        with pytest.raises(TypeError):
            made(nothing=1)


def test_every_record_has_nested_records_of_its_own(records: ModuleType) -> None:
    first, second = records.Shape(), records.Shape()
    first.centre.x = 5
    first.corners[0].y = 6
    assert second == records.Shape()
    assert second.corners[1] is not second.corners[0]


def test_generated_classes_are_slotted(records: ModuleType) -> None:
    with pytest.raises(AttributeError):
        records.Point().z = 1


def test_a_short_buffer_names_record_offset_and_sizes(records: ModuleType) -> None:
    with pytest.raises(TruncatedError) as caught:
        records.Point.unpack_from(b"12345", 2, "little", base=4096)
    error = caught.value
    assert (error.structure, error.offset, error.expected, error.actual) == ("Point", 4098, 8, 3)
    with pytest.raises(TruncatedError):
        records.Point.iter_unpack(b"123456789", "little")


@pytest.mark.parametrize("offset", [6, 1 << 31, 1 << 63, 1 << 80])
def test_an_offset_from_a_hostile_image_is_only_ever_truncated(records: ModuleType, offset: int) -> None:
    with pytest.raises(TruncatedError) as caught:
        records.Point.unpack_from(b"12345", offset, "little")
    assert (caught.value.offset, caught.value.actual) == (offset, 0)


@pytest.mark.parametrize("offset", [-8, -1, -(1 << 80)])
def test_a_negative_offset_does_not_count_from_the_end(records: ModuleType, offset: int) -> None:
    with pytest.raises(TruncatedError) as caught:
        records.Point.unpack_from(bytes(16), offset, "little")
    assert (caught.value.offset, caught.value.actual) == (offset, 0)


@pytest.mark.parametrize("offset", [-8, -1, 9, 1 << 80])
def test_a_buffer_too_short_to_write_to_is_named(records: ModuleType, offset: int) -> None:
    buffer = bytearray(16)
    with pytest.raises(RangeError) as caught:
        records.Point(1, 2).pack_into(buffer, offset, "little")
    assert (caught.value.structure, caught.value.offset, caught.value.expected) == ("Point", offset, 8)
    assert not any(buffer)


@pytest.mark.parametrize(("code", "value"), [("e", 65520.0), ("f", 1e39)])
def test_a_float_too_large_for_its_field_names_it(code: str, value: float) -> None:
    class Real(Record):
        LAYOUT = RecordLayout("Real", (Field("number", code),), "little")

        def __init__(self, number: float) -> None:
            self.number = number

        def _values(self) -> tuple[Any, ...]:
            return (self.number,)

    with pytest.raises(RangeError) as caught:
        Real(value).pack()
    assert (caught.value.structure, caught.value.field, caught.value.actual) == ("Real", "number", value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"magic": -1}, "magic"),
        ({"magic": 2**32}, "magic"),
        ({"magic": "7"}, "magic"),
        ({"tag": b"toolong"}, "tag"),
        ({"tag": b"shrt"}, "tag"),
        ({"sizes": (1,)}, "sizes"),
        ({"sizes": (1, 2**64)}, "sizes"),
        ({"corners": ()}, "corners"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(records: ModuleType, change: dict[str, Any], field: str) -> None:
    shape = records.Shape()
    for name, value in change.items():
        setattr(shape, name, value)
    with pytest.raises(RangeError) as caught:
        shape.pack("little")
    assert (caught.value.structure, caught.value.field) == ("Shape", field)


def test_a_nested_value_that_does_not_fit_names_its_own_record(records: ModuleType) -> None:
    with pytest.raises(RangeError) as caught:
        records.Shape(centre=records.Point(2**31, 0)).pack("little")
    assert (caught.value.structure, caught.value.field) == ("Point", "x")


def test_the_generator_is_deterministic_and_notices_drift(module: ModuleType, tmp_path: Path) -> None:
    assert main(["shapes"]) == 0
    written = (tmp_path / "records.py").read_text()
    assert written == generate(module)
    assert main(["shapes", "--check"]) == 0
    (tmp_path / "records.py").write_text(written + "\n")
    assert main(["shapes", "--check"]) == 1


def test_docs_reach_the_generated_source(module: ModuleType) -> None:
    source = generate(module)
    assert '"""A point. (8 bytes)"""' in source
    assert "#: downwards" in source


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        (Struct("a" / GreedyBytes), "GreedyBytes is not a fixed field"),
        (Struct("n" / Byte, "a" / Bytes(this.n)), "length is not a constant"),
        (Struct("n" / Byte, "a" / Array(this.n, Byte)), "length is not a constant"),
        (Struct(Byte), "every field of a record has a name"),
        (Struct("a" / Struct("b" / Byte)), "declared under a name of its own"),
        (Int16ub, "a record is a construct Struct"),
    ],
)
def test_what_has_no_fixed_layout_is_refused(declaration: Any, reason: str) -> None:
    with pytest.raises(DeclarationError, match=reason):
        layout_of(declaration, "X")


def test_layouts_of_a_module(module: ModuleType) -> None:
    found = layouts(module)
    assert list(found) == ["Point", "Shape"]
    assert found["Shape"].size == 4 + 8 + 24 + 5 + 16


@given(record_layouts(depth=0), st.data())
def test_picked_fields_are_those_of_the_whole_record(layout: RecordLayout, data: st.DataObject) -> None:
    numbers = [field for field in layout.fields if field.code != "s"]
    names = data.draw(st.sets(st.sampled_from([field.name for field in numbers]))) if numbers else set()
    octets = data.draw(st.binary(min_size=layout.size, max_size=layout.size))
    for byteorder in ("little", "big"):
        picked = layout.pick(names, byteorder)
        assert picked.size == layout.size
        whole = np.frombuffer(octets, layout.dtype(byteorder))[0]
        expected = [flat(whole[field.name])[0] for field in numbers if field.name in names]
        assert repr(list(picked.unpack(octets))) == repr(expected)  # by their text, since NaN is not itself


def test_only_numbers_can_be_picked() -> None:
    layout = RecordLayout("R", (Field("a", "H"), Field("b", "s", 3)))
    for name in ("b", "c"):
        with pytest.raises(ValueError, match=name):
            layout.pick([name], "little")
