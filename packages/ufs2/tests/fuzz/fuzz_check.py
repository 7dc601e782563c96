"""Fuzz the checker: ``python fuzz_check.py -max_total_time=60`` (needs atheris). The format is ``fuzzing.Patches``.

Nothing may come out: a checker collects. An image that was changed where it matters must not pass for clean by way of
an error.
"""

from __future__ import annotations

import json
from pathlib import Path

from cloudboot_ufs2 import check
from cloudboot_ufs2.testing.fuzzing import Patches, compressed_images, fuzz, read_corpus

PATCHES = Patches(compressed_images(Path(__file__).parents[1] / "golden"))
CORPUS = read_corpus(Path(__file__).parent / "corpus" / "fuzz_check.txt")
SEEDS = PATCHES.seeds()


def one_input(data: bytes) -> None:
    """Check a foreign image, and show what was found."""
    for finding in check(bytes(PATCHES.apply(data))):
        str(finding)
        json.dumps(finding.as_dict())


if __name__ == "__main__":
    fuzz(one_input, [*SEEDS, *CORPUS])
