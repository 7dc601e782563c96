"""A firmware's own FAT driver reads what we build: every FAT type, cluster size and several volume sizes, in one boot.

OVMF's driver is edk2's FatPkg, which most PC firmware has. All volumes are partitions of one disk, made by gdisk,
or disks of their own with blocks of 4,096 bytes. The shell that is built into OVMF runs ``startup.nsh`` from the first
volume: on each one it prints a file that says which volume it is, and compares two files of several clusters.
"""

import random
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cloudboot_base import FileStorage, MemoryStorage, Window, open_storage
from cloudboot_base.testing import judge, run
from cloudboot_fat import FatFileSystem, FormatOptions, build, check
from cloudboot_fat.geometry import MIN_CLUSTERS
from cloudboot_fat.plan import smallest_size
from cloudboot_fat.testing import mkfs

MIB = 1 << 20
SECTOR = 512
FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
CLUSTERS = [1 << shift for shift in range(9, 16)]
MOST = {12: 4000, 16: 65000, 32: 100_000}
SCRIPT = r"""@echo -off
for %a run (0 {last})
  if exist fs%a:\EFI\TEST\MARK.TXT then
    type fs%a:\EFI\TEST\MARK.TXT
    comp fs%a:\EFI\TEST\one.bin fs%a:\EFI\TEST\"a copy of it.bin" > fs%a:\said.txt
    if %lasterror% == 0 then
      echo fs%a same
    endif
  endif
endfor
reset -s
"""


class Case(NamedTuple):
    name: str
    fat_type: Any
    cluster_size: int
    size: int
    sector_size: int = SECTOR


