from __future__ import annotations

import inspect
import json
import re

import pytest

from cloudboot_oci_stream import errors

TYPES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.OciError)]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {}
    parents: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ((?:[| ]   )*)(?:\+-- )?(\w+Error)\b", line)
        if found is None:
            continue
        depth = line.index(found[2])
        while parents and parents[-1][0] >= depth:
            parents.pop()
        drawn[found[2]] = parents[-1][1] if parents else "Error"
        parents.append((depth, found[2]))
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in TYPES}


def test_one_line_says_it_all() -> None:
    error = errors.SizeMismatchError(
        "another size", reference="localhost/disk:v1", digest="sha256:ab", offset=5, expected=1, actual=b"x"
    )
    assert str(error) == "localhost/disk:v1 sha256:ab at byte 5: another size (expected 1, found b'x')"
    assert json.loads(json.dumps(error.as_dict())) == {
        "error": "SizeMismatchError",
        "message": "another size",
        "reference": "localhost/disk:v1",
        "digest": "sha256:ab",
        "offset": 5,
        "expected": 1,
        "actual": "78",
    }
    assert len(str(errors.OciError("x", actual="y" * 10_000))) < 300


def test_a_strangers_words_do_not_move_the_cursor() -> None:
    error = errors.ContentRangeError("x", expected="bytes 0-1", actual="\x1b[2J\x9b2Jbytes\r\n 0-1\u202e")
    assert str(error) == "x (expected bytes 0-1, found \\x1b[2J\\x9b2Jbytes\\r\\n 0-1\\u202e)"


def test_about_fills_in_what_is_missing() -> None:
    with pytest.raises(errors.OciError) as caught, errors.about(reference="outer", digest="d2"):  # noqa: SIM117 -- one inside
        with errors.about(reference="inner"):
            raise errors.OciError("x", digest="d1")
    assert (caught.value.reference, caught.value.digest) == ("inner", "d1")


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InvalidReferenceError, ValueError),
        (errors.BufferTooSmallError, ValueError),
        (errors.ShortBodyError, EOFError),
        (errors.UnauthorizedError, PermissionError),
        (errors.NotFoundError, LookupError),
        (errors.TransportError, ConnectionError),
        (errors.TransferTimeoutError, TimeoutError),
    ],
)
def test_doubles_of_builtins(kind: type[errors.OciError], builtin: type[Exception]) -> None:
    assert issubclass(kind, builtin)
    error = kind("x", status=404) if issubclass(kind, errors.StatusError) else kind("x")
    assert error.message == "x"
    with pytest.raises(builtin):
        raise error


@pytest.mark.parametrize(("status", "again"), [(404, False), (401, False), (429, True), (503, True), (501, False)])
def test_what_is_worth_another_try(status: int, again: bool) -> None:
    assert errors.StatusError("x", status=status).retryable is again
