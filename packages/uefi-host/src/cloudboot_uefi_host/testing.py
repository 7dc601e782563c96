"""What tests of this package and of others need: loaders made by GRUB's tools, and disks that hold them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cloudboot_fat
import cloudboot_gpt
from cloudboot_base import MemoryStorage
from cloudboot_base.testing import FOREIGN, judge, judge_file, run
from cloudboot_gpt import PartitionSpec, partition_types

from .cpu.architecture import architecture_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

_GRUB: Final = {"amd64": "x86_64-efi", "arm64": "arm64-efi", "riscv64": "riscv64-efi"}
_PACKAGES: Final = {"amd64": "grub-efi-amd64-bin", "arm64": "grub-efi-arm64-bin", "riscv64": "grub-efi-riscv64-bin"}
MODULES: Final = (
    "part_gpt",
    "part_msdos",
    "fat",
    "ufs2",
    "normal",
    "ls",
    "cat",
    "echo",
    "configfile",
    "test",
    "hexdump",
)
"""GRUB's modules that :func:`grub_loader` builds in."""
Answers = list[tuple[str, int]]
"""What a program printed, in order: a name can stand more than once."""
_ANSWER: Final = re.compile(r"C:([\w-]+) ([0-9a-f]{16})")
ESP_OFFSET: Final = 64 * 512
UFS_OFFSET: Final = 34816 * 512
_ESP_SIZE: Final = 16 << 20
_TAIL: Final = 64 * 512


def answers(text: str) -> Answers:
    """The lines ``C:name value`` that a program printed, the values in hexadecimal with 16 digits."""
    return [(name, int(value, 16)) for name, value in _ANSWER.findall(text)]


def grub_loader(
    architecture: str, folder: Path, script: str, *, modules: Sequence[str] = MODULES, prefix: str = "/"
) -> bytes:
    """A GRUB of one file that runs ``script`` when it starts, made by grub-mkimage in ``folder``."""
    target = _GRUB[architecture]
    root = Path("/") if architecture == "amd64" else FOREIGN
    place = judge_file(root / "usr/lib/grub" / target, _PACKAGES[architecture])
    configuration, output = folder / f"{target}.cfg", folder / f"{target}.efi"
    configuration.write_text(script)
    mkimage = judge("grub-mkimage", "grub-common")
    run(mkimage, "-O", target, "-d", place, "-o", output, "-p", prefix, "-c", configuration, *modules)
    return output.read_bytes()


def fat_volume(files: Mapping[str, bytes], size: int = _ESP_SIZE) -> bytes:
    """A FAT volume with these files, by path."""
    volume = bytearray(size)
    cloudboot_fat.build(MemoryStorage(volume), dict(files))
    return bytes(volume)


def disk(partitions: Sequence[tuple[UUID, int, bytes]]) -> bytes:
    """A disk with a GPT: the type, the offset in bytes and the content of each partition."""
    end = max(offset + len(content) for _, offset, content in partitions)
    image = bytearray((end + _TAIL + 511) // 512 * 512)
    for _, offset, content in partitions:
        image[offset : offset + len(content)] = content
    specs = [PartitionSpec(kind, len(content), offset=offset) for kind, offset, content in partitions]
    cloudboot_gpt.create(image, specs)
    return bytes(image)


def boot_disk(architecture: str, loader: bytes, files: Mapping[str, bytes] | None = None, ufs: bytes = b"") -> bytes:
    """A disk with the loader at its removable-media path in an ESP at LBA 64, and a UFS partition at LBA 34816."""
    path = f"/EFI/BOOT/{architecture_of(architecture).removable_name}"
    partitions = [(partition_types.ESP, ESP_OFFSET, fat_volume({path: loader, **(files or {})}))]
    if ufs:
        partitions.append((partition_types.FREEBSD_UFS, UFS_OFFSET, ufs))
    return disk(partitions)
