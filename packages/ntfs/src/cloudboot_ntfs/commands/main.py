"""``cloudboot-ntfs``: format, build, read, change and check NTFS volumes."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cloudboot_base.command import add_common_arguments, run, size_argument

from . import changing, making, reading, repairing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAM = "cloudboot-ntfs"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(main=main)
        added.add_argument("image", metavar="IMAGE", help="volume, or disk image: raw, compressed, qcow2 or VHD")
        add_common_arguments(added)
        return added

    def reader(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = command(name, main, purpose)
        added.add_argument(
            "--partition", help="number, name, GUID or type of its partition (default: the first that fits)"
        )
        added.add_argument("--offset", type=size_argument, help="where the volume starts in IMAGE, in bytes")
        added.add_argument("--size", type=size_argument, help="how long it is (default: all that follows)")
        return added

    added = command("format", making.format_command, "make an empty volume")
    _add_layout(added)
    added = command("build", making.build_command, "make a volume that holds a folder or a tar archive")
    added.add_argument("source", metavar="SOURCE", help="folder, or tar archive (compressed or not)")
    _add_layout(added)

    added = reader("ls", reading.ls, "list a directory")
    added.add_argument("path", metavar="PATH", nargs="?", default="/")
    added.add_argument("-R", "--recursive", action="store_true", help="and everything below it")
    added.add_argument("--system", action="store_true", help="and the files that the volume consists of")
    added = reader("cat", reading.cat, "write a file to stdout")
    added.add_argument("path", metavar="PATH")
    added.add_argument("--stream", default="", metavar="NAME", help="another of its data streams")
    added = reader("get", reading.get, "copy a file or directory out of the volume")
    added.add_argument("path", metavar="PATH")
    added.add_argument("output", metavar="OUTPUT", help="file or folder of the host")
    added.add_argument("--force", action="store_true", help="replace files that exist")
    added = reader("export", reading.export, "write a tree as a tar archive")
    added.add_argument("output", metavar="OUTPUT", help="archive to write; - for stdout")
    added.add_argument("path", metavar="PATH", nargs="?", default="/")
    added.add_argument("--force", action="store_true", help="replace OUTPUT if it exists")
    added = reader("info", reading.info, "describe the volume")
    added.add_argument("--regions", action="store_true", help="and say where its own files stand")
    reader("check", reading.check_command, "list everything wrong with the volume; exit 1 if there is anything")
    added = reader("streams", reading.streams, "list the data streams of a file")
    added.add_argument("path", metavar="PATH")
    added = reader("sddl", reading.sddl, "print the security descriptor of a file")
    added.add_argument("path", metavar="PATH")
    reader("usn", reading.usn, "list the changes in the volume's journal")

    added = command("repair", repairing.repair_command, "mend what an interrupted change left behind, and nothing else")
    added.add_argument("--offset", type=size_argument, help="where the volume starts in IMAGE, in bytes")
    added.add_argument("--size", type=size_argument, help="how long it is (default: all that follows)")
    added.add_argument(
        "-n", "--dry-run", action="store_true", help="say what would be done, and change nothing; exit 1 if anything"
    )

    def changer(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = command(name, main, purpose)
        added.add_argument("--offset", type=size_argument, help="where the volume starts in IMAGE, in bytes")
        added.add_argument("--size", type=size_argument, help="how long it is (default: all that follows)")
        added.add_argument("--timestamp", type=int, default=0, help="time of the change, in seconds since 1970")
        added.add_argument("--windows-names", action="store_true", help="refuse names that Windows cannot open")
        added.add_argument("--short-names", action="store_true", help="give long names a short name of DOS, too")
        return added

    added = changer("put", changing.put, "copy a file or folder into the volume")
    added.add_argument("source", metavar="SOURCE", help="file or folder of the host; links stay links")
    added.add_argument("path", metavar="PATH", help="its path in the volume")
    added.add_argument("--force", action="store_true", help="replace files that exist")
    added = changer("mkdir", changing.mkdir, "make a directory and those above it")
    added.add_argument("path", metavar="PATH")
    added = changer("rm", changing.rm, "remove a file or an empty directory")
    added.add_argument("path", metavar="PATH")
    added.add_argument("-r", "--recursive", action="store_true", help="and everything below it")
    added = changer("mv", changing.mv, "move a file or directory to another name")
    added.add_argument("path", metavar="PATH")
    added.add_argument("target", metavar="TARGET", help="its new path; a file there is replaced")
    added = changer("ln", changing.ln, "give a file another name, or make a symbolic link")
    added.add_argument("target", metavar="TARGET", help="path of the file, or what the symbolic link leads to")
    added.add_argument("path", metavar="PATH", help="the new name")
    added.add_argument("-s", "--symbolic", action="store_true", help="make a symbolic link")
    return parser


def _add_layout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=size_argument, help="size of the volume, such as 64M")
    parser.add_argument(
        "--offset", type=size_argument, help="where the volume starts in an IMAGE that exists, in bytes"
    )
    parser.add_argument("--label", default="", help="up to 32 characters")
    parser.add_argument("--cluster-size", type=size_argument, help="512 to 64K (default: 4K)")
    parser.add_argument("--record-size", type=size_argument, help="of an MFT record: 1024 (default) or 4096")
    parser.add_argument("--sector-size", type=size_argument, default=512, help="512 (default) to 4096")
    parser.add_argument("--serial", type=making.serial, help="serial number in hexadecimal (default: derived)")
    parser.add_argument("--security", metavar="SDDL", help="of every file (default: everybody may do everything)")
    parser.add_argument("--timestamp", type=int, default=0, help="of the volume's own files, in seconds since 1970")
    parser.add_argument("--case-sensitive", action="store_true", help="keep names that differ only in case")
    parser.add_argument("--force", action="store_true", help="replace IMAGE, or overwrite a part of it with --offset")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    options = _parser().parse_args(arguments)
    code: Callable[[argparse.Namespace], int] = options.main
    return run(PROGRAM, code, options)


if __name__ == "__main__":
    sys.exit(main())
