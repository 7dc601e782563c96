"""Fuzz the checker: ``python fuzz_check.py -max_total_time=60`` (needs atheris). The format is ``testing.Patches``.

Nothing may come out: a checker collects. An image that was changed where it matters must not pass for clean by way of
an error.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
from pathlib import Path
from types import FunctionType

from cloudboot_ufs2 import check
from cloudboot_ufs2.testing import Patches

PATCHES = Patches()
SEEDS = PATCHES.seeds()


def one_input(data: bytes) -> None:
    """Check a foreign image, and show what was found."""
    for finding in check(bytes(PATCHES.apply(data))):
        str(finding)
        json.dumps(finding.as_dict())


def main() -> None:
    """Run atheris on :data:`SEEDS` and what it makes of them."""
    import atheris

    # The package is imported already, so that its tests can use this module without atheris; instrument what is there.
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and (each.__module__ or "").startswith("cloudboot_ufs2"):
            atheris.instrument_func(each)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS):
            (Path(folder) / f"seed-{number:03}").write_bytes(seed)
        atheris.Setup([*sys.argv, folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
