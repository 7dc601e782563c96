"""The commands of ``cloudboot-fat``: format, build, read, change and check FAT volumes."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import Storage, UsageError, Window, followed, new_file, new_image, open_storage
from cloudboot_base.command import (
    OK,
    counted,
    new_image_argument,
    notice,
    print_findings,
    print_json,
    printable,
    size_argument,
)
from cloudboot_base.program import Program
from cloudboot_base.storage import chunks, logical_block_size
from cloudboot_disk_image import (
    InstalledReaders,
    PartitionError,
    Place,
    choose,
    open_partition,
    read_partitions,
    require_raw,
    stated_place,
    window,
)
from cloudboot_vfs.exclusive import claim

from . import builder, errors, names, times, tree
from .check import check
from .filesystem import FatFileSystem
from .geometry import ENTRY_SIZE
from .opening import TYPES, is_volume
from .paths import absolute, join, require_length, split, split_new
from .plan import FormatOptions
from .volume import FatVolume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudboot_base.parser import CommandParser

    from .entries import DirEntry
    from .reader import FatReader

PROGRAM = "cloudboot-fat"
#: What two volumes can differ in, besides the paths they have. Times are those of a build, and FAT has no owners.
_FIELDS = ("type", "size", "content")


_EXAMPLES = {
    "build esp.fat tree --size 64M --label EFI": "Make a volume with the files of the folder tree.",
    "ls -R disk.img": "List the first partition of the disk that holds FAT.",
    "put disk.img grub.cfg /EFI/BOOT/grub.cfg --force": "Replace a file in the ESP of a disk.",
    "cat disk.qcow2 /EFI/BOOT/grub.cfg --partition 1": "Print a file out of partition 1.",
    "check esp.fat --json": "List the defects of a volume as JSON.",
}


def program() -> Program:
    """The command lines of this package."""
    made = Program(
        PROGRAM, "cloudboot-fat", "Format, build, read, change and check FAT12, FAT16 and FAT32 volumes.",
        examples=_EXAMPLES,
    )  # fmt: skip

    def command(
        name: str, main: Callable[[argparse.Namespace], int], purpose: str, image: Callable[[str], str] = str
    ) -> CommandParser:
        added = made.command(name, main, purpose)
        added.add_argument(
            "image", type=image, metavar="IMAGE", help="A FAT volume, or a disk with a FAT volume in a partition."
        )
        added.add_argument(
            "--partition",
            metavar="NUMBER|NAME|TYPE",
            help="The partition (default: the first of a type that holds FAT).",
        )
        added.add_argument(
            "--offset", type=size_argument, metavar="SIZE", help="The offset of the volume in IMAGE, such as 1M."
        )
        added.add_argument("--codepage", default="cp437", help="Code page of short names (default: cp437).")
        return added

    _add_formatting(command("format", _format, "Make an empty volume."), new="required")
    added = command("build", _build, "Make a volume with the content of a folder or a tar archive.", new_image_argument)
    added.add_argument(
        "source",
        metavar="SOURCE",
        help="A folder, a tar archive (compressed or not), or - for an archive on stdin; links are followed.",
    )
    _add_formatting(added, new="what SOURCE needs")

    added = command("ls", _ls, "List a directory.")
    added.add_argument("path", metavar="PATH", nargs="?", default="/", help="Directory of the volume (default: /).")
    added.add_argument("-R", "--recursive", action="store_true", help="List the whole tree.")
    added = command("cat", _cat, "Write a file to stdout.")
    added.add_argument("path", metavar="PATH", help="File of the volume.")
    added = command("get", _get, "Copy a file or directory out of the volume.")
    added.add_argument("path", metavar="PATH", help="File or directory of the volume.")
    added.add_argument("output", metavar="OUTPUT", help="File or folder of the host.")
    added.add_argument("--force", action="store_true", help="Replace files that exist.")
    added = command("export", _export, "Write a directory tree as a tar archive.")
    added.add_argument("output", metavar="OUTPUT", help="The archive to write, or - for stdout.")
    added.add_argument("path", metavar="PATH", nargs="?", default="/", help="Directory of the volume (default: /).")
    added.add_argument("--force", action="store_true", help="Replace OUTPUT if it exists.")
    added = command("diff", _diff, "Compare a volume with another image or a folder; exit 1 if they differ.")
    added.add_argument("other", metavar="OTHER", help="A folder, or another image, to which the same options apply.")
    added.add_argument(
        "--ignore", choices=_FIELDS, action="append", default=[], help="Ignore this difference. Can be repeated."
    )
    added = command("put", _put, "Copy a file or folder into the volume.")
    added.add_argument("source", metavar="SOURCE", help="File or folder of the host; links are followed.")
    added.add_argument("path", metavar="PATH", help="The path in the volume, or the directory for a file.")
    added.add_argument("--force", action="store_true", help="Replace files that exist.")
    added.add_argument(
        "--in-place",
        action="store_true",
        help="Overwrite the old content if there is no room for both; an interruption loses the old content.",
    )
    _add_timestamp(added, "now")
    added = command("mkdir", _mkdir, "Make a directory and its missing parents.")
    added.add_argument("path", metavar="PATH", help="Directory of the volume.")
    _add_timestamp(added, "now")
    added = command("mv", _mv, "Rename a file or directory, or move it into another directory.")
    added.add_argument("path", metavar="PATH", help="File or directory of the volume.")
    added.add_argument("target", metavar="TARGET", help="The new path, or the directory to move it into.")
    added.add_argument("--force", action="store_true", help="Replace a file that exists.")
    added = command("rm", _rm, "Remove a file or directory.")
    added.add_argument("path", metavar="PATH", help="File or directory of the volume.")
    added.add_argument("-r", "--recursive", action="store_true", help="Remove the whole tree.")
    added = command("info", _info, "Describe the volume.")
    added.add_argument("--regions", action="store_true", help="Also list the byte ranges of metadata and files.")
    command("check", _check, "List every defect of the volume; exit 1 if there is one.")
    return made


def _add_timestamp(parser: CommandParser, otherwise: str) -> None:
    parser.add_argument(
        "--timestamp",
        type=_moment,
        metavar="TIME",
        help="Time of every new entry: 2025-01-31T12:00:00, or seconds since 1970 "
        f"(default: SOURCE_DATE_EPOCH if that is set, or else {otherwise}).",
    )


def _add_formatting(parser: CommandParser, *, new: str) -> None:
    parser.add_argument(
        "--size",
        type=size_argument,
        metavar="SIZE",
        help=f"Size of the volume, such as 64M (default: all of an existing IMAGE's place; for a new IMAGE, {new}).",
    )
    parser.add_argument("--type", type=int, choices=(12, 16, 32), help="FAT type (default: by size).")
    parser.add_argument(
        "--sector-size",
        type=size_argument,
        metavar="SIZE",
        help="Sector size: 512, 1024, 2048 or 4096 bytes (default: that of the device or of the partition table, or"
        " 512).",
    )
    parser.add_argument(
        "--cluster-size", type=size_argument, metavar="SIZE", help="Cluster size, such as 4K (default: by size)."
    )
    parser.add_argument("--label", default="", metavar="LABEL", help="Volume label of up to 11 ASCII characters.")
    parser.add_argument(
        "--serial",
        type=_serial,
        metavar="HEX",
        help="Serial number in hexadecimal (default: derived from the content).",
    )
    parser.add_argument(
        "--hidden-sectors", type=int, metavar="N", help="Number of sectors before the volume (default: by --offset)."
    )
    parser.add_argument("--force", action="store_true", help="Write to an IMAGE that exists.")
    _add_timestamp(parser, "1980-01-01")


def _moment(text: str) -> dt.datetime:
    try:
        if text.isascii() and text.lstrip("-").isdigit():
            return dt.datetime.fromtimestamp(int(text), dt.UTC)
        return dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time ({error})") from None


def _serial(text: str) -> int:
    try:
        return int(text.replace("-", ""), 16)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not hexadecimal") from None


def _timestamp(options: argparse.Namespace, otherwise: dt.datetime) -> dt.datetime:
    """The time of new entries: the option, the environment, or ``otherwise``; a notice says what FAT cannot store.

    Raises:
        UsageError: SOURCE_DATE_EPOCH is not a number of seconds.
    """
    moment: dt.datetime | None = options.timestamp
    if moment is None and (text := os.environ.get("SOURCE_DATE_EPOCH")):
        try:
            moment = _moment(text)
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"SOURCE_DATE_EPOCH: {error}") from None
    if moment is None:
        moment = otherwise
    if times.is_too_early(moment):
        notice(PROGRAM, f"FAT stores no time before 1980: {moment.isoformat()} becomes 1980-01-01T00:00:00")
    return moment


def _find(disk: Storage) -> Place:
    """Where the volume of a disk is: at its start, or in the first partition of a type that holds FAT.

    Raises:
        PartitionError: the disk has partitions, and none of such a type.
    """
    if is_volume(disk):
        return Place(0, None)
    try:
        table = read_partitions(disk, InstalledReaders())
    except PartitionError:
        return Place(0, None)  # neither: the reader says what is wrong with the boot sector
    _tell(table)
    for each in table.partitions:
        if (f"{each.type:#04x}" if isinstance(each.type, int) else str(each.type)) in TYPES:
            return Place(each.offset, each.size)
    raise PartitionError("no partition of a type that holds FAT", hint="name one with --partition")


def _tell(table: object) -> None:
    for sentence in getattr(table, "notices", ()):
        notice(PROGRAM, sentence)


def _place(options: argparse.Namespace, disk: Storage) -> Place:
    """Where the volume is in a disk that is changed, or formatted."""
    stated = stated_place(options.offset, None, options.partition)
    if stated is not None:
        if stated.offset > disk.size:
            raise UsageError("--offset lies behind the end of IMAGE", hint=f"IMAGE has {disk.size} bytes")
        return stated
    if options.partition is None:
        return _find(disk)
    table = read_partitions(disk, InstalledReaders())
    _tell(table)
    chosen = choose(table.partitions, options.partition)
    if getattr(options, "sector_size", 512) is None:  # a volume is made, and has the sectors of its disk
        options.sector_size = getattr(table, "sector_size", None)
    return Place(chosen.offset, chosen.size)


@contextmanager
def _volume(options: argparse.Namespace) -> Iterator[Storage]:
    with open_partition(options.image, find=lambda disk: _place(options, disk)) as storage:
        yield storage


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[FatVolume]:
    """The volume, as far as its image goes; a notice says when that ends too early."""
    with _volume(options) as storage:
        volume = FatVolume(storage, codepage=options.codepage, truncated=True)
        if volume.size > storage.size:
            notice(PROGRAM, f"{options.image} ends {volume.size - storage.size} bytes before its volume does")
        yield volume


@contextmanager
def _reading(options: argparse.Namespace) -> Iterator[FatReader]:
    with _opened(options) as volume:
        yield volume.reader


@contextmanager
def _alone(path: str | os.PathLike[str]) -> Iterator[Storage]:
    """A file or a device for writing, which no other process writes to meanwhile."""
    with open_storage(path, writable=True) as opened, ExitStack() as stack:
        claim(opened.storage, stack)
        yield opened.storage


@contextmanager
def _changing(options: argparse.Namespace, *, stamped: bool = False) -> Iterator[FatFileSystem]:
    moment = _timestamp(options, dt.datetime.now()) if stamped else times.EPOCH  # noqa: DTZ005 -- FAT has local time
    with _alone(options.image) as storage:
        require_raw(storage)
        volume = window(storage, _place(options, storage))
        yield FatFileSystem(volume, codepage=options.codepage, timestamp=moment)


# Making volumes


def _format(options: argparse.Namespace) -> int:
    return _make(options, {})


def _build(options: argparse.Namespace) -> int:
    with tree.opened(sys.stdin.buffer if options.source == "-" else options.source) as content:
        return _make(options, content)


def _format_options(options: argparse.Namespace, offset: int, *, fresh: bool) -> FormatOptions:
    hidden = options.hidden_sectors
    sector_size = 512 if options.sector_size is None else options.sector_size
    try:
        return FormatOptions(
            fat_type=options.type,
            sector_size=sector_size,
            cluster_size=options.cluster_size,
            label=options.label,
            serial=options.serial,
            timestamp=_timestamp(options, times.EPOCH),
            hidden_sectors=offset // max(1, sector_size) if hidden is None else hidden,
            fresh=fresh,
        )
    except errors.InvalidNameError as error:
        raise UsageError(f"--label: {error.message}") from None


def _make(options: argparse.Namespace, content: tree.Tree) -> int:
    target = Path(options.image)
    if target.exists():
        if not options.force:
            raise FileExistsError(17, "the file exists; --force writes to it", str(target))
        with _alone(target) as storage:
            named = options.partition is not None or options.offset is not None
            place = _place(options, storage) if named else Place(0, None)
            if options.sector_size is None:
                options.sector_size = logical_block_size(storage)
            room = storage.size - place.offset if place.size is None else place.size
            size = room if options.size is None else options.size
            if not 0 <= size <= room:
                raise UsageError("--size reaches behind the end of the volume's place", hint=f"it has {room} bytes")
            volume = Window(storage, place.offset, size)
            fs = builder.build(volume, content, _format_options(options, place.offset, fresh=False))
            return _describe(fs, options)
    if options.partition is not None:
        raise UsageError("--partition needs an IMAGE that exists", hint="make the disk with cloudboot-gpt create")
    offset = options.offset or 0
    settings = _format_options(options, offset, fresh=True)
    size = options.size
    if size is None:
        if not content:
            raise UsageError("a new IMAGE needs --size", hint="such as --size 64M")
        size = builder.required_size(content, settings)
    with new_image(target, offset + size) as image:
        return _describe(builder.build(Window(image, offset, size), content, settings), options)


# Reading


def _facts(fs: FatReader) -> dict[str, object]:
    facts = fs.geometry
    free = fs.free_clusters()
    serial = fs.serial
    return {
        "type": f"FAT{facts.fat_type}",
        "label": fs.label,
        "serial": None if serial is None else f"{serial >> 16:04X}-{serial & 0xFFFF:04X}",
        "size": facts.size,
        "sector_size": facts.sector_size,
        "cluster_size": facts.cluster_size,
        "clusters": facts.clusters,
        "free_clusters": free,
        "free": free * facts.cluster_size,
        "reserved_sectors": facts.reserved_sectors,
        "fats": facts.fats,
        "fat_sectors": facts.fat_sectors,
        "root_entries": facts.root_entries,
        "hidden_sectors": facts.hidden_sectors,
        "media": f"{facts.media:#04x}",
        "sectors_per_track": facts.sectors_per_track,
        "heads": facts.heads,
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
    with _reading(options) as fs:
        return _describe(fs, options)


def _ls(options: argparse.Namespace) -> int:
    with _reading(options) as fs:
        found: list[tuple[str, DirEntry]] = []
        if not fs.stat(options.path).is_dir:
            found.append((absolute(options.path), fs.stat(options.path)))
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
            when = "-" if entry.modified is None else f"{entry.modified:%Y-%m-%dT%H:%M:%S}"
            print(f"{'d' if entry.is_dir else '-'} {entry.size:>11} {when:19} {name}")
    return OK


def _by_name(entry: DirEntry) -> str:
    return entry.name


def _cat(options: argparse.Namespace) -> int:
    with _reading(options) as fs:
        for piece in chunks(fs.file_storage(options.path)):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return OK


def _get(options: argparse.Namespace) -> int:
    copied = 0
    with _reading(options) as fs:
        output = Path(options.output)
        if not fs.stat(options.path).is_dir:
            _get_file(fs, options.path, Path(followed(output)), force=options.force)
            copied = 1
        else:
            top = absolute(options.path)
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


def _export(options: argparse.Namespace) -> int:
    from cloudboot_vfs.tar import write_tar  # brings tarfile

    with _opened(options) as volume:
        if options.output == "-":
            write_tar(volume, sys.stdout.buffer, options.path)
            sys.stdout.buffer.flush()
            return OK
        with new_file(followed(options.output), force=options.force) as fd, os.fdopen(os.dup(fd), "wb") as file:
            count = write_tar(volume, file, options.path)
    if options.json:
        print_json({"members": count})
    else:
        print(f"{options.output}: {counted(count, 'member')}")
    return OK


def _diff(options: argparse.Namespace) -> int:
    from cloudboot_vfs.compare import FolderTree, Tree, VolumeTree, compare, print_differences

    with ExitStack() as stack:
        volume = stack.enter_context(_opened(options))
        other: Tree
        if os.path.isdir(options.other):
            other = FolderTree(options.other, follow=True)
        else:
            place = argparse.Namespace(**{**vars(options), "image": options.other})
            other = VolumeTree(stack.enter_context(_opened(place)))
        ignored = {"mode", "owner", "links", "target", "xattrs", "mtime", *options.ignore}
        differences = list(compare(VolumeTree(volume), other, ignore=ignored))
    return print_differences(differences, options.image, options.other, as_json=options.json)


def _done(options: argparse.Namespace, facts: dict[str, object]) -> int:
    if options.json:
        print_json(facts)
    return OK


# Changing


def _put(options: argparse.Namespace) -> int:
    with _changing(options, stamped=True) as fs:
        if not os.path.isdir(options.source):
            name = Path(options.source).resolve().name if options.source.endswith("/") else Path(options.source).name
            path = _into(fs, options.path, name)
            force = options.force or options.in_place
            fs.write_file(path, Path(options.source), overwrite=force, in_place=options.in_place)
            return _done(options, {"files": 1, "path": path})
        copied = 0
        source = tree.load(options.source)
        top = absolute(options.path)
        if not options.in_place:
            _require_room(fs, top, source)
        fs.makedirs(top)
        pending = [(top, source)]
        while pending:
            path, folder = pending.pop()
            for node in folder.ordered():
                inner = join(path, node.name)
                if isinstance(node, tree.DirectoryNode):
                    fs.mkdir(inner, exist_ok=True)
                    pending.append((inner, node))
                else:
                    force = options.force or options.in_place
                    fs.write_file(inner, node.source, overwrite=force, in_place=options.in_place)
                    copied += 1
    return _done(options, {"files": copied, "path": top})


def _require_room(fs: FatReader, top: str, source: tree.DirectoryNode) -> None:
    """See to it that a whole folder fits, so that none is left half copied. What is replaced is freed file by file.

    Raises:
        NoSpaceError: it does not fit; the error says how much is missing.
    """
    size = fs.geometry.cluster_size
    free = lowest = fs.free_clusters()
    pending = [(top, source)]
    while pending:
        path, folder = pending.pop()
        exists = fs.exists(path)
        new = [node for node in folder.ordered() if not (exists and fs.exists(join(path, node.name)))]
        slots = sum(1 + names.long_entry_count(node.name) for node in new)
        free -= -(-slots * ENTRY_SIZE // size) if exists else max(1, -(-(slots + 2) * ENTRY_SIZE // size))
        for node in folder.ordered():
            inner = join(path, node.name)
            if isinstance(node, tree.DirectoryNode):
                pending.append((inner, node))
                continue
            free -= -(-node.size // size)
            lowest = min(lowest, free)
            if exists and fs.exists(inner):
                free += -(-fs.stat(inner).size // size)
        lowest = min(lowest, free)
    if lowest < 0:
        raise errors.NoSpaceError(
            "there is not room for the folder", field=top, expected=f"{-lowest * size} bytes more",
            hint="what is replaced stays until its replacement is written; --in-place overwrites it",
        )  # fmt: skip


def _into(fs: FatReader, path: str, name: str) -> str:
    """``path``, or the path of ``name`` in it if it is a directory."""
    require_length(path)
    return join(absolute(path), name) if fs.exists(path) and fs.stat(path).is_dir else absolute(path)


def _mkdir(options: argparse.Namespace) -> int:
    with _changing(options, stamped=True) as fs:
        fs.makedirs(options.path)
    return _done(options, {"path": absolute(options.path)})


def _mv(options: argparse.Namespace) -> int:
    with _changing(options) as fs:
        entry = fs.stat(options.path)
        names = split(absolute(options.path))
        target = absolute(options.target)
        # Another spelling of a directory's own name is a rename, not a move into itself.
        if not (fs.exists(target) and fs.stat(target).offset == entry.offset and entry.offset is not None):
            target = _into(fs, options.target, names[-1] if names else "")
        fs.rename(options.path, target, overwrite=options.force)
    return _done(options, {"path": target})


def _rm(options: argparse.Namespace) -> int:
    split_new(options.path)  # what is removed has a name
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
        findings = check(storage, codepage=options.codepage)
    return print_findings(options.image, findings, as_json=options.json)
