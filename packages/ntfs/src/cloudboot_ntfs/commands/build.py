"""The commands that make volumes."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from cloudboot_base import UsageError, Window, open_storage
from cloudboot_base.command import OK, Progress, counted, print_json, printable, source_date_epoch
from cloudboot_base.storage import is_block_device, logical_block_size
from cloudboot_ntfs.builder.build import build
from cloudboot_ntfs.builder.options import EVERYONE, Options
from cloudboot_ntfs.errors import ReadOnlyError
from cloudboot_vfs.exclusive import claim

if TYPE_CHECKING:
    from cloudboot_base import WritableStorage
    from cloudboot_ntfs.builder.build import Built
    from cloudboot_ntfs.builder.source import Tree


#: Paths that a notice names.
_SHOWN: Final = 5


def serial(text: str) -> int:
    """A serial number in hexadecimal, for :mod:`argparse`."""
    try:
        number = int(text.replace("-", ""), 16)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not hexadecimal") from None
    return number


def format_command(options: argparse.Namespace) -> int:
    """``format``."""
    if options.size is None and options.offset is None and not is_block_device(options.image):
        raise UsageError("an empty volume needs a size", hint="--size 64M")
    return _make(options, {})


def build_command(options: argparse.Namespace) -> int:
    """``build``."""
    return _make(options, sys.stdin.buffer if options.source == "-" else options.source)


def _make(options: argparse.Namespace, tree: Tree) -> int:
    if options.offset is None and is_block_device(options.image):
        options.offset = 0
    if options.sector_size is None:
        options.sector_size = _sector_size(options)
    layout = Options(
        label=options.label,
        cluster_size=options.cluster_size,
        record_size=options.record_size,
        sector_size=options.sector_size,
        serial=options.serial,
        security=options.security or EVERYONE,
        timestamp_ns=(options.timestamp if options.timestamp is not None else source_date_epoch() or 0) * 10**9,
        case_sensitive=options.case_sensitive,
        windows_names=options.windows_names,
        hidden_sectors=(options.offset or 0) // max(options.sector_size, 1),  # Options refuses what is no size
    )
    progress = Progress("writing files")
    try:
        if options.offset is None:
            built = build(
                options.image, tree, layout, size=options.size, force=options.force, progress=_shown(progress)
            )
        else:
            built = _in_place(options, tree, layout, progress)
    finally:
        progress.close()
    if built.foreign:
        shown = ", ".join(printable(path) for path in built.foreign[:_SHOWN])
        more = f" and {len(built.foreign) - _SHOWN} more" if len(built.foreign) > _SHOWN else ""
        print(f"cloudboot-ntfs: notice: names that Windows cannot open: {shown}{more}", file=sys.stderr)
    for notice in built.notices:
        print(f"cloudboot-ntfs: notice: {printable(notice)}", file=sys.stderr)
    facts = {
        "files": built.files,
        "size": built.geometry.backup_offset + built.geometry.sector_size,
        "used": built.used,
        "cluster_size": built.geometry.cluster_size,
        "serial": f"{built.geometry.serial:016x}",
        "notices": list(built.notices),
    }
    if options.json:
        print_json(facts)
    else:
        print(f"{counted(built.files, 'file')}, {built.used} of {facts['size']} bytes in use, serial {facts['serial']}")
    return OK


def _sector_size(options: argparse.Namespace) -> int:
    if options.offset is None:
        return 512
    with open_storage(options.image) as opened:
        return logical_block_size(opened.storage) or 512


def _shown(progress: Progress) -> _Shown:
    return _Shown(progress)


class _Shown:
    """Progress of a build, told as done and total."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, done: int, total: int) -> None:
        del total
        self._progress(done)


def _in_place(options: argparse.Namespace, tree: Tree, layout: Options, progress: Progress) -> Built:
    if not options.force:
        raise UsageError("a part of an image is to be overwritten", hint="--force says that this is meant")
    with open_storage(options.image, writable=True) as opened, ExitStack() as stack:
        claim(opened.storage, stack, ReadOnlyError)
        size = opened.storage.size - options.offset if options.size is None else options.size
        target: WritableStorage = Window(opened.storage, options.offset, size)
        return build(target, tree, layout, progress=_shown(progress))
