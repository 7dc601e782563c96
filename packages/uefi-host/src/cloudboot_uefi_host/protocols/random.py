"""EFI_RNG_PROTOCOL with numbers that are the same in every run (UEFI 2.10 section 37.5)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.protocols.security import EFI_RNG_PROTOCOL
from cloudboot_uefi_abi.status import Status

if TYPE_CHECKING:
    from cloudboot_uefi_host.core.core import Core

_RNG: Final = GUIDS["EFI_RNG_PROTOCOL"].bytes_le
RAW: Final = bytes.fromhex("d77631e4e8b62748b7847ffdc4b68561")
"""EFI_RNG_ALGORITHM_RAW, E43176D7-B6E8-4827-B784-7FFDC4B68561."""
_MAX_SIZE: Final = 1 << 20


class RandomNumbers:
    """SHA-256 of a seed and a counter: no secret is made here, and runs repeat."""

    def __init__(self, core: Core, seed: bytes) -> None:
        self._memory, self._seed, self._counter = core.memory, seed, 0
        self.handle = core.handles.create()
        core.handles.install(
            self.handle,
            _RNG,
            core.publisher.publish(EFI_RNG_PROTOCOL, {"GetInfo": self._get_info, "GetRNG": self._get_rng}),
        )

    def _get_info(self, _this: int, size: int, algorithms: int) -> int:
        if not size:
            return Status.INVALID_PARAMETER
        room = self._memory.u64(size)
        self._memory.put64(size, len(RAW))
        if room < len(RAW):
            return Status.BUFFER_TOO_SMALL
        if not algorithms:
            return Status.INVALID_PARAMETER
        self._memory.write(algorithms, RAW)
        return Status.SUCCESS

    def _get_rng(self, _this: int, algorithm: int, size: int, buffer: int) -> int:
        if not size or not buffer or size > _MAX_SIZE:
            return Status.INVALID_PARAMETER
        if algorithm and self._memory.read(algorithm, 16) != RAW:
            return Status.UNSUPPORTED
        self._memory.write(buffer, self._bytes(size))
        return Status.SUCCESS

    def _bytes(self, size: int) -> bytes:
        parts = []
        for _ in range(-(-size // 32)):
            self._counter += 1
            parts.append(hashlib.sha256(self._seed + self._counter.to_bytes(8, "little")).digest())
        return b"".join(parts)[:size]


def publish_random_numbers(core: Core, seed: bytes = b"cloudboot") -> RandomNumbers:
    """A handle with EFI_RNG_PROTOCOL; the same ``seed`` gives the same numbers."""
    return RandomNumbers(core, seed)
