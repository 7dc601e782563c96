"""How a file system is laid out: the options of newfs(8), and those of makefs(8) behind ``-o``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cloudboot_base import command
from cloudboot_ufs2.layout.options import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudboot_base.parser import CommandParser

_BLOCK_SIZE = 32768
_FRAGMENTS = 8  # of a block, at most
# The letters of newfs(8): option, field of Options, what its argument is, help.
_NUMBERS: tuple[tuple[str, str, str, str, str], ...] = (
    ("-a", "--max-contiguous", "max_contiguous", "BLOCKS", "Largest number of contiguous blocks of a file."),
    (
        "-b",
        "--block-size",
        "block_size",
        "SIZE",
        "Block size: 4096 to 65536 (default: 32768, or eight fragments of -f).",
    ),
    ("-c", "--group-blocks", "group_blocks", "FRAGMENTS", "Largest size of a cylinder group, in fragments."),
    ("-d", "--max-extent", "max_extent", "SIZE", "Largest extent of a file."),
    (
        "-e",
        "--max-blocks-per-group",
        "max_blocks_per_group",
        "BLOCKS",
        "Largest number of blocks of one file in a cylinder group.",
    ),
    (
        "-f",
        "--fragment-size",
        "fragment_size",
        "SIZE",
        "Fragment size: an eighth of a block to a block (default: 4096).",
    ),
    ("-g", "--average-file-size", "average_file_size", "SIZE", "Expected average size of a file."),
    (
        "-h",
        "--average-files-per-directory",
        "average_files_per_directory",
        "FILES",
        "Expected average number of files in a directory.",
    ),
    ("-i", "--density", "density", "SIZE", "Bytes of data for each inode."),
    ("-k", "--metadata-space", "metadata_space", "FRAGMENTS", "Space in a cylinder group reserved for metadata."),
    ("-m", "--minfree", "minfree", "PERCENT", "Space reserved for root (default: 8)."),
    (
        "",
        "--freebsd",
        "freebsd",
        "VERSION",
        "The oldest release of FreeBSD that has to read it; 15 allows 65500 links (default: 14).",
    ),
    ("-S", "--sector-size", "sector_size", "SIZE", "Sector size of the disk (default: 512)."),
)
_FLAGS: tuple[tuple[str, str, str, str], ...] = (
    ("-U", "--soft-updates", "soft_updates", "Enable soft updates."),
    ("-j", "--soft-updates-journal", "soft_updates_journal", "Enable soft updates and make their journal."),
    ("-J", "--gjournal", "gjournal", "Mark the volume as being on gjournal."),
    ("-l", "--multilabel", "multilabel", "Enable multilabel MAC."),
    ("-t", "--trim", "trim", "Enable TRIM."),
)
_TIMESTAMP = "Time of the file system, since 1970 (default: SOURCE_DATE_EPOCH if that is set, or else 0)."
# The names of makefs(8), and the fields they set.
_MAKEFS = {
    "avgfilesize": "average_file_size",
    "avgfpdir": "average_files_per_directory",
    "bsize": "block_size",
    "density": "density",
    "extent": "max_extent",
    "fsize": "fragment_size",
    "maxbpcg": "group_blocks",
    "maxbpg": "max_blocks_per_group",
    "minfree": "minfree",
}


def add_layout(parser: CommandParser) -> None:
    """Add the options; ``-h`` is one of them, so the parser must have been made without its own."""
    parser.add_argument(
        "--offset",
        type=command.size_argument,
        default=0,
        metavar="SIZE",
        help="The offset of the file system in IMAGE (default: 0).",
    )
    for letter, word, field, metavar, text in _NUMBERS:
        names = [name for name in (letter, word) if name]
        parser.add_argument(*names, dest=field, type=command.size_argument, metavar=metavar, help=text)
    for letter, word, field, text in _FLAGS:
        parser.add_argument(letter, word, dest=field, action="store_true", help=text)
    parser.add_argument(
        "-o", dest="fs_options", action=_FsOptions, default={}, metavar="OPTION[,OPTION...]",
        help="Options with commas between them: space, time, or NAME=VALUE as in makefs(8): bsize, fsize, "
        "density, minfree, optimization, avgfilesize, avgfpdir, extent, maxbpg, maxbpcg, label, softupdates, version.",
    )  # fmt: skip
    parser.add_argument("-L", "--label", default="", metavar="LABEL", help="Volume label.")
    parser.add_argument(
        "--journal-size",
        type=command.size_argument,
        metavar="SIZE",
        help="Size of the journal of -j (default: as in tunefs(8)).",
    )
    parser.add_argument("--timestamp", type=int, metavar="SECONDS", help=_TIMESTAMP)
    parser.add_argument("--no-check-hash", action="store_true", help="Omit the check-hashes.")
    parser.add_argument("--big-endian", action="store_true", help="Use big-endian byte order.")
    parser.add_argument("-E", "--erase", action="store_true", help="Overwrite the old content with zeros.")
    parser.add_argument("-N", "--dry-run", action="store_true", help="Print the geometry; write nothing.")
    parser.add_argument("--force", action="store_true", help="Replace an existing file, or write into a disk.")


def layout_of(options: argparse.Namespace) -> Options:
    """The :class:`Options` that were asked for; a letter wins over ``-o``.

    Raises:
        OptionError: newfs would refuse them.
    """
    chosen: dict[str, Any] = dict(options.fs_options)
    for _, _, field, _, _ in _NUMBERS:
        if getattr(options, field) is not None:
            chosen[field] = getattr(options, field)
    for _, _, field, _ in _FLAGS:
        if getattr(options, field):
            chosen[field] = True
    if options.label:
        chosen["label"] = options.label
    if "block_size" not in chosen and "fragment_size" in chosen:
        # newfs.c: the fragment size alone says how large a block is.
        chosen["block_size"] = min(_BLOCK_SIZE, _FRAGMENTS * chosen["fragment_size"])
    return Options(
        **chosen,
        journal_size=options.journal_size,
        timestamp=command.source_date_epoch() if options.timestamp is None else options.timestamp,
        check_hash=not options.no_check_hash,
        byteorder="big" if options.big_endian else "little",
    )


class _FsOptions(argparse.Action):
    """Collect what ``-o`` says, in makefs's words or newfs's."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 -- argparse's signature, here and below
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002 -- as above
    ) -> None:
        found = dict(getattr(namespace, self.dest))
        for word in str(values).split(","):
            try:
                found.update(_fs_option(word))
            except ValueError as error:
                raise argparse.ArgumentError(self, str(error)) from None
        setattr(namespace, self.dest, found)


def _fs_option(word: str) -> dict[str, object]:
    """The fields one option sets.

    Raises:
        ValueError: the option is unknown, or its value is invalid.
    """
    name, equals, value = word.partition("=")
    if word in ("space", "time"):
        return {"optimize": word}
    if equals and name in _MAKEFS:
        return {_MAKEFS[name]: command.parse_size(value)}
    if equals and name == "label":
        return {"label": value}
    if equals and name == "optimization":
        return {"optimize": _one_of(name, value, "space", "time")}
    if equals and name == "softupdates":
        return {"soft_updates": _one_of(name, value, "0", "1") == "1"}
    if equals and name == "version":
        _one_of(name, value, "2")
        return {}
    known = ", ".join(sorted([*_MAKEFS, "label", "optimization", "softupdates", "version"]))
    raise ValueError(f"{word!r} is not known; write space, time, or NAME=VALUE with one of {known}")


def _one_of(name: str, value: str, *allowed: str) -> str:
    if value not in allowed:
        raise ValueError(f"{name} is {' or '.join(allowed)}, not {value!r}")
    return value
