"""How long a warm probe takes: from the command to the kernel's banner, and to all gates passed.

The peer is the same machine without us: QEMU started by hand on the image file, timed to the same banner. Subject and
peer take turns; the table shows medians and the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _targets import Targets

from cloudboot_probes import image, recipe
from cloudboot_qemu import find_firmware

BANNER = b"Linux version"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each (3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        disk = folder / "linux.img"
        image.build(image.plan(recipe.load("linux"), lambda text: print(text, file=sys.stderr)), disk)
        reference = f"oci:{folder / 'layout'}:v1"
        cloudboot("push", str(disk), reference)
        ours, peers = [], []
        for _ in range(options.runs):
            peers.append(bare_machine(disk, folder / "vars.fd"))
            ours.append(probe(reference))
    peer = statistics.median(peers)
    banner = statistics.median(banner for banner, _ in ours)
    done = statistics.median(done for _, done in ours)
    print(f"{'':<42}{'seconds':>9}{'of peer':>9}{'goal':>9}".rstrip())
    targets = Targets()
    for label, seconds, goal in (
        ("QEMU alone, power-on to kernel banner", peer, None),
        ("cloudboot probe, command to kernel banner", banner, 15),
        ("cloudboot probe, command to all gates", done, 40),
    ):
        wanted = "" if goal is None else f"< {goal}"
        verdict = targets.at_most(seconds, goal)
        print(f"{label:<42}{seconds:>9.2f}{seconds / peer:>9.2f}{wanted:>9}  {verdict}".rstrip())
    return targets.exit_code


def cloudboot(*arguments: str) -> str:
    """Run the command and give what it printed."""
    command = [sys.executable, "-m", "cloudboot_probes", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def probe(reference: str) -> tuple[float, float]:
    """Seconds from the start of the process to the kernel's banner, and to its end."""
    start = time.monotonic()
    banner = 0.0
    command = [sys.executable, "-m", "cloudboot_probes", "probe", "linux", reference, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for line in process.stdout or ():
            gate = json.loads(line)
            if gate["verdict"] not in {"pass", "not-applicable"}:
                raise SystemExit(f"gate {gate['gate']}: {gate.get('error')}")
            if gate["gate"] == "kernel-banner":
                banner = time.monotonic() - start
    return banner, time.monotonic() - start


def bare_machine(disk: Path, variables: Path) -> float:
    """Seconds from the start of QEMU, with the same devices, to the banner on its serial line."""
    firmware = find_firmware("amd64")
    if firmware.variables is None:
        raise SystemExit("the firmware has no variable store")
    shutil.copy(firmware.variables, variables)
    command = [
        "qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-m", "1G", "-accel", "tcg", "-nodefaults",
        "-display", "none", "-vga", "std", "-serial", "stdio",
        "-drive", f"if=pflash,format=raw,readonly=on,file={firmware.executable}",
        "-drive", f"if=pflash,format=raw,file={variables}",
        "-drive", f"if=virtio,format=raw,readonly=on,file={disk}",
    ]  # fmt: skip
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        text = b""
        while BANNER not in text:
            piece = os.read(process.stdout.fileno(), 65536) if process.stdout is not None else b""
            if not piece:
                raise SystemExit("QEMU ended before the banner")
            text = text[-len(BANNER) :] + piece
        seconds = time.monotonic() - start
        process.kill()
    return seconds


if __name__ == "__main__":
    sys.exit(main())
