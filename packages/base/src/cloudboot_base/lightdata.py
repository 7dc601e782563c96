"""Dataclasses and named tuples without their cost at import, for modules that a short command imports.

The decorator of :mod:`dataclasses` compiles the methods of a class when the class is made, which takes 0.3 to 0.5 ms
for each class, and its module imports :mod:`inspect`, which takes 8 ms. Here ``__init__`` is compiled when the first
instance is made; the other methods need no source of their own. A class that defines ``__init__`` keeps it. The
``NamedTuple`` of :mod:`typing` compiles every annotation, 0.2 ms for ten fields; here they stay as they are written.

Everything else is as the standard library has it, and tested against it: the classes are dataclasses for
:func:`dataclasses.fields`, :func:`dataclasses.replace` and the rest, for subclasses, and for type checkers. What the
packages do not use is left out: ``order``, ``unsafe_hash``, ``weakref_slot``, ``InitVar``, ``KW_ONLY`` and metadata.
Instances are equal as tuples of their fields are, on every version of Python (from 3.13 on, the library differs for
NaN). Annotations have to be strings, as they are after ``from __future__ import annotations``.
"""

from __future__ import annotations

from collections import namedtuple
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import asdict, astuple, dataclass, field, replace  # noqa: TID251 -- as a type checker sees them
    from typing import NamedTuple  # noqa: TID251 -- as above

__all__ = ["NamedTuple", "asdict", "astuple", "dataclass", "field", "replace"]

_FIELDS = "__light_fields__"
_UNSET: Any = type("_Unset", (), {"__repr__": lambda _: "<factory>", "__slots__": ()})()


