"""How long the DOOM gates take, and a soak through the display.

``python benchmarks/doom.py`` times the engine alone, gates A and C-1, and all gates over the default checkpoints.
``--soak`` adds 10,000 tics, every frame flushed to its fence. Targets stand beside the numbers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from _targets import Targets

from cloudboot_base import Verdict
from cloudboot_doom_oracle import Script, Wad, find_wads, harvest, read_oracle, write_oracle
from cloudboot_doom_oracle.gates import EXACT_STAGES, GUEST_STAGES, Context, run_gates
from cloudboot_doom_oracle.gates.exact import ENGINE_STAGE
from cloudboot_doom_oracle.gates.guest import DEVICES_STAGE
from cloudboot_doom_oracle.gates.soak import soak


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="DOOM gates")
    parser.add_argument("--soak", type=int, nargs="?", const=10_000, default=0, metavar="TICS")
    options = parser.parse_args()
    targets = Targets()
    wad, script = Wad(find_wads()[0]), Script()
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        made = harvest(wad, script)
        seconds = time.perf_counter() - begin
        print(f"{'harvest, default checkpoints':32} {seconds:7.2f} s  {len(made.frames) / seconds:.0f} frames/s")
        write_oracle(made, Path(folder) / "oracle")
        context = Context(read_oracle(Path(folder) / "oracle"), wad, script)
        begin = time.perf_counter()
        gates = list(run_gates(ENGINE_STAGE, EXACT_STAGES, context))
        exact = time.perf_counter() - begin
        print(f"{'gates A and C-1':32} {exact:7.2f} s  target 10 s, {targets.at_most(exact, 10)}")
        begin = time.perf_counter()
        gates += run_gates(DEVICES_STAGE, GUEST_STAGES, context)
        both = exact + time.perf_counter() - begin
        print(f"{'all gates':32} {both:7.2f} s  target 60 s, {targets.at_most(both, 60)}")
    passed = sum(gate.verdict is Verdict.PASS for gate in gates)
    failed = sum(gate.verdict is Verdict.FAIL for gate in gates)
    verdict = targets.met(not failed)
    print(f"{passed} passed, {failed} failed, {len(gates)} gates; target 0 failed, {verdict}")
    if options.soak:
        done = soak(wad, script, options.soak)
        print(
            f"soak: {done.frames} frames in {done.seconds:.1f} s, {done.flushes} flushes, 0 errors, "
            f"{done.screendumps} screendumps equal, {done.allocations} allocations, {done.growth >> 10} KiB growth"
        )
    return targets.exit_code


if __name__ == "__main__":
    sys.exit(main())