def cases() -> list[Case]:
    """For each type and cluster size the smallest volume, and one with nearly the most clusters."""
    found = []
    for fat_type in (12, 16, 32):
        for cluster in CLUSTERS:
            options = FormatOptions(fat_type=fat_type, cluster_size=cluster)
            smallest = max(smallest_size(options), 40 * cluster + MIB // 4)
            for which, size in (("small", smallest), ("large", MOST[fat_type] * cluster)):
                if size >= smallest:
                    found.append(Case(f"{fat_type}-{cluster}-{which}", fat_type, cluster, -(-size // SECTOR) * SECTOR))
    return found


def native_cases() -> list[Case]:
    """Volumes for blocks of 4,096 bytes."""
    return [
        Case("4kn-12", 12, 4096, 8 * MIB, 4096),
        Case("4kn-16", 16, 8192, 128 * MIB, 4096),
        Case("4kn-32", 32, 4096, 300 * MIB, 4096),
    ]


def fill(case: Case, storage: Any, hidden: int, *, script: str | None = None) -> None:
    """Build the volume of a case: the marker comes after a file that takes most of the space."""
    noise = random.Random(case.name).randbytes(2 * case.cluster_size + 100)
    tree: dict[str, Any] = {
        "/EFI/TEST/MARK.TXT": f"volume {case.name} read\r\n".encode(),
        "/EFI/TEST/one.bin": noise,
        "/EFI/TEST/a copy of it.bin": noise,
    }
    if script is not None:
        tree["/startup.nsh"] = script.encode()
    options = FormatOptions(
        fat_type=case.fat_type, cluster_size=case.cluster_size, sector_size=case.sector_size, hidden_sectors=hidden,
        fresh=True, label="TEST",
    )  # fmt: skip
    fs = build(storage, tree, options)
    assert (fs.geometry.fat_type, fs.geometry.cluster_size) == (case.fat_type, case.cluster_size)
    assert check(storage) == []


def partitioned(path: Path, sizes: list[int]) -> list[tuple[int, int]]:
    """A sparse disk with one partition a size, by gdisk: offset and size of each."""
    places, at, arguments = [], MIB, []
    for number, size in enumerate(sizes, 1):
        places.append((at, size))
        arguments += ["-n", f"{number}:{at // SECTOR}:{(at + size) // SECTOR - 1}", "-t", f"{number}:0700"]
        at = -(-(at + size) // MIB) * MIB
    with path.open("wb") as file:
        file.truncate(at + MIB)
    run(judge("sgdisk", "gdisk"), "-a", "1", "-o", *arguments, path)
    return places


def copy_foreign(image: Path, size: int, target: Any) -> None:
    """A volume of ``mkfs.fat -F 32`` with a marker. mtools could not write it where there are too few clusters."""
    mkfs(image, size, "-F", "32", "-s", "1")
    data = bytearray(image.read_bytes())
    fs = FatFileSystem(MemoryStorage(data))
    fs.makedirs("/EFI/TEST")
    fs.write_file("/EFI/TEST/MARK.TXT", f"volume of {size} bytes\r\n".encode())
    target.write_at(0, data)
    assert (fs.geometry.clusters < MIN_CLUSTERS[32]) == ("fat-type-cluster-count" in kinds(data))


def kinds(data: bytearray) -> set[str]:
    return {finding.kind for finding in check(MemoryStorage(data))}


def boot(tmp_path: Path, disk: Path, native: list[Path]) -> str:
    """What the machine says on its serial line until its shell turns it off."""
    qemu = judge("qemu-system-x86_64", "qemu-system-x86")
    variables = tmp_path / "variables.fd"
    variables.write_bytes(VARIABLES.read_bytes())
    log = tmp_path / "serial.log"
    words = [
        qemu, "-machine", "q35,accel=tcg", "-m", "256", "-display", "none", "-monitor", "none", "-nic", "none",
        "-drive", f"if=pflash,format=raw,readonly=on,file={FIRMWARE}",
        "-drive", f"if=pflash,format=raw,file={variables}",
        "-drive", f"if=none,id=disk,format=raw,file={disk}", "-device", "virtio-blk-pci,drive=disk,bootindex=0",
        "-serial", f"file:{log}",
    ]  # fmt: skip
    for number, path in enumerate(native):
        words += ["-drive", f"if=none,id=n{number},format=raw,file={path}"]
        blocks = "logical_block_size=4096,physical_block_size=4096"
        words += ["-device", f"virtio-blk-pci,drive=n{number},{blocks},bootindex={number + 1}"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=280)
    return log.read_text("utf-8", "replace")


@pytest.mark.live
def test_ovmf_reads_every_type_cluster_size_and_volume_size(tmp_path: Path) -> None:
    if not FIRMWARE.exists():
        judge("OVMF_CODE_4M.fd", "ovmf")
    every, native = cases(), native_cases()
    # Volumes of mkfs.fat: one with fewer clusters than FAT32 begins with, one with enough.
    disk, foreign = tmp_path / "disk.img", (32 * MIB, 33 * MIB)
    places = partitioned(disk, [case.size for case in every] + [*foreign])
    script = SCRIPT.format(last=len(every) + len(native) + 3).replace("\n", "\r\n")
    with open_storage(disk, writable=True) as opened:
        storage = opened.storage
        assert isinstance(storage, FileStorage)
        for case, (offset, size) in zip(every, places, strict=False):
            fill(case, Window(storage, offset, size), offset // SECTOR, script=script if case is every[0] else None)
        for size, (offset, _) in zip(foreign, places[len(every) :], strict=True):
            copy_foreign(tmp_path / "foreign.img", size, Window(storage, offset, size))
    paths = []
    for case in native:
        paths.append(tmp_path / f"{case.name}.img")
        with paths[-1].open("w+b") as file:
            file.truncate(case.size)
            fill(case, FileStorage(file.fileno()), 0)
    said = boot(tmp_path, disk, paths)
    missing = [case.name for case in [*every, *native] if f"volume {case.name} read" not in said]
    assert missing == []
    assert said.count(" same") == len(every) + len(native)
    # The type follows from the number of clusters, whatever the boot sector looks like: 64,496 are too few for FAT32.
    assert f"volume of {33 * MIB} bytes" in said
    assert f"volume of {32 * MIB} bytes" not in said
