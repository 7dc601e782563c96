"""The tables of offsets in the documentation; ``python -m cloudboot_uefi_abi.offsets`` prints them."""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from .conventions import CONVENTIONS, StackSlot
from .layout import records
from .protocols import PROTOCOLS
from .tables import EFI_BOOT_SERVICES, EFI_CONFIGURATION_TABLE, EFI_RUNTIME_SERVICES, EFI_SYSTEM_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudboot_records import RecordLayout

    from .conventions import CallingConvention, Register
    from .declarations import Member, Structure

__all__ = ["STRUCTURES", "member_text", "offsets_page"]

STRUCTURES: Final[Mapping[str, Structure]] = MappingProxyType(
    {
        each.name: each
        for each in (
            EFI_SYSTEM_TABLE, EFI_BOOT_SERVICES, EFI_RUNTIME_SERVICES, EFI_CONFIGURATION_TABLE, *PROTOCOLS.values(),
        )
    }
)  # fmt: skip
"""The tables, then the protocols, by name."""

_RECORDS: Final = (
    "EFI_TABLE_HEADER EFI_MEMORY_DESCRIPTOR EFI_TIME EFI_TIME_CAPABILITIES EFI_BLOCK_IO_MEDIA EFI_FILE_INFO "
    "EFI_FILE_SYSTEM_INFO EFI_INPUT_KEY EFI_KEY_DATA SIMPLE_TEXT_OUTPUT_MODE EFI_GRAPHICS_OUTPUT_MODE_INFORMATION "
    "EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE EFI_OPEN_PROTOCOL_INFORMATION_ENTRY EFI_TCG2_BOOT_SERVICE_CAPABILITY"
)


def member_text(member: Member) -> str:
    """A member as a declaration: its prototype, or its type and name."""
    if member.prototype is not None:
        return str(member.prototype)
    star = "" if member.type.name.endswith("*") else " "
    return f"{member.type.name}{star}{member.name}{'' if member.count is None else f'[{member.count}]'}"


def offsets_page() -> str:
    """The page: every table and protocol, the records they point to, the calling conventions."""
    lines = [
        "# Offsets and calling conventions",
        "",
        "Offsets and sizes are in bytes, on a 64-bit processor.",
        "",
    ]
    for each in STRUCTURES.values():
        lines += _structure(each)
    for name in _RECORDS.split():
        lines += _record(getattr(records, name).LAYOUT)
    for convention in CONVENTIONS.values():
        lines += _convention(convention)
    return "\n".join(lines)


def _structure(each: Structure) -> Iterator[str]:
    where = f"UEFI 2.10 section {each.section}" if each.section[0].isdigit() else each.section
    yield f"## {each.name}"
    yield ""
    yield f"{where}, {each.size} bytes{f', GUID {str(each.guid).upper()}' if each.guid else ''}."
    yield ""
    yield "| offset | member |"
    yield "|---:|---|"
    for member in each.members:
        yield f"| {member.offset} | `{member_text(member)}` |"
    yield ""


def _record(layout: RecordLayout) -> Iterator[str]:
    yield f"## {layout.name}"
    yield ""
    yield f"{layout.size} bytes."
    yield ""
    yield "| offset | size | field |"
    yield "|---:|---:|---|"
    for field in layout.fields:
        yield f"| {layout.offsets[field.name]} | {field.size} | `{field.name}` |"
    yield ""


def _convention(each: CallingConvention) -> Iterator[str]:
    def listed(registers: tuple[Register, ...]) -> str:
        return " ".join(register.name for register in registers) or "none"

    bits = each.floating_callee_saved[0].bits
    yield f"## {each.name}"
    yield ""
    yield f"{each.document}."
    yield ""
    yield "| what | where |"
    yield "|---|---|"
    stack = f"{each.stack_pointer.name}+{_slot(each)}"
    yield f"| arguments | {listed(each.integer_arguments)}, then 8-byte slots from {stack} |"
    yield f"| result | {each.return_value.name} |"
    yield f"| return address | {each.return_address.name if each.return_address else 'the stack'} |"
    yield f"| callee-saved, integer | {listed(each.callee_saved)} |"
    yield f"| callee-saved, floating point ({bits} bits) | {listed(each.floating_callee_saved)} |"
    yield f"| not to be touched | {listed(each.untouched)} |"
    yield (
        f"| stack pointer at the first instruction | {each.entry_misalignment} modulo {each.stack_alignment}, "
        f"{each.shadow_space} bytes of shadow space |"
    )
    yield f"| also | {'; '.join(each.state)} |"
    yield ""


def _slot(each: CallingConvention) -> int:
    place = each.place(len(each.integer_arguments))
    return place.offset if isinstance(place, StackSlot) else 0


if __name__ == "__main__":
    sys.stdout.write(offsets_page())
