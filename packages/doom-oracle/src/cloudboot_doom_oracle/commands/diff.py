"""``diff``: where two oracles begin to differ, in words and in a picture."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloudboot_base import followed, new_file
from cloudboot_base.command import CHECK_FAILED, OK, print_json
from cloudboot_doom_oracle.gates import first_divergence
from cloudboot_doom_oracle.oracle import read_oracle

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program
    from cloudboot_doom_oracle.oracle import Oracle


def diff_command(options: argparse.Namespace) -> int:
    """The first tic at which two oracles differ."""
    ours, theirs = read_oracle(options.one), read_oracle(options.other)
    divergence = first_divergence(ours.frames, theirs.frames)
    same_sounds = ours.audio_log == theirs.audio_log
    tic = _differing_checkpoint(ours, theirs) if options.picture is not None else None
    if tic is not None:
        _draw(ours, theirs, tic, options.picture)
    if options.json:
        picture = None if tic is None else {"file": options.picture, "tic": tic}
        told = divergence and divergence.as_dict()
        print_json({"divergence": told, "audio_logs_equal": same_sounds, "picture": picture})
    else:
        if divergence is None:
            print(f"{len(ours.frames)} frames are equal; the audio logs are {'equal' if same_sounds else 'not'}")
        else:
            print(f"frame {divergence.number} at tic {divergence.tic} is the first that differs")
            print(f"oracle   {divergence.expected}\nother    {divergence.actual}\n{divergence.diagnosis}")
        if tic is not None:
            print(f"{options.picture}: oracle, other and difference at tic {tic}")
        elif options.picture is not None:
            print(f"{options.picture} is not written: no checkpoint of both oracles has two pictures that differ")
            if divergence is not None:
                print(f"add-checkpoint ORACLE {divergence.tic} adds one to an oracle")
    return OK if divergence is None and same_sounds else CHECK_FAILED


def _differing_checkpoint(ours: Oracle, theirs: Oracle) -> int | None:
    """The first tic at which both oracles have a picture, and not the same one."""
    other = {point.tic: point.frame_hash for point in theirs.manifest.checkpoints}
    for point in ours.manifest.checkpoints:
        if other.get(point.tic, point.frame_hash) != point.frame_hash:
            return point.tic
    return None


def _draw(ours: Oracle, theirs: Oracle, tic: int, target: str) -> None:
    """Write an animated PNG of the two pictures at a checkpoint and their difference."""
    from cloudboot_doom_oracle.report import animated_png, difference

    before, after = (
        oracle.picture(next(point for point in oracle.manifest.checkpoints if point.tic == tic))
        for oracle in (ours, theirs)
    )
    with new_file(followed(target), force=True) as fd:
        os.write(fd, animated_png([before, after, difference(before, after)]))


def add_diff(program: Program) -> None:
    """Add the command."""
    made = program.command("diff", diff_command, "Find the first tic at which two oracles differ.")
    made.add_argument("one", metavar="ORACLE", help="The folder of an oracle.")
    made.add_argument("other", metavar="OTHER", help="The folder of the other oracle.")
    made.add_argument(
        "--picture", metavar="FILE",
        help="Write an animated PNG of the first checkpoint that differs: oracle, other, and where they differ.",
    )  # fmt: skip
