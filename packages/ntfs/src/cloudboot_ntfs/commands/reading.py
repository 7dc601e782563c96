"""The commands that read volumes."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import sys
from typing import TYPE_CHECKING

from cloudboot_base import followed, new_file
from cloudboot_base.command import OK, counted, notice, print_findings, print_json, printable
from cloudboot_disk_image import InstalledReaders, open_partition
from cloudboot_ntfs.checker import check
from cloudboot_ntfs.exporter import copy_out
from cloudboot_ntfs.reader.logfile import LogState
from cloudboot_ntfs.reader.opening import find_volume
from cloudboot_ntfs.reader.volume import NTFS
from cloudboot_vfs.notices import Notices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage
    from cloudboot_vfs import DirEntry

_PIECE = 1 << 20


@contextlib.contextmanager
def _storage(options: argparse.Namespace) -> Iterator[Storage]:
    """The volume in whatever file it comes."""
    with open_partition(
        options.image,
        options.partition,
        offset=options.offset,
        size=options.size,
        readers=InstalledReaders(),
        find=find_volume,
    ) as storage:
        yield storage


@contextlib.contextmanager
def _volume(options: argparse.Namespace) -> Iterator[NTFS]:
    system = getattr(options, "system", False)
    with _storage(options) as storage, NTFS(storage, system_files=system, truncated=True) as volume:
        missing = volume.geometry.total_sectors * volume.geometry.sector_size - storage.size
        if missing > 0:
            notice("cloudboot-ntfs", f"{options.image} ends {missing} bytes before its volume does")
            yield volume  # what the log says need not be there, and the volume is incomplete in any case
            return
        if volume.is_dirty:
            print(
                "cloudboot-ntfs: notice: the volume was not unmounted; it is read without a replay of its log",
                file=sys.stderr,
            )
        elif volume.log_state == LogState.REPLAY:
            print(
                "cloudboot-ntfs: notice: the log of the volume is to be replayed; the volume is read without that",
                file=sys.stderr,
            )
        elif volume.log_state == LogState.CACHED or volume.is_hibernated:
            print(
                "cloudboot-ntfs: notice: Windows was not shut down completely (hibernation, fast startup); changes that"
                " it holds in memory are missing",
                file=sys.stderr,
            )
        yield volume


def _time(nanoseconds: int) -> str:
    try:
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return "?"
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def ls(options: argparse.Namespace) -> int:
    """``ls``."""
    with _volume(options) as volume:
        rows = [_row(volume, entry) for entry in _entries(volume, options)]
    if options.json:
        print_json(rows)
        return OK
    for row in rows:
        arrow = f" -> {row['target']}" if "target" in row else ""
        line = f"{row['kind']}{row['attributes']} {row['size']:>12} {row['modified']} {row['path']}{arrow}"
        print(printable(line))
    return OK


def _entries(volume: NTFS, options: argparse.Namespace) -> Iterator[DirEntry]:
    if not options.recursive:
        yield from volume.iterdir(options.path)
        return
    for _, below, others in volume.walk(options.path):
        yield from sorted([*below, *others], key=lambda entry: entry.path)


_LETTERS = ((0x1, "r"), (0x2, "h"), (0x4, "s"), (0x20, "a"), (0x200, "o"), (0x800, "c"), (0x4000, "e"))


def _row(volume: NTFS, entry: DirEntry) -> dict[str, object]:
    status = volume.stat_inode(entry.inode)
    kind = "d" if entry.is_dir() else "l" if entry.is_symlink() else "-"
    row: dict[str, object] = {
        "path": entry.path,
        "kind": kind,
        "attributes": "".join(letter if status.st_flags & bit else "-" for bit, letter in _LETTERS),
        "size": status.st_size,
        "modified": _time(status.st_mtime_ns),
        "record": entry.inode,
        "links": status.st_nlink,
    }
    if kind == "l":
        row["target"] = volume.link_target(entry.inode)
    return row


def cat(options: argparse.Namespace) -> int:
    """``cat``."""
    with _volume(options) as volume:
        file = volume.open_file(options.path, stream=options.stream)
        for start in range(0, file.size, _PIECE):
            sys.stdout.buffer.write(file.read_at(start, _PIECE))
    sys.stdout.buffer.flush()
    return OK


def get(options: argparse.Namespace) -> int:
    """``get``."""
    with _volume(options) as volume:
        done = copy_out(volume, options.path, options.output, force=options.force)
    if options.json:
        print_json({"files": done.files, "directories": done.directories, "links": done.links, "size": done.size})
    else:
        print(f"{counted(done.files, 'file')}, {done.size} bytes")
    if done.streams:
        print(
            f"cloudboot-ntfs: notice: {counted(done.streams, 'data stream')} not copied; cat --stream writes one",
            file=sys.stderr,
        )
    return OK


def export(options: argparse.Namespace) -> int:
    """``export``."""
    from cloudboot_ntfs.exporter.tar import write_tar  # brings tarfile

    notices = Notices()

    with _volume(options) as volume:
        if options.output == "-":
            count = write_tar(volume, sys.stdout.buffer, options.path, notices)
            sys.stdout.buffer.flush()
        else:
            with new_file(followed(options.output), force=options.force) as fd, open(os.dup(fd), "wb") as file:
                count = write_tar(volume, file, options.path, notices)
    for line in notices.lines():
        print(f"cloudboot-ntfs: notice: {printable(line)}", file=sys.stderr)
    if options.output == "-":
        return OK
    if options.json:
        print_json({"members": count, "notices": notices.lines()})
    else:
        print(counted(count, "member"))
    return OK


def diff(options: argparse.Namespace) -> int:
    """``diff``."""
    from cloudboot_ntfs.exporter.compare import compare
    from cloudboot_vfs.compare import print_differences

    with contextlib.ExitStack() as stack:
        volume = stack.enter_context(_volume(options))
        other: NTFS | str = options.other
        if not os.path.isdir(options.other):
            other = stack.enter_context(_volume(argparse.Namespace(**{**vars(options), "image": options.other})))
        differences = list(compare(volume, other, ignore=options.ignore))
    return print_differences(differences, options.image, options.other, as_json=options.json)


def info(options: argparse.Namespace) -> int:
    """``info``."""
    with _volume(options) as volume:
        geometry, information = volume.geometry, volume.information
        facts: dict[str, object] = {
            "label": volume.label,
            "serial": f"{geometry.serial:016x}",
            "version": f"{information.major_version}.{information.minor_version}",
            "size": volume.size,
            "sector size": geometry.sector_size,
            "cluster size": geometry.cluster_size,
            "clusters": geometry.clusters,
            "record size": geometry.record_size,
            "records": volume.mft.count,
            "dirty": volume.is_dirty,
            "log": str(volume.log_state),
            "hibernated": volume.is_hibernated,
        }
        regions = [each._asdict() for each in volume.regions()] if options.regions else []
    if options.json:
        print_json(facts | ({"regions": regions} if options.regions else {}))
        return OK
    for name, value in facts.items():
        print(f"{name + ':':<14}{printable(str(value))}")
    for region in regions:
        print(f"{region['kind']:<14}{region['offset']:>14} {region['length']:>12}")
    return OK


def check_command(options: argparse.Namespace) -> int:
    """``check``."""
    with _storage(options) as storage:
        findings = check(storage)
    return print_findings(options.image, findings, as_json=options.json)


def streams(options: argparse.Namespace) -> int:
    """``streams``."""
    with _volume(options) as volume:
        found = volume.streams(options.path)
    if options.json:
        print_json([each._asdict() for each in found])
        return OK
    for each in found:
        print(printable(f"{each.size:>12} {each.allocated:>12} {each.name or '(content)'}"))
    return OK


def sddl(options: argparse.Namespace) -> int:
    """``sddl``."""
    with _volume(options) as volume:
        text = volume.sddl(options.path)
    if options.json:
        print_json({"path": options.path, "sddl": text})
    else:
        print(text)
    return OK


def usn(options: argparse.Namespace) -> int:
    """``usn``."""
    with _volume(options) as volume:
        records = list(volume.usn_records())
    if options.json:
        print_json([each._asdict() for each in records])
        return OK
    for each in records:
        print(printable(f"{each.usn:>12} {_time(each.time_ns)} {each.reason:#010x} {each.inode:>8} {each.name}"))
    return OK
