"""Disks that boot, made by GRUB and mtools."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run

DISK_SIZE = 8 << 20

# A read of one file in the middle of the run, between two marks on the firmware's console: serial line and screen.
SCRIPT = """
echo "mark: begin"
search --file /payload.bin --set=root
sleep 1
cat /payload.bin
echo "mark: end"
read line
echo "typed: $line"
halt
"""

PAYLOAD = b"payload of this disk\n" + b"." * 2000 + b"\n"


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FAT disk whose GRUB runs SCRIPT."""
    folder = tmp_path_factory.mktemp("disk")
    mkimage = judge("grub-mkimage", "grub-common")
    mformat, mmd, mcopy = (judge(name, "mtools") for name in ("mformat", "mmd", "mcopy"))
    if not os.path.isdir("/usr/lib/grub/x86_64-efi"):
        pytest.skip("GRUB for amd64 is not installed (Debian package grub-efi-amd64-bin)")
    (folder / "grub.cfg").write_text(SCRIPT)
    (folder / "payload.bin").write_bytes(PAYLOAD)
    modules = ["fat", "echo", "sleep", "cat", "read", "halt", "search", "search_fs_file", "normal"]
    program = folder / "BOOTX64.EFI"
    run(mkimage, "-O", "x86_64-efi", "-c", str(folder / "grub.cfg"), "-p", "/", "-o", str(program), *modules)
    image = folder / "disk.img"
    run(mformat, "-C", "-i", str(image), "-T", str(DISK_SIZE // 512), "-v", "LIVE", "::")
    run(mmd, "-i", str(image), "::/EFI", "::/EFI/BOOT")
    run(mcopy, "-i", str(image), str(program), "::/EFI/BOOT/BOOTX64.EFI")
    run(mcopy, "-i", str(image), str(folder / "payload.bin"), "::/payload.bin")
    return image


@pytest.fixture
def memory_file() -> Iterator[Callable[[bytes], int]]:
    """Makes memfds that are closed with the test."""
    made: list[int] = []

    def make(content: bytes) -> int:
        fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        made.append(fd)
        assert os.write(fd, content) == len(content)
        return fd

    yield make
    for fd in made:
        os.close(fd)
