"""Opening a file system to read or to change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Literal, overload

from .editor.edit import WritableUFS2
from .errors import OptionError
from .reader.reader import UFS2

if TYPE_CHECKING:
    import os

    from typing_extensions import Buffer

    from cloudboot_base import Storage


@overload
def open(  # noqa: A001 -- the usual word for it
    source: str | os.PathLike[str] | BinaryIO | Buffer | Storage,
    mode: Literal["r"] = "r",
    *,
    offset: int = 0,
    size: int | None = None,
    verify: bool = True,
) -> UFS2: ...


@overload
def open(  # noqa: A001 -- as above
    source: str | os.PathLike[str] | BinaryIO | Buffer | Storage,
    mode: Literal["r+"],
    *,
    offset: int = 0,
    size: int | None = None,
    verify: bool = True,
) -> WritableUFS2: ...


def open(  # noqa: A001 -- as above
    source: str | os.PathLike[str] | BinaryIO | Buffer | Storage,
    mode: Literal["r", "r+"] = "r",
    *,
    offset: int = 0,
    size: int | None = None,
    verify: bool = True,
) -> UFS2 | WritableUFS2:
    """Open a file system: ``r`` reads it, ``r+`` changes it in place.

    :meth:`.UFS2.open` and :meth:`.WritableUFS2.open` have more options, and say what they raise.

    Raises:
        OptionError: an unknown mode.
    """
    if mode == "r+":
        return WritableUFS2.open(source, offset=offset, size=size, verify=verify)
    if mode != "r":
        raise OptionError("no such mode", field="mode", expected="r or r+", actual=mode)
    return UFS2.open(source, offset=offset, size=size, verify=verify)
