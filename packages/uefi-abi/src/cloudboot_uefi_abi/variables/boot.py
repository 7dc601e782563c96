"""What the boot manager reads: BootOrder, BootNext, BootCurrent, Boot#### (UEFI 2.10 section 3.3)."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from cloudboot_base import Error
from cloudboot_base.lightdata import dataclass
from cloudboot_uefi_abi.errors import VariableError
from cloudboot_uefi_abi.load_option import LoadOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typing_extensions import Buffer

    from .variable import Variable

__all__ = ["BootEntry", "boot_entries", "boot_order", "option_number", "pack_boot_order"]

_OPTION: Final = re.compile(r"(Boot|Driver|SysPrep|PlatformRecovery|OsRecovery)([0-9A-F]{4})")


def option_number(name: str, kind: str = "Boot") -> int | None:
    """``"Boot000A"`` -> 10; ``None`` where the name is not that of such an option (digits are capital letters)."""
    found = _OPTION.fullmatch(name)
    return int(found[2], 16) if found and found[1] == kind else None


def boot_order(data: Buffer) -> tuple[int, ...]:
    """The numbers of a BootOrder variable.

    Raises:
        VariableError: the data are not a whole number of 16-bit numbers.
    """
    view = memoryview(data).cast("B")
    if len(view) % 2:
        raise VariableError(
            "not a whole number of entries", structure="BootOrder", offset=len(view) - 1, expected="an even size",
            actual=len(view),
        )  # fmt: skip
    return struct.unpack(f"<{len(view) // 2}H", view)


def pack_boot_order(numbers: Sequence[int]) -> bytes:
    """The bytes of a BootOrder variable."""
    return struct.pack(f"<{len(numbers)}H", *numbers)


@dataclass(frozen=True, slots=True)
class BootEntry:
    """A boot option as the boot manager meets it.

    ``position`` is its place in BootOrder, ``None`` where BootOrder does not name it. ``option`` is ``None`` where the
    variable is missing or malformed; ``problem`` then says why.
    """

    number: int
    position: int | None
    option: LoadOption | None
    problem: str | None = None
    is_next: bool = False

    @property
    def name(self) -> str:
        """The variable's name, ``"Boot0001"``."""
        return f"Boot{self.number:04X}"


def boot_entries(variables: Iterable[Variable]) -> tuple[BootEntry, ...]:
    """Every boot option: those of BootOrder in its order, BootNext's first, then the ones BootOrder does not name.

    Malformed options are entries with a problem, so that one of them does not hide the others. Half a number at the end
    of BootOrder is left out, as EDK2 leaves it out.
    """
    globals_ = {variable.name: variable for variable in variables if variable.is_global}
    stored = globals_["BootOrder"].data if "BootOrder" in globals_ else b""
    order = boot_order(stored[: len(stored) // 2 * 2])
    following = globals_.get("BootNext")
    next_number = int.from_bytes(following.data, "little") if following and len(following.data) == 2 else None
    others = [number for name in sorted(globals_) if (number := option_number(name)) is not None]
    numbers = list(dict.fromkeys([*([] if next_number is None else [next_number]), *order, *others]))
    misspelled = {name.upper(): name for name in globals_ if option_number(name) is None}
    return tuple(
        _entry(globals_, number, order, misspelled.get(f"BOOT{number:04X}"), is_next=number == next_number)
        for number in numbers
    )


def _entry(
    variables: dict[str, Variable], number: int, order: tuple[int, ...], misspelled: str | None, *, is_next: bool
) -> BootEntry:
    position = order.index(number) if number in order else None
    variable = variables.get(f"Boot{number:04X}")
    if variable is None:
        other = f"; {misspelled} is another, its digits being small letters" if misspelled else ""
        return BootEntry(number, position, None, f"the variable does not exist{other}", is_next)
    try:
        return BootEntry(number, position, LoadOption.parse(variable.data), None, is_next)
    except Error as error:
        return BootEntry(number, position, None, str(error), is_next)
