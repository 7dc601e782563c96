"""The documents of a recording: written by the recorder, checked when they are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from cloudboot_virtio.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

FORMAT: Final = "cloudboot-virtio-recording"
VERSION: Final = 1
#: Bytes of one line: the largest chain of 32768 descriptors is never recorded, 16 MiB of buffers are.
LONGEST_LINE: Final = 64 << 20

_FIELDS: Final[dict[str, dict[str, type]]] = {
    "submit": {"id": int, "descriptors": list, "read": str},
    "kick": {"notified": bool},
    "used": {"id": int, "length": int, "ahead": int},
    "complete": {"id": int, "written": int, "data": str},
    "broken": {"message": str},
    "timeout": {},
    "reset": {},
}


def header(device: int, features: int, queues: dict[int, int]) -> dict[str, Any]:
    """The first document; ``queues`` maps an index to a size."""
    sizes = {str(index): size for index, size in queues.items()}
    return {"format": FORMAT, "version": VERSION, "device": device, "features": features, "queues": sizes}


def read_documents(file: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """The documents with their line numbers, the header first; each is checked.

    Raises:
        RecordingError: a line is no document, or lacks a field, or a field has another type.
    """
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise _bad(number, "the line is too long", expected=LONGEST_LINE)
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _bad(number, f"not a JSON document: {error}") from None
        if not isinstance(document, dict):
            raise _bad(number, "not an object", actual=type(document).__name__)
        (_check_header if number == 1 else _check_event)(number, document)
        yield number, document
    if number == 0:
        raise _bad(1, "the recording is empty")


def _bad(line: int, message: str, **facts: Any) -> RecordingError:
    return RecordingError(message, structure="recording", where={"line": line}, **facts)


def _check_header(number: int, document: dict[str, Any]) -> None:
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise _bad(number, "not a recording of this version", field="format", actual=document.get("format"))
    queues = document.get("queues")
    if not isinstance(queues, dict) or not all(isinstance(document.get(name), int) for name in ("device", "features")):
        raise _bad(number, "device, features or queues are missing", field="queues")
    for index, size in queues.items():
        if not (index.isdecimal() and isinstance(size, int) and 1 <= size <= 1 << 15):
            raise _bad(number, "not a queue with its size", field="queues", actual={index: size})


def _check_event(number: int, document: dict[str, Any]) -> None:
    fields = _FIELDS.get(str(document.get("event")))
    if fields is None or not isinstance(document.get("queue"), int):
        raise _bad(number, "not an event of a queue", field="event", actual=document.get("event"))
    for name, kind in fields.items():
        if type(document.get(name)) is not kind:
            raise _bad(number, f"the field is not of type {kind.__name__}", field=name, actual=document.get(name))
    size = document.get("size")  # of a reset; older recordings have none
    if size is not None and not (type(size) is int and 1 <= size <= 1 << 15):
        raise _bad(number, "not the size of a queue", field="size", actual=size)
    for name in ("read", "data"):
        if name in fields:
            try:
                bytes.fromhex(document[name])
            except ValueError:
                raise _bad(number, "not hexadecimal", field=name) from None
    for entry in document.get("descriptors", ()):
        if not (
            isinstance(entry, list) and len(entry) == 3 and all(type(value) is int and value >= 0 for value in entry)
        ):
            raise _bad(number, "not address, length and flags", field="descriptors", actual=entry)
