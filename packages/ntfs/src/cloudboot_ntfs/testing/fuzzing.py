"""Inputs for fuzzing: patches of a small volume, hive or store, instead of whole ones."""

from __future__ import annotations

import struct
import sys
import types
from typing import TYPE_CHECKING

from cloudboot_base import MemoryStorage
from cloudboot_ntfs.bcd import BcdOptions, GptDevice, RamDiskDevice, create
from cloudboot_ntfs.builder.build import build as build_volume
from cloudboot_ntfs.builder.source import File, HardLink, Symlink
from cloudboot_ntfs.registry import build as build_hive

from .hives import sample_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

_PATCH = struct.Struct("<HB")
_MOST = 64


def small_volume() -> bytes:
    """A volume of 2 MiB with links, streams, holes in the middle of names, and a directory with index blocks."""
    data = bytearray(2 << 20)
    tree: dict[str, bytes | File | Symlink | HardLink] = {f"/many/name {number}": b"x" for number in range(50)}
    tree |= {"/file": bytes(range(256)) * 20, "/s": File(b"", streams={"t": b"1"}), "/l": Symlink("file")}
    tree |= {f"/names/{number}": HardLink("/file") for number in range(12)}
    build_volume(MemoryStorage(data), tree)
    return bytes(data)


def small_hive() -> bytes:
    """A hive with every type of value, without its longest list."""
    key = sample_key()
    del key.key("Many").keys[20:]
    return build_hive(key)


def small_store(partition: UUID) -> bytes:
    """A boot configuration with devices of several kinds."""
    device = GptDevice(partition)
    store = create("recovery", BcdOptions(windows=RamDiskDevice(device, "\\a"), recovery=device))
    return store.pack()


class Patches:
    """A base and the parts of it that matter; an input is a list of ``(place among them, byte)``, three bytes each."""

    def __init__(self, base: bytes, places: list[tuple[int, int]]) -> None:
        self.base = base
        self._places = places
        self._size = sum(length for _, length in places)

    def apply(self, data: bytes) -> bytes:
        """The base with the patches of an input."""
        patched = bytearray(self.base)
        for at in range(0, min(len(data), _MOST * _PATCH.size) - _PATCH.size + 1, _PATCH.size):
            place, value = _PATCH.unpack_from(data, at)
            rest = place * 7 % self._size
            for start, length in self._places:
                if rest < length:
                    patched[start + rest] = value
                    break
                rest -= length
        return bytes(patched)


def fuzz(one_input: Callable[[bytes], None], seeds: list[bytes]) -> None:
    """Run atheris on ``one_input``; without it, or with ``--seeds``, only the seeds."""
    for seed in seeds:
        one_input(seed)
    if "--seeds" in sys.argv:
        return
    import atheris

    # The package is imported already; instrument what is there, and nothing of the standard library.
    for module in [found for name, found in sys.modules.items() if name.split(".")[0] == "cloudboot_ntfs"]:
        for each in list(vars(module).values()):
            owned = vars(each).values() if isinstance(each, type) else [each]
            for function in owned:
                if isinstance(function, types.FunctionType) and function.__module__ == module.__name__:
                    atheris.instrument_func(function)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
