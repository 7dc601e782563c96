"""UEFI codecs: device paths, a variable store, an event log, an image; virt-firmware as peer where it reads the same.

    python benchmarks/uefi_abi.py

Seconds are processor time of this process, the best of five runs, so that a busy machine changes them little. The peer
runs in a process of its own and measures itself the same way.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from _targets import Targets

from cloudboot_uefi_abi.device_path import DevicePath
from cloudboot_uefi_abi.eventlog import EventLog, replay
from cloudboot_uefi_abi.pe import PEImage
from cloudboot_uefi_abi.variables import VariableStore

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[1] / "packages" / "uefi-abi" / "tests" / "data"
FLASH = Path("/usr/share/OVMF/OVMF_VARS_4M.ms.fd")
AT_LEAST = 100_000  # nodes a second, parsed and formatted

PEER = """
import json, sys, time
from virt.firmware.efi.devpath import DevicePath
paths = [bytes.fromhex(line) for line in json.load(sys.stdin)]
best = 1e9
for _ in range(5):
    start = time.process_time()
    for data in paths:
        str(DevicePath(data))
    best = min(best, time.process_time() - start)
print(best)
"""


def best(work: Callable[[], object], runs: int = 5) -> float:
    """The least processor time of ``work``, in seconds."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def peer(paths: list[bytes]) -> float | None:
    """virt-firmware's time for the same paths, or ``None`` where it is not installed."""
    done = subprocess.run(
        [sys.executable, "-c", PEER],
        input=json.dumps([path.hex() for path in paths]),
        capture_output=True,
        text=True,
        check=False,
    )
    return float(done.stdout) if done.returncode == 0 else None


def main() -> int:
    """Print the table; 1 if device paths are slower than they have to be."""
    vectors = json.loads((DATA / "device-paths-edk2-2025.02.json").read_text())
    live = json.loads((DATA / "device-paths-ovmf-live.json").read_text())
    paths = [bytes.fromhex(each["hex"]) for each in vectors.values()]
    paths += [bytes.fromhex(each) for each in live if not each.startswith("Boot")]
    paths *= 20
    parsed = [DevicePath.parse(data) for data in paths]
    texts = [str(path) for path in parsed]
    nodes = sum(len(instance) for path in parsed for instance in path.instances)

    targets = Targets()
    both = best(lambda: [str(DevicePath.parse(data)) for data in paths])
    rows = [
        ("device paths: parse and format", nodes / both, "nodes/s"),
        ("device paths: parse", nodes / best(lambda: [DevicePath.parse(data) for data in paths]), "nodes/s"),
        ("device paths: format", nodes / best(lambda: [str(path) for path in parsed]), "nodes/s"),
        ("device paths: read text", nodes / best(lambda: [DevicePath.from_text(text) for text in texts]), "nodes/s"),
    ]
    # virt-firmware stops at several instances, so those are left out on both sides.
    single = [data for data, path in zip(paths, parsed, strict=True) if len(path.instances) == 1]
    theirs = peer(single)
    if theirs is not None:
        ours = best(lambda: [DevicePath.parse(data).text() for data in single])
        rows.append(("the same paths, virt-firmware's time over ours", theirs / ours, "x"))
    log = (DATA / "eventlog-secureboot-agile.bin").read_bytes()
    rows.append(("event log of 28 events: parse and replay", 1000 * best(lambda: replay(EventLog.parse(log))), "ms"))
    if FLASH.exists():
        flash = FLASH.read_bytes()
        rows.append(("OVMF_VARS_4M.ms.fd: parse", 1000 * best(lambda: VariableStore.parse(flash).variables), "ms"))
    image = (DATA / "measured.efi").read_bytes()
    rows.append(("a small image: parse, map, relocate", 1000 * best(lambda: PEImage.parse(image).load(1 << 30)), "ms"))
    for name, value, unit in rows:
        print(f"{name:50} {value:12,.2f} {unit}" if value < 100 else f"{name:50} {value:12,.0f} {unit}")
    verdict = targets.at_least(nodes / both, AT_LEAST)
    print(f"parse and format: target {AT_LEAST:,} nodes/s, {verdict}")
    return targets.exit_code


if __name__ == "__main__":
    sys.exit(main())
