"""A store as text like that of ``bcdedit /enum all``, and values out of the words of a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from cloudboot_ntfs.errors import ElementError

from .devices import Device, from_text, to_text
from .elements import CHOICES, OBJECT_NAMES, Format, element_name, format_name, format_of, title
from .store import object_guid, object_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .store import BcdObject, ElementValue, Store

_WIDTH = 24
#: Elements that are paths; the boot manager finds nothing by one with slashes.
_PATHS = frozenset({"path", "systemroot", "filepath", "bcdfilepath", "bootstatfilepath", "ramdisksdipath"})


def show(store: Store, names: Sequence[str] = ()) -> str:
    """The objects of a store, or those named, in the form of bcdedit.

    Raises:
        BcdError: an object or an element that breaks its format.
    """
    chosen = [store.object(name) for name in names] or list(store.objects())
    default = None
    if any(each.guid == object_guid("bootmgr") for each in store.objects()):
        default = store.object("bootmgr").get("default")
    return "\n".join(_object_text(each, default) for each in chosen)


def _object_text(found: BcdObject, default: ElementValue | None) -> str:
    kind = found.known_type
    heading = title(found.guid, kind)
    name = "{default}" if found.guid == default and found.guid not in OBJECT_NAMES else object_text(found.guid)
    lines = [heading, "-" * len(heading), f"{'identifier':<{_WIDTH}}{name}"]
    for number, value in found.elements():
        label = element_name(number, kind or 0)
        texts = value_texts(value, label)
        lines += [f"{label if not index else '':<{_WIDTH}}{text}".rstrip() for index, text in enumerate(texts or [""])]
    return "\n".join(lines) + "\n"


def value_texts(value: ElementValue, name: str) -> list[str]:
    """The lines that show the value of the element ``name``."""
    if isinstance(value, Device):
        return [to_text(value)]
    if isinstance(value, UUID):
        return [object_text(value)]
    if isinstance(value, bool):
        return ["Yes" if value else "No"]
    if isinstance(value, int):
        choices = CHOICES.get(name, ())
        return [choices[value] if value < len(choices) else str(value)]
    if isinstance(value, list):
        return [object_text(each) if isinstance(each, UUID) else f"{each:#x}" for each in value]
    return [f"hex:{value.hex()}"] if isinstance(value, bytes) else [value]


def parse_value(number: int, words: Sequence[str], name: str) -> ElementValue:
    """The value of an element out of words: ``Yes``, ``OptIn``, ``30``, ``{bootmgr}``, ``gpt=...``, ``hex:00ff``.

    Raises:
        ElementError: the words are not of the element's format.
        DeviceError: not a device.
        ObjectNotFoundError: not an object.
    """
    kind, text = format_of(number), " ".join(words)
    try:
        if text.startswith("hex:"):
            return bytes.fromhex(text[4:])
        if kind == Format.OBJECT_LIST:
            return [object_guid(word) for word in words]
        if kind == Format.INTEGER_LIST:
            return [int(word, 0) for word in words]
        if kind == Format.INTEGER:
            choices = [choice.casefold() for choice in CHOICES.get(name, ())]
            return choices.index(text.casefold()) if text.casefold() in choices else int(text, 0)
    except ValueError:
        raise _mismatch(name, kind, text) from None
    if kind == Format.DEVICE:
        return from_text(text)
    if kind == Format.STRING:
        if name in _PATHS and ("/" in text or not text.startswith("\\")):
            raise ElementError(
                "a path of the boot manager begins with a backslash and has no other separator", structure=name,
                expected="\\" + text.replace("/", "\\").lstrip("\\"), actual=text,
            )  # fmt: skip
        return text
    if kind == Format.OBJECT:
        return object_guid(text)
    answers = {"yes": True, "on": True, "true": True, "1": True, "no": False, "off": False, "false": False, "0": False}
    if kind == Format.BOOLEAN and text.casefold() in answers:
        return answers[text.casefold()]
    raise _mismatch(name, kind, text)


def _mismatch(name: str, kind: int, text: str) -> ElementError:
    return ElementError(
        "the value is not of the element's format", structure=name, expected=format_name(kind), actual=text
    )
