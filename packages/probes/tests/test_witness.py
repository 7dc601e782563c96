"""The kernel's text: unpacked from its file, and found in memory wherever it was moved to."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import random
import re
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import flipped, judge, run
from cloudboot_probes.errors import KernelFormatError
from cloudboot_probes.linux import LinuxParts
from cloudboot_probes.witness.handover import Handover, find_handover
from cloudboot_probes.witness.kernel import PAGE, KernelText, locate, unpack
from cloudboot_qemu import ARCHITECTURES, GuestMemory, Negotiation

TEXT = random.Random(1).randbytes(300 * PAGE)
ALIGNMENT = 0x200000


def elf(text: bytes = TEXT, flags: int = 5) -> bytes:
    fields = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + fields
    note = struct.pack("<IIQQQQQQ", 4, 4, 0, 0, 0, 0, 0, 4)
    load = struct.pack("<IIQQQQQQ", 1, flags, PAGE, 0xFFFFFFFF81000000, 0x1000000, len(text), len(text), ALIGNMENT)
    return (header + note + load).ljust(PAGE, b"\0") + text


def bzimage(payload: bytes) -> bytes:
    """The few fields of a setup header that say where the payload is (Documentation/arch/x86/boot.rst)."""
    data = bytearray(5 * 512)
    data[0x1F1] = 4
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<I", data, 0x230, ALIGNMENT)
    struct.pack_into("<II", data, 0x248, 100, len(payload))
    return bytes(data) + bytes(100) + payload


def by_xz(data: bytes) -> bytes:
    """As the kernel's Makefile compresses itself."""
    command = [judge("xz", "xz-utils"), "--check=crc32", "--x86", "--lzma2=dict=32MiB"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "compress",
    [
        lambda data: data,
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
        by_xz,
    ],
)
def test_every_compression_gives_the_same_text(compress: Callable[[bytes], bytes]) -> None:
    # Behind the stream stands its size, as the kernel's build leaves it there.
    data = bzimage(compress(elf()) + struct.pack("<I", len(elf())))
    assert unpack(data) == KernelText(TEXT, 0x1000000, ALIGNMENT)


def test_debians_kernel_has_the_text_that_other_readers_find(linux_parts: LinuxParts, tmp_path: Path) -> None:
    """xz and readelf agree on where the text is and what it holds."""
    path = linux_parts.kernel
    found = unpack(path)
    at = path.index(b"\xfd7zXZ\0")
    (tmp_path / "vmlinux.xz").write_bytes(path[at:])
    # xz complains of what stands behind the stream, after it has written all of it.
    run("/bin/sh", "-c", f"{judge('xz', 'xz-utils')} -dc {tmp_path}/vmlinux.xz > {tmp_path}/vmlinux || true")
    shown = run(judge("readelf", "binutils"), "--program-headers", "--wide", tmp_path / "vmlinux")
    lines = [line.split() for line in shown.splitlines() if re.match(r"\s+LOAD .* R.?E ", line)]
    line = lines[0]
    offset, physical, size = int(line[1], 16), int(line[3], 16), int(line[4], 16)
    data = (tmp_path / "vmlinux").read_bytes()
    assert (found.address, found.text) == (physical, data[offset : offset + size])


WHOLE = bzimage(gzip.compress(elf(), mtime=0))


@given(st.integers(0, 5 * 512 + 300), st.integers(1, 255))
def test_a_damaged_kernel_is_read_or_refused(offset: int, mask: int) -> None:
    with contextlib.suppress(KernelFormatError):
        assert unpack(flipped(WHOLE, offset, mask)).text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a bzImage"),
        (bzimage(b"\x02\x21\x4c\x18" + bytes(100)), "begins with 02214c18"),
        (bzimage(gzip.compress(elf()))[:-2000], "outside"),
        (bzimage(gzip.compress(b"MZ" + bytes(100))), "not an ELF"),
        (bzimage(gzip.compress(elf(flags=4))), "no executable segment"),
    ],
)
def test_what_is_no_kernel_is_refused_by_name(data: bytes, words: str) -> None:
    with pytest.raises(KernelFormatError, match=words):
        unpack(data)


def test_a_kernel_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudboot_probes.witness.kernel._MAX_KERNEL", 1 << 20)
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        with pytest.raises(KernelFormatError, match="more than 1048576 bytes"):
            unpack(bzimage(compress(bytes(8 << 20))))


@pytest.fixture
def ram() -> Iterator[int]:
    fd = os.memfd_create("ram")
    os.ftruncate(fd, 1 << 30)
    yield fd
    os.close(fd)


def changed(share: float, seed: int = 2) -> bytes:
    """The text with some bytes of every page changed, as a running kernel does."""
    data, chance = bytearray(TEXT), random.Random(seed)
    for page in range(0, len(data), PAGE):
        for _ in range(int(share * PAGE)):
            data[page + chance.randrange(PAGE)] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize("slot", [1, 77, 500])
def test_text_is_found_where_it_was_moved_to(ram: int, slot: int) -> None:
    memory = GuestMemory(ram, 1 << 30, ARCHITECTURES["amd64"])
    kernel = KernelText(TEXT, 0x1000000, ALIGNMENT)
    os.pwrite(ram, random.Random(3).randbytes(16 << 20), 32 << 20)  # something else
    assert locate(memory, kernel) is None
    os.pwrite(ram, changed(0.1), slot * ALIGNMENT)
    found = locate(memory, kernel)
    assert found is not None
    assert (found.start, found.end) == (slot * ALIGNMENT, slot * ALIGNMENT + len(TEXT))
    assert found.start + 5 in found
    assert found.end not in found


def test_a_little_of_the_text_is_not_the_kernel(ram: int) -> None:
    memory = GuestMemory(ram, 1 << 30, ARCHITECTURES["amd64"])
    kernel = KernelText(TEXT, 0x1000000, ALIGNMENT)
    os.pwrite(ram, TEXT[: len(TEXT) * 2 // 5], 8 * ALIGNMENT)  # less than half of it
    os.pwrite(ram, changed(0.6), 20 * ALIGNMENT)  # all of it, each page mostly changed
    os.pwrite(ram, TEXT, 40 * ALIGNMENT + PAGE)  # not where a kernel can be
    assert locate(memory, kernel) is None


def test_the_disk_is_handed_over_after_the_loader_spoke() -> None:
    firmware = Negotiation(0, 4.9, 5.0, 5.5, (1, 3, 7))
    kernel = Negotiation(0, 13.8, 13.9, None, (1, 3, 11, 15))
    assert find_handover([firmware, kernel], 5.2) == Handover(5.5, 13.8, (1, 3, 11, 15))
    assert find_handover([firmware], 5.2) == Handover(5.5, None, ())
    held = Negotiation(0, 4.9, 5.0, None, (1, 3, 7))
    assert find_handover([held], 5.2) is None
    # What the firmware does before the loader speaks is its own affair.
    assert find_handover([Negotiation(0, 1.0, 1.1, 2.0, (7,)), held], 5.2) is None
