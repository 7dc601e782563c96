"""Files of a UDF volume (ECMA-167) that shares a medium with an ISO 9660 volume, read by pycdlib.

Media of Windows are of this kind. Their ISO 9660 volume has one file, which says so.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from .errors import IsoError
from .iso import SECTOR, PycdlibVolume
from .volume import parts_of

if TYPE_CHECKING:
    import contextlib

    from cloudboot_base import Storage


class UdfVolume(PycdlibVolume):
    """The files of a UDF volume.

    Raises:
        MissingDependencyError: pycdlib is not installed.
        IsoError: the volume breaks its format.
    """

    structure = "UDF volume"

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, hide_udf=False)

    def locate(self, path: str) -> str | None:
        """The path of a regular file as the volume spells it; ``path`` may have its letters in another case."""
        parts, found = parts_of(path), ""
        for number, part in enumerate(parts, 1):
            with self._reading(found or "the root"):
                children = {
                    child.file_identifier().decode(child.file_ident.encoding): child
                    for child in self._iso.list_children(udf_path=found or "/")
                    if child is not None
                }
                name = next((each for each in children if each.casefold() == part.casefold()), None)
                if name is None or not (children[name].is_dir() if number < len(parts) else children[name].is_file()):
                    return None
            found += f"/{name}"
        return found or None

    def size(self, path: str) -> int:
        """Bytes of a regular file."""
        with self._reading(path):
            return int(self._iso.get_record(udf_path=path).get_data_length())

    def open(self, path: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """A regular file, to read from its start on.

        Raises:
            IsoError: it cannot be read: damaged, or in pieces that are not neighbours.
        """
        with self._reading(path):
            _refuse_pieces(self._iso.get_record(udf_path=path), path)
            opened: contextlib.AbstractContextManager[IO[bytes]] = self._iso.open_file_from_iso(udf_path=path)
            return opened


def _refuse_pieces(entry: Any, path: str) -> None:
    """Pycdlib reads on from the first block, wherever the pieces are."""
    expected = None
    for piece in entry.alloc_descs:
        if expected not in {None, piece.log_block_num}:
            raise IsoError(
                f"{path} is in pieces that are not neighbours, which is not supported", structure="File Entry",
                field="Allocation Descriptors", expected=expected, actual=piece.log_block_num,
                hint="copy the file from the mounted medium, and give it instead",
            )  # fmt: skip
        expected = piece.log_block_num + -(-piece.extent_length // SECTOR)
