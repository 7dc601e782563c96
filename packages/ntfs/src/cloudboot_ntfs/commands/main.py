"""``cloudboot-ntfs``: format, build, read, change and check NTFS volumes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cloudboot_base.command import new_image_argument, size_argument, whole_argument
from cloudboot_base.program import Program
from cloudboot_ntfs.exporter.compare import FIELDS

from . import build, edit, reading, repair

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

PROGRAM = "cloudboot-ntfs"
_OFFSET = "The offset of the volume in IMAGE, such as 1M."
_SIZE = "The size of the volume (default: up to the end of IMAGE)."


_EXAMPLES = {
    "build windows.img tree --size 64M --label WINDOWS": "Make a volume with the files of the folder tree.",
    "ls disk.vhd /Windows/System32": "List a directory in the first partition that holds NTFS.",
    "get disk.qcow2 /Windows/win.ini win.ini --partition 3": "Copy a file out of partition 3.",
    "put windows.img hosts /Windows/System32/drivers/etc/hosts --force": "Replace a file.",
    "check windows.img --json": "List the defects of a volume as JSON.",
}


def program() -> Program:
    """The command lines of this package."""
    program = Program(PROGRAM, PROGRAM, "Format, build, read, change and check NTFS volumes.", examples=_EXAMPLES)
    _add_readers(program)
    _add_writers(program)
    return program


def _add_readers(program: Program) -> None:
    """Commands that make a volume, or only read one."""

    def command(
        name: str, main: Callable[[argparse.Namespace], int], purpose: str, image: Callable[[str], str] = str
    ) -> argparse.ArgumentParser:
        added = program.command(name, main, purpose)
        added.add_argument(
            "image", type=image, metavar="IMAGE", help="A volume, or a disk image: raw, compressed, qcow2 or VHD."
        )
        return added

    def reader(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = command(name, main, purpose)
        _add_place(added)
        return added

    added = command("format", build.format_command, "Make an empty volume.")
    _add_layout(added)
    purpose = "Make a volume with the content of a folder or a tar archive."
    added = command("build", build.build_command, purpose, new_image_argument)
    added.add_argument(
        "source", metavar="SOURCE", help="A folder, a tar archive (compressed or not), or - for an archive on stdin."
    )
    _add_layout(added)

    added = reader("ls", reading.ls, "List a directory.")
    added.add_argument("path", metavar="PATH", nargs="?", default="/", help="Directory of the volume (default: /).")
    added.add_argument("-R", "--recursive", action="store_true", help="List the whole tree.")
    added.add_argument("--system", action="store_true", help="Also list the metadata files, such as $MFT.")
    added = reader("cat", reading.cat, "Write a file to stdout.")
    added.add_argument("path", metavar="PATH", help="A path in the volume.")
    added.add_argument("--stream", default="", metavar="NAME", help="A named data stream of the file.")
    added = reader("get", reading.get, "Copy a file or directory out of the volume.")
    added.add_argument("path", metavar="PATH", help="A path in the volume.")
    added.add_argument("output", metavar="OUTPUT", help="File or folder of the host.")
    added.add_argument("--force", action="store_true", help="Replace files that exist.")
    added = reader("export", reading.export, "Write a tree as a tar archive.")
    added.add_argument("output", metavar="OUTPUT", help="The archive to write, or - for stdout.")
    added.add_argument("path", metavar="PATH", nargs="?", default="/", help="Root of the tree (default: /).")
    added.add_argument("--force", action="store_true", help="Replace OUTPUT if it exists.")
    added = reader("diff", reading.diff, "Compare a volume with another image or a folder; exit 1 if they differ.")
    added.add_argument("other", metavar="OTHER", help="A folder, or another image, to which the same options apply.")
    added.add_argument(
        "--ignore", choices=FIELDS, action="append", default=[], help="Ignore this difference. Can be repeated."
    )
    added = reader("info", reading.info, "Describe the volume.")
    added.add_argument("--regions", action="store_true", help="Also list the byte ranges of the metadata files.")
    reader("check", reading.check_command, "List every defect of the volume; exit 1 if there is one.")
    added = reader("streams", reading.streams, "List the data streams of a file.")
    added.add_argument("path", metavar="PATH", help="A path in the volume.")
    added = reader("sddl", reading.sddl, "Print the security descriptor of a file.")
    added.add_argument("path", metavar="PATH", help="A path in the volume.")
    reader("usn", reading.usn, "List the records of the change journal ($UsnJrnl).")


def _add_writers(program: Program) -> None:
    """Commands that change a volume in place."""

    def writer(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = program.command(name, main, purpose)
        added.add_argument("image", metavar="IMAGE", help="A volume or a raw disk image, changed in place.")
        _add_place(added)
        return added

    added = writer(
        "repair", repair.repair_command, "Repair what an interrupted change left behind; refuse any other damage."
    )
    added.add_argument(
        "-n",
        "--dry-run",
        action="store_true",
        help="Print what would be repaired; change nothing; exit 1 if there is anything.",
    )

    def changer(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = writer(name, main, purpose)
        added.add_argument(
            "--timestamp", type=whole_argument, metavar="SECONDS",
            help="Time of the change, since 1970 (default: SOURCE_DATE_EPOCH if that is set, or else now).",
        )  # fmt: skip
        added.add_argument("--windows-names", action="store_true", help="Refuse names that Windows cannot open.")
        added.add_argument("--short-names", action="store_true", help="Also give long names an 8.3 name.")
        return added

    added = changer("put", edit.put, "Copy a file or folder into the volume.")
    added.add_argument("source", metavar="SOURCE", help="File or folder of the host; symbolic links are kept.")
    added.add_argument("path", metavar="PATH", help="The path in the volume, or the directory for a file.")
    added.add_argument("--force", action="store_true", help="Replace files that exist.")
    added = changer("mkdir", edit.mkdir, "Make a directory and its missing parents.")
    added.add_argument("path", metavar="PATH", help="A path in the volume.")
    added = changer("rm", edit.rm, "Remove a file or an empty directory.")
    added.add_argument("path", metavar="PATH", help="A path in the volume.")
    added.add_argument("-r", "--recursive", action="store_true", help="Remove the whole tree.")
    added = changer("mv", edit.mv, "Move a file or directory to another name.")
    added.add_argument("path", metavar="PATH", help="A path in the volume.")
    added.add_argument(
        "target", metavar="TARGET", help="The new path, or a directory to move it into; an existing file is replaced."
    )
    added = changer("ln", edit.ln, "Give a file another name, or make a symbolic link.")
    added.add_argument("target", metavar="TARGET", help="Path of the file, or the target of the symbolic link.")
    added.add_argument("path", metavar="PATH", help="The new name.")
    added.add_argument("-s", "--symbolic", action="store_true", help="Make a symbolic link.")


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--partition",
        metavar="NUMBER|NAME|TYPE",
        help="The partition (default: the first of a type that holds NTFS).",
    )
    parser.add_argument("--offset", type=size_argument, metavar="SIZE", help=_OFFSET)
    parser.add_argument("--size", type=size_argument, metavar="SIZE", help=_SIZE)


def _add_layout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=size_argument, metavar="SIZE", help="Size of the volume, such as 64M.")
    parser.add_argument(
        "--offset",
        type=size_argument,
        metavar="SIZE",
        help="The offset of the volume in an existing IMAGE, such as 1M.",
    )
    parser.add_argument("--label", default="", help="Volume label of up to 32 characters.")
    parser.add_argument(
        "--cluster-size", type=size_argument, metavar="SIZE", help="Cluster size: 512 to 64K (default: 4K)."
    )
    parser.add_argument(
        "--record-size", type=size_argument, metavar="SIZE", help="Size of an MFT record: 1024 or 4096 (default: 1024)."
    )
    parser.add_argument(
        "--sector-size",
        type=size_argument,
        metavar="SIZE",
        help="Sector size: 512 to 4096 (default: that of the device, or 512).",
    )
    parser.add_argument(
        "--serial",
        type=build.serial,
        metavar="HEX",
        help="Serial number in hexadecimal (default: derived from the content).",
    )
    parser.add_argument(
        "--security", metavar="SDDL", help="Security descriptor of every file (default: full access for everyone)."
    )
    parser.add_argument(
        "--timestamp", type=whole_argument, metavar="SECONDS",
        help="Time of the metadata files, since 1970 (default: SOURCE_DATE_EPOCH if that is set, or else 0).",
    )  # fmt: skip
    parser.add_argument("--case-sensitive", action="store_true", help="Allow names that differ only in case.")
    parser.add_argument("--windows-names", action="store_true", help="Refuse names that Windows cannot open.")
    parser.add_argument("--force", action="store_true", help="Replace IMAGE, or overwrite a part of it with --offset.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    return program().run(arguments)


if __name__ == "__main__":
    sys.exit(main())
