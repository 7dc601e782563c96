"""Patterns in a matrix: ``disks/*.img`` stands for several files, ``HOST/REPOSITORY:v*`` for several tags.

They are looked up once, when a campaign starts; what each stood for is kept with the pins, so that a campaign that is
resumed has the same cells.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import itertools
import os
from typing import TYPE_CHECKING, Protocol

from cloudboot_base import Error
from cloudboot_base.command import exit_code, printable
from cloudboot_fleet.errors import MatrixError, PinError

from .blocks import Matrix, check_cases
from .document import MAX_CELLS
from .values import Place, is_pattern

if TYPE_CHECKING:
    from pathlib import Path

    from .blocks import Block
    from .cells import Value


class Find(Protocol):
    """What a pattern stands for."""

    def __call__(self, text: str, *, files_only: bool) -> list[str]: ...  # noqa: D102 -- the class says it


def expanded(matrix: Matrix, find: Find) -> Matrix:
    """The matrix with every pattern of its axes replaced by what ``find`` (:meth:`.pins.Pins.glob`) says.

    Raises:
        MatrixError: a pattern stands for nothing, or there are too many cells then.
        PinError: a registry could not be asked for its tags.
    """
    blocks = tuple(_expanded(block, matrix, find) for block in matrix.blocks)
    for block in blocks:
        try:
            check_cases(block)
        except MatrixError as error:
            error.path, error.where = matrix.path, matrix.place(error.key)
            raise
    total = sum(block.most for block in blocks)
    if total > MAX_CELLS:
        raise MatrixError(f"the axes make {total} cells; at most {MAX_CELLS} are run", path=matrix.path)
    return dataclasses.replace(matrix, blocks=blocks)


def _expanded(block: Block, matrix: Matrix, find: Find) -> Block:
    def found(name: str, value: Value, place: Place) -> list[Value]:
        if not is_pattern(block.kind, name, value):
            return [value]
        parameter = block.kind.parameter(name)
        try:
            return [*find(str(value), files_only=parameter is None or parameter.pin != "tree")]
        except MatrixError as error:
            error.path, error.where, error.key = matrix.path, matrix.place(place.key), place.key
            raise

    where = Place(("cells", block.number))
    axes = {
        name: values
        if isinstance(values, range)
        else tuple(dict.fromkeys(each for value in values for each in found(name, value, where / "axes" / name)))
        for name, values in block.axes.items()
    }
    includes = tuple(
        dict(zip(include, chosen, strict=True))
        for place, include in enumerate(block.includes)
        for chosen in itertools.product(
            *(found(name, value, where / "include" / place / name) for name, value in include.items())
        )
    )
    return dataclasses.replace(block, axes=axes, includes=includes)


def found_by(text: str, folder: Path, *, files_only: bool) -> list[str]:
    """What a pattern stands for, sorted: paths as they are written from ``folder``, or references with a tag.

    Raises:
        MatrixError: nothing.
        PinError: a registry could not be asked.
    """
    if os.path.lexists(folder / text):
        return [text]  # a name with such a character in it
    paths = sorted(glob.glob(text, root_dir=folder, recursive=True))
    found = [path for path in paths if not files_only or os.path.isfile(folder / path)]
    if found:
        return found
    told, hint = f"{printable(text)!r} matches no file", None
    head, colon, pattern = text.rpartition(":")
    if colon and "/" not in pattern and not set("*?[") & set(head):
        try:
            tags = _tags(head, folder)
        except Error as error:
            raise PinError(f"{text}: {error}", code=exit_code(error), hint=error.hint) from error
        found = [f"{head}:{tag}" for tag in tags if fnmatch.fnmatchcase(tag, pattern)]
        if found:
            return found
        told = f"{printable(text)!r} matches no tag"
        hint = f"there are: {', '.join(tags[:20])}" if tags else "there is no tag at all"
    raise MatrixError(told, hint=hint)


def _tags(place: str, folder: Path) -> list[str]:
    from cloudboot_oci_stream import LayoutReference, list_tags, parse_reference

    parsed = parse_reference(place)
    if isinstance(parsed, LayoutReference):
        parsed = dataclasses.replace(parsed, folder=str(folder / parsed.folder))
    return list_tags(parsed)
