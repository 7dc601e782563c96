"""``export``, ``verify`` and ``diff``."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from cloudboot_base import UsageError, command, read_file
from cloudboot_base.lightdata import asdict
from cloudboot_ufs2.exporter.compare import FIELDS, compare
from cloudboot_ufs2.exporter.extract import extract as write_archive
from cloudboot_ufs2.exporter.presets import PRESETS
from cloudboot_ufs2.exporter.verify import verify as verify_boot
from cloudboot_vfs.compare import print_differences

from .common import add_image, escaped, volume

if TYPE_CHECKING:
    from cloudboot_base.parser import CommandParser, Main

_MOST_CONFIGURATION: Final = 1 << 20


def export(parser: CommandParser) -> Main:
    """Declare ``export``."""
    add_image(parser)
    parser.add_argument("archive", metavar="ARCHIVE", help="The archive to write, or - for stdout.")
    parser.add_argument(
        "patterns", nargs="*", metavar="PATTERN", help="Paths to include, such as boot/kernel/* (default: all)."
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), help="Include the files that FreeBSD's loader needs.")
    parser.add_argument("--loader-conf", metavar="FILE", help="The file to include as /boot/loader.conf.")
    parser.add_argument("--force", action="store_true", help="Replace an existing archive.")
    return _export


def verify(parser: CommandParser) -> Main:
    """Declare ``verify``."""
    add_image(parser)
    for name, file in (("kernel", "a kernel"), ("loader-conf", "/boot/loader.conf")):
        parser.add_argument(
            f"--require-{name}", action=argparse.BooleanOptionalAction, default=True,
            help=f"Whether a file system without {file} fails (default: yes).",
        )  # fmt: skip
    return _verify


def diff(parser: CommandParser) -> Main:
    """Declare ``diff``."""
    add_image(parser)
    parser.add_argument("other", metavar="OTHER", help="A folder, or another image, to which the same options apply.")
    parser.add_argument(
        "--ignore", choices=FIELDS, action="append", default=[], help="Ignore this difference. Can be repeated."
    )
    return _diff


def _export(options: argparse.Namespace) -> int:
    if bool(options.preset) and bool(options.patterns):
        raise UsageError("a preset or patterns, not both", hint="leave out --preset, or the patterns")
    selection = PRESETS[options.preset] if options.preset else options.patterns or ("*",)
    configuration = None
    if options.loader_conf is not None:
        configuration = read_file(options.loader_conf, _MOST_CONFIGURATION)
    if options.archive != "-" and not options.force and os.path.lexists(options.archive):
        # Before minutes are spent on decompressing.
        raise FileExistsError(17, "the file exists; --force replaces it", options.archive)
    progress = command.Progress("writing")
    with volume(options) as found:
        try:
            done = write_archive(
                found,
                sys.stdout.buffer if options.archive == "-" else options.archive,
                selection,
                configuration=configuration,
                force=options.force,
                progress=progress,
            )
        finally:
            progress.close()
    for skipped in done.skipped:
        print(f"left out {command.printable(skipped.path)}: {skipped.reason}", file=sys.stderr)
    if options.archive == "-":
        return command.OK
    if options.json:
        facts = {**asdict(done), "archive": options.archive}
        command.print_json({**facts, "paths": [escaped(path) for path in done.paths]})
    else:
        print(f"{options.archive}: {command.counted(len(done.paths), 'member')}, {done.size} bytes")
        for path in done.synthesised:
            print(f"made {path}")
    return command.OK


def _verify(options: argparse.Namespace) -> int:
    with volume(options, truncated=False) as found:
        result = verify_boot(
            found, require_kernel=options.require_kernel, require_loader_conf=options.require_loader_conf
        )
    with command.ignoring_broken_pipe():
        if options.json:
            command.print_json({**result.facts, "findings": [finding.as_dict() for finding in result.findings]})
        else:
            for name, value in result.facts.items():
                print(f"{name.replace('_', ' ')}: {command.printable(str(value))}")
            for finding in result.findings:
                print(command.printable(str(finding)))
            if not result.findings:
                print(f"{options.image}: FreeBSD can boot from it")
    return command.CHECK_FAILED if result.findings else command.OK


def _diff(options: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(volume(options))
        if os.path.isdir(options.other):
            differences = list(compare(found, options.other, ignore=options.ignore))
        else:
            other = stack.enter_context(volume(options, options.other))
            differences = list(compare(found, other, ignore=options.ignore))
    return print_differences(differences, options.image, options.other, as_json=options.json, shown=escaped)
