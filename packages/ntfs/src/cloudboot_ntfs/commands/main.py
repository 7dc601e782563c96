"""``cloudboot-ntfs``: format, build, read, change and check NTFS volumes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cloudboot_base.command import size_argument, whole_argument
from cloudboot_base.program import Program

from . import changing, making, reading, repairing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

PROGRAM = "cloudboot-ntfs"


def _program() -> Program:
    program = Program(PROGRAM, PROGRAM, "Format, build, read, change and check NTFS volumes.")

    def command(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = program.command(name, main, purpose)
        added.add_argument("image", metavar="IMAGE", help="Volume, or disk image: raw, compressed, qcow2 or VHD.")
        return added

    def reader(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = command(name, main, purpose)
        added.add_argument(
            "--partition", help="Number, name, GUID or type of its partition (default: the first that fits)."
        )
        added.add_argument("--offset", type=size_argument, help="Where the volume starts in IMAGE, in bytes.")
        added.add_argument("--size", type=size_argument, help="How long it is (default: all that follows).")
        return added

    added = command("format", making.format_command, "Make an empty volume.")
    _add_layout(added)
    added = command("build", making.build_command, "Make a volume that holds a folder or a tar archive.")
    added.add_argument("source", metavar="SOURCE", help="Folder, or tar archive (compressed or not).")
    _add_layout(added)

    added = reader("ls", reading.ls, "List a directory.")
    added.add_argument("path", metavar="PATH", nargs="?", default="/")
    added.add_argument("-R", "--recursive", action="store_true", help="And everything below it.")
    added.add_argument("--system", action="store_true", help="And the files that the volume consists of.")
    added = reader("cat", reading.cat, "Write a file to stdout.")
    added.add_argument("path", metavar="PATH")
    added.add_argument("--stream", default="", metavar="NAME", help="Another of its data streams.")
    added = reader("get", reading.get, "Copy a file or directory out of the volume.")
    added.add_argument("path", metavar="PATH")
    added.add_argument("output", metavar="OUTPUT", help="File or folder of the host.")
    added.add_argument("--force", action="store_true", help="Replace files that exist.")
    added = reader("export", reading.export, "Write a tree as a tar archive.")
    added.add_argument("output", metavar="OUTPUT", help="Archive to write; - for stdout.")
    added.add_argument("path", metavar="PATH", nargs="?", default="/")
    added.add_argument("--force", action="store_true", help="Replace OUTPUT if it exists.")
    added = reader("info", reading.info, "Describe the volume.")
    added.add_argument("--regions", action="store_true", help="And say where its own files stand.")
    reader("check", reading.check_command, "List everything wrong with the volume; exit 1 if there is anything.")
    added = reader("streams", reading.streams, "List the data streams of a file.")
    added.add_argument("path", metavar="PATH")
    added = reader("sddl", reading.sddl, "Print the security descriptor of a file.")
    added.add_argument("path", metavar="PATH")
    reader("usn", reading.usn, "List the changes in the volume's journal.")

    added = command(
        "repair", repairing.repair_command, "Mend what an interrupted change left behind, and nothing else."
    )
    added.add_argument("--offset", type=size_argument, help="Where the volume starts in IMAGE, in bytes.")
    added.add_argument("--size", type=size_argument, help="How long it is (default: all that follows).")
    added.add_argument(
        "-n", "--dry-run", action="store_true", help="Say what would be done, and change nothing; exit 1 if anything."
    )

    def changer(name: str, main: Callable[[argparse.Namespace], int], purpose: str) -> argparse.ArgumentParser:
        added = command(name, main, purpose)
        added.add_argument("--offset", type=size_argument, help="Where the volume starts in IMAGE, in bytes.")
        added.add_argument("--size", type=size_argument, help="How long it is (default: all that follows).")
        added.add_argument(
            "--timestamp", type=whole_argument, metavar="SECONDS",
            help="Time of the change, since 1970 (default: SOURCE_DATE_EPOCH if that is set, or else now).",
        )  # fmt: skip
        added.add_argument("--windows-names", action="store_true", help="Refuse names that Windows cannot open.")
        added.add_argument("--short-names", action="store_true", help="Give long names a short name of DOS, too.")
        return added

    added = changer("put", changing.put, "Copy a file or folder into the volume.")
    added.add_argument("source", metavar="SOURCE", help="File or folder of the host; links stay links.")
    added.add_argument("path", metavar="PATH", help="Its path in the volume.")
    added.add_argument("--force", action="store_true", help="Replace files that exist.")
    added = changer("mkdir", changing.mkdir, "Make a directory and those above it.")
    added.add_argument("path", metavar="PATH")
    added = changer("rm", changing.rm, "Remove a file or an empty directory.")
    added.add_argument("path", metavar="PATH")
    added.add_argument("-r", "--recursive", action="store_true", help="And everything below it.")
    added = changer("mv", changing.mv, "Move a file or directory to another name.")
    added.add_argument("path", metavar="PATH")
    added.add_argument("target", metavar="TARGET", help="Its new path; a file there is replaced.")
    added = changer("ln", changing.ln, "Give a file another name, or make a symbolic link.")
    added.add_argument("target", metavar="TARGET", help="Path of the file, or what the symbolic link leads to.")
    added.add_argument("path", metavar="PATH", help="The new name.")
    added.add_argument("-s", "--symbolic", action="store_true", help="Make a symbolic link.")
    return program


def _add_layout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=size_argument, help="Size of the volume, such as 64M.")
    parser.add_argument(
        "--offset", type=size_argument, help="Where the volume starts in an IMAGE that exists, in bytes."
    )
    parser.add_argument("--label", default="", help="Up to 32 characters.")
    parser.add_argument("--cluster-size", type=size_argument, help="512 to 64K (default: 4K).")
    parser.add_argument("--record-size", type=size_argument, help="Of an MFT record: 1024 (default) or 4096.")
    parser.add_argument("--sector-size", type=size_argument, default=512, help="512 (default) to 4096.")
    parser.add_argument("--serial", type=making.serial, help="Serial number in hexadecimal (default: derived).")
    parser.add_argument("--security", metavar="SDDL", help="Of every file (default: everybody may do everything).")
    parser.add_argument(
        "--timestamp", type=whole_argument, metavar="SECONDS",
        help="Of the volume's own files, since 1970 (default: SOURCE_DATE_EPOCH if that is set, or else 0).",
    )  # fmt: skip
    parser.add_argument("--case-sensitive", action="store_true", help="Keep names that differ only in case.")
    parser.add_argument("--windows-names", action="store_true", help="Refuse names that Windows cannot open.")
    parser.add_argument("--force", action="store_true", help="Replace IMAGE, or overwrite a part of it with --offset.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    return _program().run(arguments)


if __name__ == "__main__":
    sys.exit(main())