class _Field:
    """What is said about a field; ``hash`` is ``None`` where it follows ``compare``."""

    __slots__ = ("annotation", "compare", "default", "default_factory", "hash", "init", "kw_only", "name", "repr")

    name: str
    annotation: str

    def __init__(
        self,
        *,
        default: Any = _UNSET,
        default_factory: Callable[[], Any] = _UNSET,
        init: bool = True,
        repr: bool = True,  # noqa: A002 -- the name in the standard library
        hash: bool | None = None,  # noqa: A002 -- the same
        compare: bool = True,
        kw_only: bool | None = None,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.hash = hash
        self.compare = compare
        self.kw_only = kw_only


class _WhenAsked:
    """An attribute of a class that is made when it is first asked for, and takes this one's place."""

    __slots__ = ("_make", "_name", "_owner")

    def __init__(self, owner: Callable[[], type], name: str, make: Callable[[], Any]) -> None:
        self._owner = owner
        self._name = name
        self._make = make

    def __get__(self, instance: object, owner: type) -> Any:
        made = self._make()
        setattr(self._owner(), self._name, made)
        return made.__get__(instance, owner) if hasattr(made, "__get__") else made


def _dataclass(
    cls: type | None = None, /, *, init: bool = True, repr: bool = True, eq: bool = True, frozen: bool = False,  # noqa: A002 -- the names in the standard library
    slots: bool = False, kw_only: bool = False,
) -> Any:  # fmt: skip
    def decorate(cls: type) -> type:
        return _decorated(cls, init=init, repr=repr, eq=eq, frozen=frozen, slots=slots, kw_only=kw_only)

    return decorate if cls is None else decorate(cls)


def _decorated(cls: Any, *, init: bool, repr: bool, eq: bool, frozen: bool, slots: bool, kw_only: bool) -> type:  # noqa: A002 -- as above
    own = cls.__dict__
    fields = _fields_of(cls, kw_only=kw_only, slots=slots)
    # Slots are decided when a class is made, so with them it is made anew; and all at once, since each method that is
    # set later takes as long as a tenth of a class.
    names: dict[str, Any] = {_FIELDS: fields}

    def owner() -> Any:
        return cls

    def add(function: Any) -> None:
        function.__qualname__ = f"{cls.__qualname__}.{function.__name__}"
        names[function.__name__] = function

    if init and "__init__" not in own:
        names["__init__"] = _WhenAsked(owner, "__init__", lambda: _initializer(cls, fields, frozen=frozen, slots=slots))
    if repr and "__repr__" not in own:
        add(_representation(fields))
    if frozen:
        for function in _guards(fields, owner):
            if function.__name__ in own:
                raise TypeError(f"{cls.__name__} is frozen and has a {function.__name__} of its own")
            add(function)
        if slots:  # the default would restore the slots with setattr
            for function in _state():
                if function.__name__ not in own:
                    add(function)
    if eq and "__eq__" not in own:
        add(_equality([each.name for each in fields.values() if each.compare]))
    if eq and ("__hash__" not in own or (own["__hash__"] is None and "__eq__" in own)):
        hashed = [each.name for each in fields.values() if (each.compare if each.hash is None else each.hash)]
        if frozen:
            add(_hashing(hashed))
        else:
            names["__hash__"] = None  # not hashable, by the rule of the language
    if "__match_args__" not in own:
        names["__match_args__"] = tuple(each.name for each in fields.values() if each.init and not each.kw_only)
    if "__replace__" not in own:
        names["__replace__"] = _replace
    options = {"init": init, "repr": repr, "eq": eq, "frozen": frozen, "slots": slots}
    for name in ("__dataclass_fields__", "__dataclass_params__"):
        names[name] = _WhenAsked(owner, name, lambda name=name: getattr(_twin(cls, fields, options), name))  # type: ignore[misc]
    if slots:
        cls = _with_slots(cls, fields, names)
    else:
        for name, value in names.items():
            setattr(cls, name, value)
    made: type = cls
    return made


def _fields_of(cls: type, *, kw_only: bool, slots: bool) -> dict[str, _Field]:
    """The fields of the class's bases and its own, in their order; defaults become attributes of the class."""
    fields: dict[str, _Field] = {}
    for base in cls.__mro__[-1:0:-1]:
        if _FIELDS in base.__dict__:
            fields |= base.__dict__[_FIELDS]
        elif "__dataclass_fields__" in base.__dict__:
            raise TypeError(f"{cls.__name__}: its base {base.__name__} is a dataclass of the standard library")
    for name, annotation in cls.__dict__.get("__annotations__", {}).items():  # noqa: RUF063 -- inspect takes the 8 ms
        if not isinstance(annotation, str):
            raise TypeError(f"{cls.__name__}.{name}: the annotation is not a string")
        if annotation.startswith(("ClassVar", "typing.ClassVar")):
            continue
        said = cls.__dict__.get(name, _UNSET)
        found = said if isinstance(said, _Field) else _Field(default=said)
        found.name, found.annotation = name, annotation
        found.kw_only = kw_only if found.kw_only is None else found.kw_only
        if found.default is not _UNSET and found.default.__class__.__hash__ is None:
            raise ValueError(f"{cls.__name__}.{name}: a default that can be changed; write default_factory")
        if found is said and not slots:
            if found.default is _UNSET:
                delattr(cls, name)
            else:
                setattr(cls, name, found.default)
        fields[name] = found
    return fields


def _with_slots(cls: type, fields: dict[str, _Field], more: dict[str, Any]) -> type:
    """The class with a slot for each field, and with ``more``."""
    if "__slots__" in cls.__dict__:
        raise TypeError(f"{cls.__name__} has __slots__ already")
    inherited = {slot for base in cls.__mro__[1:] for slot in _slots_of(base)}
    names = {**cls.__dict__, **more}
    for name in (*fields, "__dict__", "__weakref__"):
        names.pop(name, None)
    names["__slots__"] = tuple(name for name in fields if name not in inherited)
    made = type(cls)(cls.__name__, cls.__bases__, names)
    made.__qualname__ = cls.__qualname__
    return made


def _slots_of(base: type) -> tuple[str, ...]:
    slots = base.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _initializer(cls: type, fields: dict[str, _Field], *, frozen: bool, slots: bool) -> Any:
    scope: dict[str, Any] = {"__builtins__": {}, "_unset": _UNSET, "_set": object.__setattr__}
    parameters: list[str] = []
    keywords: list[str] = []
    body: list[str] = []
    for name, each in fields.items():
        value = name
        if each.default_factory is not _UNSET:
            scope[f"_make_{name}"] = each.default_factory
            value = f"_make_{name}()" + (f" if {name} is _unset else {name}" if each.init else "")
        elif each.default is not _UNSET:
            scope[f"_default_{name}"] = each.default
            value = name if each.init else f"_default_{name}"
        if each.init:
            default = "_unset" if each.default_factory is not _UNSET else f"_default_{name}"
            given = each.default is _UNSET and each.default_factory is _UNSET
            (keywords if each.kw_only else parameters).append(name if given else f"{name}={default}")
        elif each.default_factory is _UNSET and (each.default is _UNSET or not slots):
            continue  # the attribute of the class is its value, or __post_init__ sets it
        body.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    listed = ", ".join(["self", *parameters, *(["*", *keywords] if keywords else [])])
    exec(f"def __init__({listed}):\n " + "\n ".join(body or ["pass"]), scope)  # noqa: S102 -- of names of fields only
    made = scope["__init__"]
    made.__annotations__ = {**{each.name: each.annotation for each in fields.values() if each.init}, "return": None}
    made.__module__ = cls.__module__
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _values_of(names: list[str]) -> Callable[[object], tuple[Any, ...]]:
    """A function that gives the named attributes of an object as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda found: tuple(getattr(found, name) for name in names)


def _equality(names: list[str]) -> Any:
    values = _values_of(names)

    def __eq__(self: Any, other: object) -> bool:  # noqa: N807 -- becomes the method
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return __eq__


def _hashing(names: list[str]) -> Any:
    values = _values_of(names)

    def __hash__(self: Any) -> int:  # noqa: N807 -- becomes the method
        return hash(values(self))

    return __hash__


def _representation(fields: dict[str, _Field]) -> Any:
    names = [each.name for each in fields.values() if each.repr]

    @recursive_repr()
    def __repr__(self: Any) -> str:  # noqa: N807 -- becomes the method
        return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _guards(fields: dict[str, _Field], owner: Callable[[], Any]) -> list[Any]:
    """What keeps an instance as it is."""

    def refuse(self: object, name: str, action: str) -> None:
        if type(self) is owner() or name in fields:
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot {action} field {name!r}")

    def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807 -- becomes the method
        refuse(self, name, "assign to")
        super(owner(), self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807 -- becomes the method
        refuse(self, name, "delete")
        super(owner(), self).__delattr__(name)

    return [__setattr__, __delattr__]


def _state() -> list[Any]:
    """How an instance is copied and pickled."""

    def __getstate__(self: Any) -> list[Any]:  # noqa: N807 -- becomes the method
        return [getattr(self, name) for name in getattr(self, _FIELDS)]

    def __setstate__(self: Any, state: list[Any]) -> None:  # noqa: N807 -- becomes the method
        for name, value in zip(getattr(self, _FIELDS), state, strict=True):
            object.__setattr__(self, name, value)

    return [__getstate__, __setstate__]


def _twin(cls: type, fields: dict[str, _Field], options: dict[str, bool]) -> type:
    """The class as :mod:`dataclasses` makes it, for what that module notes of it."""
    import dataclasses

    made = []
    for each in fields.values():
        facts: dict[str, Any] = {name: getattr(each, name) for name in ("init", "repr", "hash", "compare", "kw_only")}
        for name in ("default", "default_factory"):
            if getattr(each, name) is not _UNSET:
                facts[name] = getattr(each, name)
        made.append((each.name, each.annotation, dataclasses.field(**facts)))
    return dataclasses.make_dataclass(cls.__name__, made, **options)  # type: ignore[arg-type]


def _replace(found: Any, /, **changes: Any) -> Any:
    for each in getattr(found, _FIELDS).values():
        if each.init:
            if each.name not in changes:
                changes[each.name] = getattr(found, each.name)
        elif each.name in changes:
            raise ValueError(f"field {each.name} is declared with init=False, it cannot be specified with replace()")
    return found.__class__(**changes)


def _asdict(found: Any) -> dict[str, Any]:
    import dataclasses  # 8 ms

    return dataclasses.asdict(found)


def _astuple(found: Any) -> tuple[Any, ...]:
    import dataclasses  # 8 ms

    return dataclasses.astuple(found)


class _TupleOfFields(type):
    """Makes a named tuple of a class statement with annotated fields."""

    def __new__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(cls, name, bases, names)
        fields: dict[str, str] = names.get("__annotations__", {})
        defaults = [names[each] for each in fields if each in names]
        make: Any = namedtuple  # noqa: PYI024 -- the base of what this stands for
        made = make(name, fields, defaults=defaults, module=names["__module__"])
        made.__annotations__ = made.__new__.__annotations__ = fields
        for each, value in names.items():
            if each not in fields and each not in {"__module__", "__annotations__"}:
                setattr(made, each, value)
        return made


class _NamedTuple(metaclass=_TupleOfFields):
    """The base of a named tuple's class statement."""


if not TYPE_CHECKING:  # a type checker knows the rules of these by the names that the standard library gives them
    dataclass, field, replace, asdict, astuple = _dataclass, _Field, _replace, _asdict, _astuple
    NamedTuple = _NamedTuple
