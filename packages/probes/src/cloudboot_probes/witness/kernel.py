"""A Linux kernel's text: unpacked from its file, and found in a machine's memory.

A bzImage holds an ELF file, compressed (Linux, Documentation/arch/x86/boot.rst: ``payload_offset``, ``payload_length``,
``kernel_alignment``). Started, it moves itself to an address of its own choice (KASLR), a multiple of its alignment,
and changes its own code there: relocations, alternatives for this processor, call sites of the function tracer. Page by
page most of it stays as it is in the file, and nothing else in memory resembles it.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudboot_probes.errors import KernelFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_qemu import GuestMemory

PAGE = 4096
MAX_TEXT = 256 << 20
_MAX_KERNEL = 512 << 20

_COARSE, _FINE = 12, 192  # pages compared at each candidate address, and at the best of them
#: A page counts as the kernel's with so many of its bytes in place; measured: 87 % of Debian's pages have more than 90
#: %.
_PAGE_SHARE = 0.8
#: The text counts as found with so many of its pages; measured elsewhere in memory: under 10 %.
_TEXT_SHARE = 0.5

_PT_LOAD, _PF_X = 1, 1


@dataclass(frozen=True)
class KernelText:
    """The executable segment of a kernel; ``address`` is the physical one it was linked for, ``alignment`` in bytes."""

    text: bytes
    address: int
    alignment: int


@dataclass(frozen=True, slots=True)
class FoundText:
    """Where a kernel's text is in memory: guest physical addresses, and the share of its pages that are in place."""

    start: int
    end: int
    pages: int
    in_place: int

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.end


def unpack(kernel: bytes) -> KernelText:
    """The text of a bzImage.

    Raises:
        KernelFormatError: not a bzImage, compressed in an unknown way, or no ELF file inside.
    """
    if kernel[0x202:0x206] != b"HdrS" or len(kernel) < 0x250:
        raise KernelFormatError("the kernel is not a bzImage", structure="setup_header", field="header", offset=0x202)
    (alignment,) = struct.unpack_from("<I", kernel, 0x230)
    offset, length = struct.unpack_from("<II", kernel, 0x248)
    start = (kernel[0x1F1] or 4) * 512 + 512 + offset
    payload = kernel[start : start + length]
    if length < 16 or len(payload) < length or alignment < PAGE or alignment & (alignment - 1):
        raise KernelFormatError(
            "the bzImage's payload lies outside of it", structure="setup_header", field="payload_offset", offset=0x248
        )
    return _elf_text(_decompressed(payload), alignment)


def _decompressed(payload: bytes) -> bytes:
    """The ELF file; behind a compressed stream stands its size in four bytes, which no decoder here needs."""
    try:
        if payload.startswith(b"\x7fELF"):
            return payload
        if payload.startswith(b"\xfd7zXZ\0"):
            return _bounded(lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload, _MAX_KERNEL))
        if payload.startswith(b"\x5d\0\0"):
            return _bounded(lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(payload, _MAX_KERNEL))
        if payload.startswith(b"\x1f\x8b"):
            return _bounded(zlib.decompressobj(wbits=31).decompress(payload, _MAX_KERNEL))
        if payload.startswith(b"BZh"):
            return _bounded(bz2.BZ2Decompressor().decompress(payload, _MAX_KERNEL))
        if payload.startswith(b"\x28\xb5\x2f\xfd"):
            return _bounded(_zstd(payload))
    except (lzma.LZMAError, zlib.error, OSError, ValueError, EOFError) as error:
        raise KernelFormatError(f"the bzImage's payload cannot be decompressed: {error}") from None
    raise KernelFormatError(
        f"the bzImage's payload is compressed in a way that is not known here: it begins with {payload[:4].hex()}",
        hint="use a kernel compressed with xz, gzip, zstd, bzip2 or lzma",
    )


def _zstd(payload: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    try:
        return zstd.ZstdDecompressor().decompress(payload, _MAX_KERNEL)
    except zstd.ZstdError as error:
        raise ValueError(str(error)) from None


def _bounded(data: bytes) -> bytes:
    if len(data) >= _MAX_KERNEL:
        raise KernelFormatError(f"the kernel has more than {_MAX_KERNEL} bytes unpacked")
    return data


def _elf_text(elf: bytes, alignment: int) -> KernelText:
    if elf[:6] != b"\x7fELF\x02\x01" or len(elf) < 64:
        raise KernelFormatError("the kernel's payload is not an ELF file of 64 bits", structure="Elf64_Ehdr", offset=0)
    (table,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    for number in range(count):
        at = table + number * size
        if size < 56 or at + 56 > len(elf):
            break
        kind, flags, offset, _, physical, length = struct.unpack_from("<IIQQQQ", elf, at)
        if kind == _PT_LOAD and flags & _PF_X and 16 * PAGE <= length <= MAX_TEXT and offset + length <= len(elf):
            return KernelText(elf[offset : offset + length], physical, alignment)
    raise KernelFormatError("the kernel has no executable segment", structure="Elf64_Phdr", field="p_flags")


def locate(memory: GuestMemory, kernel: KernelText) -> FoundText | None:
    """Where ``memory`` holds the kernel's text; ``None`` where no address has enough of it."""
    size = len(kernel.text)
    best: tuple[float, int] = (0.0, 0)
    for address in _candidates(memory, kernel):
        pages, in_place = _compare(memory, kernel.text, address, _COARSE)
        best = max(best, (in_place / pages, address))
    share, address = best
    if share < _TEXT_SHARE / 2:
        return None
    pages, in_place = _compare(memory, kernel.text, address, _FINE)
    return FoundText(address, address + size, pages, in_place) if in_place >= _TEXT_SHARE * pages else None


def _candidates(memory: GuestMemory, kernel: KernelText) -> Iterator[int]:
    """The physical addresses at which the text can be: as far from its own as a multiple of the alignment."""
    rest = kernel.address % kernel.alignment
    size = len(kernel.text)
    for offset, end in memory.used():
        for base in memory.addresses(offset, end):
            start, stop = base
            first = -(-(start - rest) // kernel.alignment) * kernel.alignment + rest
            yield from range(first, stop - size // 2, kernel.alignment)


def _compare(memory: GuestMemory, text: bytes, address: int, count: int) -> tuple[int, int]:
    """How many pages were compared, spread evenly over the text, and how many of them are in place."""
    total = len(text) // PAGE
    step = max(1, total // count)
    pages = in_place = 0
    for number in range(0, total, step):
        pages += 1
        offset = memory.offset_of(address + number * PAGE)
        if offset is None:
            continue
        seen = memory.read(offset, PAGE)
        wanted = text[number * PAGE : (number + 1) * PAGE]
        if len(seen) == PAGE:
            differing = int.from_bytes(seen, "little") ^ int.from_bytes(wanted, "little")
            in_place += differing.to_bytes(PAGE, "little").count(0) >= _PAGE_SHARE * PAGE
    return pages, in_place
