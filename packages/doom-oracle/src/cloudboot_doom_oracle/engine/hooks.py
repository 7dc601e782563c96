"""Reaching into the engine's shared object: its variables, and the slots through which it calls its own functions.

Runs only in the engine's process.
"""

from __future__ import annotations

import ctypes
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

_JUMP_SLOT = {"EM_X86_64": 7, "EM_AARCH64": 1026}
_ANCHOR = "P_Random"


class SharedObject:
    """The engine as it is loaded into this process."""

    def __init__(self, path: str) -> None:
        """Look up symbols and jump slots.

        Raises:
            OSError: the file cannot be loaded.
            LookupError: it is not an engine, or is for another processor.
        """
        self.library = ctypes.CDLL(path)
        self._symbols: dict[str, int] = {}
        self._slots: dict[str, list[int]] = {}
        with open(path, "rb") as file:
            elf = ELFFile(file)
            wanted = _JUMP_SLOT.get(elf["e_machine"])
            for section in elf.iter_sections():
                if isinstance(section, SymbolTableSection) and section.name == ".dynsym":
                    self._symbols.update({s.name: s["st_value"] for s in section.iter_symbols() if s["st_value"]})
                if isinstance(section, RelocationSection):
                    names = elf.get_section(section["sh_link"])
                    if not isinstance(names, SymbolTableSection):
                        continue
                    for entry in section.iter_relocations():
                        if entry["r_info_type"] == wanted:
                            name = names.get_symbol(entry["r_info_sym"]).name
                            self._slots.setdefault(name, []).append(entry["r_offset"])
        if _ANCHOR not in self._symbols:
            raise LookupError(f"{path} exports no {_ANCHOR}: not an engine of this kind")
        here = ctypes.cast(getattr(self.library, _ANCHOR), ctypes.c_void_p).value
        if here is None:
            raise LookupError(f"{path} has no address for {_ANCHOR}")
        self._base = here - self._symbols[_ANCHOR]
        self._kept: list[Any] = []

    def integer(self, name: str) -> ctypes.c_int:
        """A global variable of type int; read and write its ``value``."""
        return ctypes.c_int.in_dll(self.library, name)

    def pointer(self, name: str) -> int:
        """The value of a global pointer."""
        return ctypes.c_void_p.in_dll(self.library, name).value or 0

    def address(self, name: str) -> int:
        """Where a symbol is.

        Raises:
            LookupError: there is no function of that name.
        """
        return self._base + self._symbols[name]

    def replace(self, name: str, function: Any) -> None:
        """Have the engine call a ctypes callback instead of its own function.

        Raises:
            LookupError: it calls no such function through a slot.
        """
        for offset in self._slots[name]:
            slot = ctypes.c_void_p.from_address(self._base + offset)
            slot.value = ctypes.cast(function, ctypes.c_void_p).value
        self._kept.append(function)
