"""``python -m cloudboot_fat``: format, build, read, change and check FAT volumes."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import Storage, Window, new_file, new_image, open_storage
from cloudboot_base.command import (
    CHECK_FAILED,
    OK,
    USAGE,
    add_common_arguments,
    print_json,
    printable,
    report,
    run,
    size_argument,
)
from cloudboot_base.storage import chunks

from . import builder, tree
from .check import check
from .filesystem import FatFileSystem
from .paths import join, split
from .plan import FormatOptions
from .reader import FatReader
from .times import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .entries import DirEntry

PROGRAM = "python -m cloudboot_fat"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(main=main)
        added.add_argument("image", metavar="IMAGE", help="volume, or disk image with --offset")
        added.add_argument("--offset", type=size_argument, default=0, help="where the volume starts in IMAGE, in bytes")
        add_common_arguments(added)
        return added

    _add_formatting(command("format", _format, "make an empty volume"))
    added = command("build", _build, "make a volume that holds a folder")
    added.add_argument("source", metavar="FOLDER", help="folder of the host; links are followed")
    _add_formatting(added)

    added = command("ls", _ls, "list a directory")
    added.add_argument("path", metavar="PATH", nargs="?", default="/")
    added.add_argument("-R", "--recursive", action="store_true", help="and everything below it")
    added = command("cat", _cat, "write a file to stdout")
    added.add_argument("path", metavar="PATH")
    added = command("get", _get, "copy a file or directory out of the volume")
    added.add_argument("path", metavar="PATH")
    added.add_argument("output", metavar="OUTPUT", help="file or folder of the host")
    added.add_argument("--force", action="store_true", help="replace files that exist")
    added = command("put", _put, "copy a file or folder into the volume")
    added.add_argument("source", metavar="SOURCE", help="file or folder of the host; links are followed")
    added.add_argument("path", metavar="PATH", help="its path in the volume")
    added.add_argument("--force", action="store_true", help="replace files that exist")
    _add_timestamp(added)
    added = command("mkdir", _mkdir, "make a directory and those above it")
    added.add_argument("path", metavar="PATH")
    _add_timestamp(added)
    added = command("rm", _rm, "remove a file or directory")
    added.add_argument("path", metavar="PATH")
    added.add_argument("-r", "--recursive", action="store_true", help="and everything below it")
    added = command("info", _info, "describe the volume")
    added.add_argument("--regions", action="store_true", help="and say where its metadata and files stand")
    command("check", _check, "list everything wrong with the volume; exit 1 if there is anything")
    return parser


def _add_timestamp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timestamp",
        type=_moment,
        default=EPOCH,
        help="time of every new entry: 2025-01-31T12:00:00, or seconds since 1970 (default: 1980-01-01)",
    )


def _add_formatting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=size_argument, help="size of the volume, such as 64M; needed for a new IMAGE")
    parser.add_argument("--type", type=int, choices=(12, 16, 32), help="FAT type (default: by size)")
    parser.add_argument("--sector-size", type=size_argument, default=512, help="512 (default), 1024, 2048 or 4096")
    parser.add_argument("--cluster-size", type=size_argument, help="bytes per cluster (default: by size)")
    parser.add_argument("--label", default="", help="up to 11 ASCII characters")
    parser.add_argument("--serial", type=_serial, help="serial number in hexadecimal (default: derived)")
    parser.add_argument("--hidden-sectors", type=int, help="sectors before the volume (default: by --offset)")
    parser.add_argument("--force", action="store_true", help="write to an IMAGE that exists")
    _add_timestamp(parser)


def _moment(text: str) -> dt.datetime:
    try:
        if text.isdigit():
            return dt.datetime.fromtimestamp(int(text), dt.UTC)
        return dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _serial(text: str) -> int:
    try:
        return int(text.replace("-", ""), 16)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not hexadecimal") from None


@contextmanager
def _volume(options: argparse.Namespace, *, writable: bool = False) -> Iterator[Storage]:
    with open_storage(options.image, writable=writable) as opened:
        yield _window(opened.storage, options.offset)


def _window(storage: Storage, offset: int) -> Storage:
    return Window(storage, offset, max(0, storage.size - offset)) if offset else storage


@contextmanager
def _changing(options: argparse.Namespace) -> Iterator[FatFileSystem]:
    with _volume(options, writable=True) as storage:
        yield FatFileSystem(storage, timestamp=getattr(options, "timestamp", EPOCH))


# Making volumes


def _format(options: argparse.Namespace) -> int:
    return _make(options, {})


def _build(options: argparse.Namespace) -> int:
    return _make(options, options.source)


def _format_options(options: argparse.Namespace, *, fresh: bool) -> FormatOptions:
    hidden = options.hidden_sectors
    return FormatOptions(
        fat_type=options.type,
        sector_size=options.sector_size,
        cluster_size=options.cluster_size,
        label=options.label,
        serial=options.serial,
        timestamp=options.timestamp,
        hidden_sectors=options.offset // options.sector_size if hidden is None else hidden,
        fresh=fresh,
    )


def _make(options: argparse.Namespace, content: tree.Tree) -> int:
    target = Path(options.image)
    if target.exists():
        if not options.force:
            raise FileExistsError(17, "the file exists; --force writes to it", str(target))
        with open_storage(target, writable=True) as opened:
            size = opened.storage.size - options.offset if options.size is None else options.size
            volume = Window(opened.storage, options.offset, size)
            fs = builder.build(volume, content, _format_options(options, fresh=False))
            return _describe(fs, options)
    settings = _format_options(options, fresh=True)
    size = options.size
    if size is None:
        if not content:
            report(PROGRAM, ValueError("a new IMAGE needs --size"))
            return USAGE
        size = builder.required_size(content, settings)
    with new_image(target, options.offset + size) as image:
        return _describe(builder.build(Window(image, options.offset, size), content, settings), options)


# Reading


def _facts(fs: FatReader) -> dict[str, object]:
    geometry = fs.geometry
    free = fs.free_clusters()
    serial = fs.serial
    return {
        "type": f"FAT{geometry.fat_type}",
        "label": fs.label,
        "serial": None if serial is None else f"{serial >> 16:04X}-{serial & 0xFFFF:04X}",
        "size": geometry.size,
        "sector_size": geometry.sector_size,
        "cluster_size": geometry.cluster_size,
        "clusters": geometry.clusters,
        "free_clusters": free,
        "free": free * geometry.cluster_size,
        "reserved_sectors": geometry.reserved_sectors,
        "fats": geometry.fats,
        "fat_sectors": geometry.fat_sectors,
        "root_entries": geometry.root_entries,
        "hidden_sectors": geometry.hidden_sectors,
        "media": f"{geometry.media:#04x}",
        "sectors_per_track": geometry.sectors_per_track,
        "heads": geometry.heads,
    }


def _describe(fs: FatReader, options: argparse.Namespace) -> int:
    facts = _facts(fs)
    regions = fs.regions(tree=True) if getattr(options, "regions", False) else []
    if options.json:
        if regions:
            facts["regions"] = [region._asdict() for region in regions]
        print_json(facts)
        return OK
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):18} {'-' if value in {None, ''} else printable(str(value))}")
    for region in regions:
        print(f"{region.offset:#012x} {region.length:12} {printable(region.name)}")
    return OK


def _info(options: argparse.Namespace) -> int:
    with _volume(options) as storage:
        return _describe(FatReader(storage), options)


def _ls(options: argparse.Namespace) -> int:
    with _volume(options) as storage:
        fs = FatReader(storage)
        found: list[tuple[str, DirEntry]] = []
        if not fs.stat(options.path).is_dir:
            found.append((join("/", "/".join(split(options.path))), fs.stat(options.path)))
        else:
            for path, folders, files in fs.walk(options.path):
                found += [(join(path, entry.name), entry) for entry in sorted([*folders, *files], key=_by_name)]
                if not options.recursive:
                    break
        if options.json:
            print_json([{"path": path, **entry.as_dict()} for path, entry in found])
            return OK
        for path, entry in found:
            name = printable(path if options.recursive else entry.name) + ("/" if entry.is_dir else "")
            when = "-" if entry.modified is None else f"{entry.modified:%Y-%m-%d %H:%M:%S}"
            print(f"{'d' if entry.is_dir else '-'} {entry.size:>11} {when:19} {name}")
    return OK


def _by_name(entry: DirEntry) -> str:
    return entry.name


def _cat(options: argparse.Namespace) -> int:
    with _volume(options) as storage:
        for piece in chunks(FatReader(storage).file_storage(options.path)):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return OK


def _get(options: argparse.Namespace) -> int:
    copied = 0
    with _volume(options) as storage:
        fs = FatReader(storage)
        output = Path(options.output)
        if not fs.stat(options.path).is_dir:
            _get_file(fs, options.path, output, force=options.force)
            copied = 1
        else:
            top = join("/", "/".join(split(options.path)))
            for path, _folders, files in fs.walk(options.path):
                folder = output.joinpath(*split(path[len(top.rstrip("/")) :]))
                folder.mkdir(exist_ok=True)
                for entry in files:
                    _get_file(fs, join(path, entry.name), folder / entry.name, force=options.force)
                    copied += 1
    return _done(options, {"files": copied})


def _get_file(fs: FatReader, path: str, output: Path, *, force: bool) -> None:
    with new_file(output, force=force) as fd:
        for piece in chunks(fs.file_storage(path)):
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]


def _done(options: argparse.Namespace, facts: dict[str, object]) -> int:
    if options.json:
        print_json(facts)
    return OK


# Changing


def _put(options: argparse.Namespace) -> int:
    copied = 0
    with _changing(options) as fs:
        if not os.path.isdir(options.source):
            fs.write_file(options.path, Path(options.source), overwrite=options.force)
            return _done(options, {"files": 1})
        fs.makedirs(options.path)
        pending = [("/" + options.path, tree.load(options.source))]
        while pending:
            path, folder = pending.pop()
            for node in folder.ordered():
                inner = join(path, node.name)
                if isinstance(node, tree.DirectoryNode):
                    fs.mkdir(inner, exist_ok=True)
                    pending.append((inner, node))
                else:
                    fs.write_file(inner, node.source, overwrite=options.force)
                    copied += 1
    return _done(options, {"files": copied})


def _mkdir(options: argparse.Namespace) -> int:
    with _changing(options) as fs:
        fs.makedirs(options.path)
    return _done(options, {"path": options.path})


def _rm(options: argparse.Namespace) -> int:
    with _changing(options) as fs:
        if not fs.stat(options.path).is_dir:
            fs.remove(options.path)
            return _done(options, {"removed": 1})
        if not options.recursive:
            fs.rmdir(options.path)
            return _done(options, {"removed": 1})
        folders = list(fs.walk(options.path))
        removed = 0
        for path, _folders, files in reversed(folders):
            for entry in files:
                fs.remove(join(path, entry.name))
            if split(path):
                fs.rmdir(path)
            removed += len(files) + 1
    return _done(options, {"removed": removed})


def _check(options: argparse.Namespace) -> int:
    with _volume(options) as storage:
        findings = check(storage)
    if options.json:
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            print(printable(str(finding)))
    return CHECK_FAILED if findings else OK


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    return run(PROGRAM, options.main, options)


if __name__ == "__main__":
    sys.exit(main())
