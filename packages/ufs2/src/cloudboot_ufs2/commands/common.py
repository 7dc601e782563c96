"""What several subcommands share: how a file system is named on the command line, opened, and shown."""

from __future__ import annotations

import argparse
import contextlib
import os
from typing import TYPE_CHECKING

from cloudboot_base import command
from cloudboot_disk_image import InstalledReaders
from cloudboot_ufs2.layout.constants import DEV_BSIZE, SBLOCKSEARCH
from cloudboot_ufs2.reader.reader import UFS2
from cloudboot_ufs2.reader.vmimage import open_volume

from . import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_base import Storage
    from cloudboot_base.parser import CommandParser


def add_place(parser: CommandParser) -> None:
    """Where in an image the file system is."""
    parser.add_argument(
        "--offset",
        type=command.size_argument,
        metavar="SIZE",
        help="The offset of the file system in IMAGE, such as 17M (default: searched).",
    )
    parser.add_argument(
        "--size",
        type=command.size_argument,
        metavar="SIZE",
        help="The size of the file system (default: up to the end).",
    )
    parser.add_argument(
        "--partition", metavar="NUMBER|NAME|TYPE", help="The partition (default: the first of a type that holds UFS)."
    )


def add_image(parser: CommandParser) -> None:
    """The image to read, and where in it the file system is."""
    parser.add_argument(
        "image", metavar="IMAGE", help="A disk or volume: raw, compressed (gz, xz, zst, bz2), qcow2 or VHD."
    )
    add_place(parser)
    add_superblock(parser)
    parser.add_argument("--spool", metavar="FOLDER", help="Folder for the decompressed disk (default: TMPDIR).")


def add_superblock(parser: CommandParser) -> None:
    """Which superblock to use."""
    parser.add_argument(
        "--superblock", type=int, metavar="SECTOR",
        help="Sector of the backup superblock to use, as in fsck_ffs -b (default: searched if the first is damaged).",
    )  # fmt: skip


def add_writable_image(parser: CommandParser) -> None:
    """The image to change, and where in it the file system is."""
    parser.add_argument("image", metavar="IMAGE", help="A raw disk or volume, changed in place.")
    add_place(parser)


def add_freebsd(parser: CommandParser) -> None:
    """Which FreeBSD has to read the file system."""
    parser.add_argument(
        "--freebsd", type=int, default=14, metavar="VERSION",
        help="The oldest release of FreeBSD that has to read it; 15 allows 65500 links of a file (default: 14).",
    )  # fmt: skip


@contextlib.contextmanager
def storage(options: argparse.Namespace, image: str | None = None, *, keep_free: bool = False) -> Iterator[Storage]:
    """The bytes of the file system that the options name; ``image`` replaces theirs."""
    path = options.image if image is None else image
    progress = command.Progress("reading", os.stat(path).st_size)
    with contextlib.ExitStack() as stack:
        stack.callback(progress.close)
        opened = stack.enter_context(
            open_volume(
                path,
                offset=options.offset,
                size=options.size,
                partition=options.partition,
                readers=InstalledReaders(),
                folder=options.spool,
                keep_free=keep_free,
                progress=progress,
            )
        )
        progress.close()
        yield opened


@contextlib.contextmanager
def volume(options: argparse.Namespace, image: str | None = None, *, truncated: bool = True) -> Iterator[UFS2]:
    """The file system that the options name.

    With ``truncated`` it is read as far as its image goes; a notice says when that ends too early.
    """
    with (
        storage(options, image) as opened,
        UFS2(opened, superblock=superblock_of(options), fallback=True, truncated=truncated) as found,
    ):
        if found.size > opened.size:
            name = options.image if image is None else image
            command.notice(PROGRAM, f"{name} ends {found.size - opened.size} bytes before its file system does")
        if options.superblock is None and found.superblock_offset not in SBLOCKSEARCH:
            at = found.superblock_offset
            command.notice(
                PROGRAM,
                f"the superblock is damaged; the backup in sector {at // DEV_BSIZE} is used. repair restores it",
            )
        yield found


def superblock_of(options: argparse.Namespace) -> int | None:
    """The byte of the superblock that the options name."""
    return None if options.superblock is None else options.superblock * DEV_BSIZE


def escaped(text: str) -> str:
    """``text`` without bytes that no terminal and no JSON reader takes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def owner_argument(text: str) -> tuple[int, int]:
    """``"0:0"`` for :mod:`argparse`."""
    uid, gid = owner_change(text)
    if uid is None or gid is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an owner; write 0:0")
    return uid, gid


def owner_change(text: str) -> tuple[int | None, int | None]:
    """``"0:0"``, ``"1001"`` or ``":5"`` for :mod:`argparse`."""
    user, colon, group = text.partition(":")
    numbers = [part for part in (user, group) if part]
    if not numbers or (colon and not group) or not all(part.isascii() and part.isdigit() for part in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not an owner; write 0:0")
    if any(int(part) >= 1 << 32 for part in numbers):
        raise argparse.ArgumentTypeError(f"{text!r}: user and group have 32 bits")
    return (int(user) if user else None), (int(group) if group else None)
