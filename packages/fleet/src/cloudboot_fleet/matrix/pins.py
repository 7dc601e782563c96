"""Pinning: each reference, file, tree and recipe of a campaign is resolved once, before anything runs.

The table of what was resolved is kept in the campaign's folder, so that a campaign that is resumed uses the same
digests, although a tag may have moved since.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from cloudboot_base import Error
from cloudboot_base.command import exit_code
from cloudboot_base.exit_codes import USAGE
from cloudboot_base.parser import suggestion
from cloudboot_fleet import hosts
from cloudboot_fleet.errors import PinError

from .cells import Cell, Pinned, Value, canonical
from .kinds import KINDS, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from cloudboot_oci_stream import Access

    from .blocks import Matrix

_SHOWN = 200  # characters of an input that an error quotes
#: Parameters on which it depends what a cell needs of its host.
DECIDE = ("system", "architecture", "firmware", "accelerator", "guest", "recipe")


class Gathered:
    """What is known of a block of cells: how many there are, and the names of what they depend on (:mod:`..hosts`)."""

    def __init__(self) -> None:
        self.cells = 0
        self.depends: set[str] = set()
        #: The values of ``DECIDE`` that were looked at.
        self.seen: set[tuple[str, ...]] = set()


class Pins:
    """What every input of a campaign was resolved to: ``(way of pinning, text)`` -> ``(what a worker gets, digest)``.

    Relative paths start from ``folder``.
    """

    def __init__(self, folder: Path, access: Access | None = None) -> None:
        self._folder = folder.resolve()
        self._access = access
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        self._globs: dict[str, list[str]] = {}
        #: For each block what its cells depend on beside their inputs, where that is not this machine's.
        self.hosts: dict[int, Mapping[str, str]] = {}
        self._facts: dict[tuple[str, ...], Mapping[str, str]] = {}
        self._ways: dict[str, Callable[[str], tuple[str, str]]] = {
            "image": self._image,
            "recipe": self._recipe,
            "file": self._file,
            "tree": self._tree,
            "wad": self._wad,
        }

    def glob(self, text: str, *, files_only: bool) -> list[str]:
        """What a pattern stands for (:func:`.globs.found_by`), the same each time.

        Raises:
            MatrixError: nothing.
            PinError: a registry could not be asked.
        """
        from .globs import found_by

        if text not in self._globs:
            self._globs[text] = found_by(text, self._folder, files_only=files_only)
        return self._globs[text]

    def gather(self, matrix: Matrix) -> dict[int, Gathered]:
        """Resolve every input of every cell; what is known of each block then.

        Raises:
            PinError: an input is not there, or cannot be read. ``where`` has its line.
        """
        found: dict[int, Gathered] = {}
        for cell in matrix.cells():
            block = found.setdefault(cell.block, Gathered())
            block.cells += 1
            self._resolve_all(cell, matrix)
            kind = KINDS[cell.kind]
            varying = tuple(str(cell.values.get(name, "")) for name in DECIDE)
            if varying not in block.seen:
                block.seen.add(varying)
                block.depends |= set(hosts.names(kind, cell.values))
        return found

    def _resolve_all(self, cell: Cell, matrix: Matrix) -> None:
        for name, value in cell.values.items():
            parameter = KINDS[cell.kind].parameter(name)
            if parameter is not None and parameter.pin != "value":
                try:
                    self._resolve(cell, parameter, str(value))
                except PinError as error:
                    error.path = matrix.path
                    error.where = matrix.place(("cells", cell.block, "axes", name))
                    raise

    def pin(self, cell: Cell) -> Pinned:
        """The cell with everything it names resolved.

        Raises:
            PinError: an input is not there, or cannot be read.
        """
        kind = KINDS[cell.kind]
        inputs: dict[str, Value] = {}
        digests: dict[str, str] = {}
        for name, value in cell.values.items():
            parameter = kind.parameter(name)
            if parameter is None or parameter.pin == "value":
                inputs[name] = value
            else:
                inputs[name], digests[name] = self._resolve(cell, parameter, str(value))
        return Pinned(cell, inputs, digests, self._versions(cell))

    def _versions(self, cell: Cell) -> Mapping[str, str]:
        """What the cell depends on beside its inputs, looked up once for all cells that depend on the same."""
        decides = (str(cell.block), *(str(cell.values.get(name, "")) for name in DECIDE))
        found = self._facts.get(decides)
        if found is None:
            depends = hosts.names(KINDS[cell.kind], cell.values)
            known = self.hosts.get(cell.block)
            found = hosts.facts(depends) if known is None else {name: known[name] for name in depends}
            self._facts[decides] = found
        return found

    def _resolve(self, cell: Cell, parameter: Parameter, text: str) -> tuple[str, str]:
        architecture = str(cell.values.get("architecture", "amd64")) if parameter.pin == "recipe" else ""
        place = (parameter.pin, f"{text} {architecture}".strip())
        if place not in self._known:
            try:
                self._known[place] = self._ways[parameter.pin](text)
            except (Error, OSError) as error:
                told = str(error) if isinstance(error, Error) else error.strerror or str(error)
                hint = getattr(error, "hint", None)
                code = USAGE if getattr(error, "errno", None) == errno.ENAMETOOLONG else exit_code(error)
                shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
                raise PinError(f"{parameter.name} {shown}: {told}", code=code, hint=hint) from error
        return self._known[place]

    def _path(self, text: str) -> Path:
        return self._folder / text

    def _image(self, text: str) -> tuple[str, str]:
        from cloudboot_oci_stream.errors import InvalidReferenceError

        path = self._path(text)
        if path.is_file():
            return str(path), _file_digest(path)
        if path.is_dir():
            raise PinError("this is a directory", code=USAGE, hint=f"a folder of images is oci:{text}:TAG")
        try:
            return self._reference(text)
        except InvalidReferenceError as error:
            names = [each.name for each in path.parent.glob("*")] if path.parent.is_dir() else []
            hint = suggestion(path.name, names) or error.hint
            raise PinError("there is no such file, and it is no reference", code=USAGE, hint=hint) from None

    def _reference(self, text: str) -> tuple[str, str]:
        from cloudboot_oci_stream import LayoutReference, open_store, parse_reference, resolve

        parsed = parse_reference(text)
        if isinstance(parsed, LayoutReference):
            parsed = dataclasses.replace(parsed, folder=str(self._folder / parsed.folder))
        digest = resolve(open_store(parsed, self._access)).document.digest
        return str(dataclasses.replace(parsed, digest=digest)), digest

    def _file(self, text: str) -> tuple[str, str]:
        path = self._path(text)
        return str(path), _file_digest(path)

    def _tree(self, text: str) -> tuple[str, str]:
        return str(self._path(text)), tree_digest(self._path(text))

    def _recipe(self, text: str) -> tuple[str, str]:
        from cloudboot_probes import recipe

        if text == "demo" or text in recipe.builtin_names():
            return text, f"builtin:{text}"
        path = self._path(text)
        made = recipe.load(str(path))
        files = {**made.esp.files, **{f"root:{name}": file for name, file in made.root.files.items()}}
        if made.root.source is not None:
            files["root"] = made.root.source
        for name in ("kernel", "initrd", "grub_modules"):
            if (file := getattr(made.linux, name)) is not None:
                files[name] = file
        content = {name: tree_digest(file) for name, file in sorted(files.items())}
        whole = canonical({"recipe": _file_digest(path), "files": content})
        return str(path), f"sha256:{hashlib.sha256(whole).hexdigest()}"

    def _wad(self, text: str) -> tuple[str, str]:
        path = self._path(text)
        if path.is_file():
            return str(path), _file_digest(path)
        from cloudboot_doom_oracle import find_wads

        for found in find_wads():
            if found.name == text:
                return str(found), _file_digest(found)
        raise PinError("there is no such file, and no installed WAD of that name")

    def save(self, path: Path) -> None:
        """Write the table; it replaces the one that is there in one step."""
        from cloudboot_base import followed, new_file

        rows: list[list[Any]] = [[*place, *pin] for place, pin in sorted(self._known.items())]
        rows += [["glob", *each] for each in sorted(self._globs.items())]
        with new_file(followed(path), force=True) as fd, open(fd, "wb", closefd=False) as file:
            file.write(json.dumps(rows, indent=1).encode() + b"\n")

    def restore(self, path: Path) -> None:
        """Take over the table of an earlier run, where there is one.

        Raises:
            PinError: the file is not such a table.
        """
        try:
            rows: Any = json.loads(path.read_bytes())
        except FileNotFoundError:
            return
        except ValueError as error:
            raise PinError(f"{path} is not a table of pins: {error}") from None
        if not isinstance(rows, list):
            raise PinError(f"{path} is not a table of pins")
        try:
            self._globs.update({str(row[1]): [str(each) for each in row[2]] for row in rows if row[0] == "glob"})
            pinned = [row for row in rows if row[0] != "glob"]
            self._known.update({(str(way), str(text)): (str(to), str(digest)) for way, text, to, digest in pinned})
        except (TypeError, ValueError, IndexError, KeyError):
            raise PinError(f"{path} is not a table of pins") from None


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def tree_digest(path: Path) -> str:
    """The digest of a file, or of a folder's files by path, mode and content; links count by their target.

    Raises:
        OSError: something in it cannot be read.
    """
    if not path.is_dir():
        return _file_digest(path)
    digest = hashlib.sha256()
    for file in _below(path):
        mark = file.lstat().st_mode & 0o7777
        name = file.relative_to(path).as_posix().encode("utf-8", "surrogateescape")
        if file.is_symlink():
            told = b"link " + os.fsencode(os.readlink(file))
        elif file.is_file():
            told = f"file {mark:o} {_file_digest(file)}".encode()
        else:
            told = f"folder {mark:o}".encode()
        digest.update(name + b"\0" + told + b"\n")
    return f"sha256:{digest.hexdigest()}"


def _below(path: Path) -> Iterable[Path]:
    return sorted(path.rglob("*"))
