"""Dataclasses and named tuples that are cheap to import are those of the standard library in everything else."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import itertools
import pickle
import re
import sys
import typing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cloudboot_base import lightdata
from cloudboot_base.testing import loaded_modules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

OURS = "from cloudboot_base.lightdata import NamedTuple, dataclass, field, replace\n"
THEIRS = "from dataclasses import dataclass, field, replace\nfrom typing import NamedTuple\n"
HEAD = "from __future__ import annotations\nfrom typing import ClassVar\n"


def made(name: str, source: str) -> ModuleType:
    module = type(sys)(name)
    sys.modules[name] = module  # dataclasses looks for ClassVar there, and pickle for the classes
    exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
    return module


def both(body: str) -> tuple[ModuleType, ModuleType]:
    """Two modules with the same classes: by the standard library, and by ours."""
    return made("lightdata_judge", HEAD + THEIRS + body), made("lightdata_ours", HEAD + OURS + body)


def seen(action: Callable[..., Any], *arguments: object) -> tuple[object, ...]:
    """What an action gives or raises, in a form that does not tell the modules and addresses apart."""
    try:
        found = repr(action(*arguments))
    except Exception as error:  # noqa: BLE001 -- every error is an observation
        return type(error), re.sub(r"lightdata_\w+\.", "", str(error))
    return (re.sub(r"lightdata_\w+|0x[0-9a-f]+", "", found),)


def facts_of(found: Any) -> list[object]:
    fields = [
        (each.name, each.type, each.init, each.repr, each.hash, each.compare, each.kw_only, repr(each.default))
        for each in dataclasses.fields(found)
    ]
    parameters = found.__dataclass_params__
    return [
        seen(inspect.signature, found),
        getattr(found, "__match_args__", None),
        found.__dict__.get("__slots__"),
        found.__hash__ is None,
        found.__doc__,
        fields,
        [getattr(parameters, name) for name in ("init", "repr", "eq", "frozen")],
        dataclasses.is_dataclass(found),
    ]


def changed(found: object, name: str) -> object:
    setattr(found, name, 9)
    return found


def removed(found: object, name: str) -> object:
    delattr(found, name)
    return found


def hashed(found: object) -> int | None:
    """The hash, unless it is that of the address."""
    own = any("__hash__" in vars(base) for base in type(found).__mro__[:-1])
    return hash(found) if own else None


USES: list[Callable[[Any], object]] = [
    hashed,
    copy.copy,
    copy.deepcopy,
    lambda each: pickle.loads(pickle.dumps(each)),
    lambda each: each == copy.copy(each),
    lambda each: each == 3,
    lambda each: changed(each, "f1"),
    lambda each: changed(each, "other"),
    lambda each: removed(each, "f1"),
    dataclasses.asdict,
    dataclasses.astuple,
    lambda each: dataclasses.replace(each, f1=5),
]

NAMES = ("init", "repr", "hash", "compare", "kw_only")
SPEC = st.fixed_dictionaries({
    "kind": st.sampled_from(["plain", "default", "spec", "factory"]),
    "init": st.booleans(),
    "repr": st.booleans(),
    "hash": st.sampled_from([None, True, False]),
    "compare": st.booleans(),
    "kw_only": st.sampled_from(["", True, False]),
})  # fmt: skip
OPTIONS = st.fixed_dictionaries({
    name: st.booleans() for name in ("init", "repr", "eq", "frozen", "slots", "kw_only")
})  # fmt: skip


def declared(name: str, facts: dict[str, Any], number: int) -> str:
    said = ", ".join(f"{key}={facts[key]}" for key in NAMES if facts[key] != "")
    match facts["kind"]:
        case "plain":
            return f"    {name}: int\n"
        case "default":
            return f"    {name}: int = {number}\n"
        case "spec":
            return f"    {name}: int = field(default={number}, {said})\n"
        case _:
            return f"    {name}: list[int] = field(default_factory=list, {said})\n"


@st.composite
def classes(draw: st.DrawFn) -> str:
    """A class and one derived from it, with any fields and options; frozen both or neither, as the language has it."""
    frozen = draw(st.booleans())
    body, number = "", 0
    for name, base in (("A", ""), ("B", "(A)")):
        chosen = {**draw(OPTIONS), "frozen": frozen}
        body += f"@dataclass({', '.join(f'{key}={value}' for key, value in chosen.items())})\nclass {name}{base}:\n"
        body += '    """A class."""\n    shared: ClassVar[int] = 7\n'
        for _ in range(draw(st.integers(0, 3))):
            number += 1
            body += declared(f"f{number}", draw(SPEC), number)
        if draw(st.booleans()):
            body += f"    def __repr__(self) -> str:\n        return 'own {name}'\n"
        if draw(st.booleans()):
            body += "    def __eq__(self, other):\n        return True\n"
        if draw(st.booleans()):
            body += "    def __hash__(self) -> int:\n        return 3\n"
    return body


GIVEN = st.dictionaries(st.sampled_from(["f1", "f2", "f3"]), st.integers(0, 2))


@given(classes(), st.lists(st.integers(0, 2), max_size=4), GIVEN)
@settings(max_examples=150, deadline=None)
def test_classes_are_those_of_the_standard_library(body: str, arguments: list[int], named: dict[str, int]) -> None:
    try:
        modules = both(body)
    except TypeError:
        assume(False)  # a field without a default after one with a default
        raise
    for name in ("A", "B"):
        theirs, ours = (getattr(module, name) for module in modules)
        assert facts_of(ours) == facts_of(theirs)
        for number, use in enumerate([repr, *USES]):

            def run(made: type, use: Callable[[Any], object] = use) -> object:
                return use(made(*arguments, **named))

            expected, found = seen(run, theirs), seen(run, ours)
            if str(expected[-1]).startswith("super(type, obj)"):  # a defect of frozen classes with slots in 3.11
                assert isinstance(found[0], type)
                assert issubclass(found[0], AttributeError)
            else:
                assert found == expected, number


TWO = (
    "@dataclass(frozen=True, slots=True)\nclass A:\n    x: float\n    y: object = None\n    z: tuple = ()\n"
    "@dataclass\nclass One:\n    x: float\n"
)


def test_equality_and_hashes_are_those_of_tuples() -> None:
    judge, ours = both(TWO)
    nan = float("nan")
    values = [(1, 2), (1.0, 2), (nan, 2), (float("nan"), 2), (1, [1]), (1, None), (True, 2)]
    for left, right in itertools.product(values, repeat=2):
        assert (ours.A(*left) == ours.A(*right)) is (left == right)
        assert seen(hash, ours.A(*left)) == seen(hash, judge.A(*left)) == seen(hash, (*left, ()))
        assert (ours.One(left[0]) == ours.One(right[0])) is (left[:1] == right[:1])
    assert ours.A(1) != judge.A(1)
    assert ours.A(1).__eq__(3) is NotImplemented


def test_an_object_that_holds_itself_is_shown() -> None:
    shown = []
    for module in both("@dataclass\nclass A:\n    x: object = None\n"):
        found = module.A()
        found.x = [found]
        shown.append(repr(found))
    assert shown == ["A(x=[...])"] * 2


@pytest.mark.parametrize(
    "use",
    [
        lambda module: module.A(),
        lambda module: module.A(2),
        lambda module: module.B(3),
        lambda module: module.B(),
        lambda module: module.C(),
    ],
)
def test_what_a_class_defines_itself_stays(use: Callable[[ModuleType], object]) -> None:
    judge, ours = both(
        "@dataclass(slots=True)\nclass A:\n    x: int = 1\n    y: list = field(default_factory=list)\n"
        "    def __init__(self, x: int = 4):\n        self.x, self.y = x, [x]\n"
        "@dataclass(frozen=True)\nclass B:\n    x: int\n    y: int = field(init=False)\n"
        "    def __post_init__(self):\n        object.__setattr__(self, 'y', self.x + 1)\n"
        "class C(B):\n    def __init__(self):\n        super().__init__(8)\n"
    )
    assert seen(use, ours) == seen(use, judge)


def test_the_standard_library_derives_from_ours() -> None:
    body = "@dataclass(frozen=True, slots=True)\nclass A:\n    x: int\n    y: list = field(default_factory=list)\n"
    _, ours = both(body)
    derived: Any = dataclasses.make_dataclass("Derived", [("z", int, 3)], bases=(ours.A,), frozen=True)
    assert repr(derived(1)) == "Derived(x=1, y=[], z=3)"
    with pytest.raises(TypeError, match="frozen"):
        dataclasses.make_dataclass("Derived", [("z", int, 3)], bases=(ours.A,))


@pytest.mark.parametrize("names", [OURS, THEIRS])
@pytest.mark.parametrize(
    "body",
    [
        "@dataclass\nclass A:\n    x: list = []\n",
        "@dataclass(slots=True)\nclass A:\n    __slots__ = ('x',)\n    x: int\n",
        "@dataclass(frozen=True)\nclass A:\n    x: int\n    def __setattr__(self, name, value): ...\n",
    ],
)
def test_what_the_standard_library_refuses_is_refused(names: str, body: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        made("lightdata_refused", HEAD + names + body)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (OURS + "@dataclass\nclass A:\n    x: int\n", "not a string"),
        (
            HEAD + "import dataclasses\nBase = dataclasses.make_dataclass('Base', ['z'])\n" + OURS
            + "@dataclass\nclass A(Base):\n    x: int\n",
            "standard library",
        ),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_when_the_class_is_made(source: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        made("lightdata_refused", source)


TUPLES = (
    'class T(NamedTuple):\n    """A tuple."""\n\n    x: int\n    y: str = "a"\n    z: tuple[int, ...] = ()\n'
    "    def twice(self) -> int:\n        return 2 * self.x\n"
    "    @property\n    def first(self) -> int:\n        return self.x\n"
    "class Short(NamedTuple):\n    x: int\n"
    "class Empty(NamedTuple):\n    pass\n"
)


@pytest.mark.parametrize("name", ["T", "Short", "Empty"])
def test_named_tuples_are_those_of_typing(name: str) -> None:
    theirs, ours = (getattr(module, name) for module in both(TUPLES))
    for fact in ("__doc__", "__bases__", "__slots__", "__match_args__", "_fields", "_field_defaults", "__name__"):
        assert getattr(ours, fact) == getattr(theirs, fact), fact
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert typing.get_type_hints(ours) == typing.get_type_hints(theirs)


@pytest.mark.parametrize(
    "use",
    [
        lambda module: module.T(1),
        lambda module: module.T(1, z=(2,)),
        lambda module: module.T(),
        lambda module: module.T(3).twice() + module.T(4).first,
        lambda module: module.T(1)._replace(y="b")._asdict(),
        lambda module: module.T._make([1, 2, 3]),
        lambda module: changed(module.T(1), "x"),
        lambda module: pickle.loads(pickle.dumps(module.T(1))),
        lambda module: module.T(1) == (1, "a", ()),
    ],
)
def test_named_tuples_do_what_those_of_typing_do(use: Callable[[ModuleType], object]) -> None:
    judge, ours = both(TUPLES)
    assert seen(use, ours) == seen(use, judge)


@pytest.mark.parametrize("changes", [{}, {"x": 2}, {"y": [1]}, {"z": 4}, {"w": 5}])
def test_replace_is_that_of_the_standard_library(changes: dict[str, object]) -> None:
    judge, ours = both(
        "@dataclass(frozen=True)\nclass A:\n    x: int\n    y: list = field(default_factory=list)\n"
        "    z: int = field(default=3, init=False)\n"
    )
    expected = seen(lambda: dataclasses.replace(judge.A(1), **changes))
    found = [seen(lambda: lightdata.replace(ours.A(1), **changes))]
    if sys.version_info >= (3, 13):
        found.append(seen(lambda: copy.replace(ours.A(1), **changes)))
    for each in found:
        assert each[-1] == expected[-1]  # ValueError became TypeError in 3.13
        assert len(each) == len(expected)
    assert lightdata.asdict(ours.A(1)) == dataclasses.asdict(judge.A(1))
    assert lightdata.astuple(ours.A(1)) == dataclasses.astuple(judge.A(1))


def test_making_and_using_a_class_needs_neither_dataclasses_nor_inspect(tmp_path: Path) -> None:
    use = "found = replace(A(1), y=2)\nassert repr(found) == 'A(x=1, y=2, z=())' and hash(found) and found == A(1, 2)\n"
    (tmp_path / "light.py").write_text(HEAD + OURS + TWO + TUPLES + use, encoding="utf-8")
    loaded = loaded_modules("import sys; sys.path.insert(0, sys.argv[1]); import light", str(tmp_path))
    assert "light" in loaded
    assert not {"dataclasses", "inspect"} & loaded
