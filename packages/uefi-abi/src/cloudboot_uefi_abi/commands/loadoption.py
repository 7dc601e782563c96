"""``loadoption``: boot options, from bytes and from files of efivarfs."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Final

from cloudboot_base import FormatError, UsageError, in_file, read_file
from cloudboot_base.command import OK, print_json, printable
from cloudboot_uefi_abi.constants import VariableAttribute
from cloudboot_uefi_abi.errors import VariableError
from cloudboot_uefi_abi.load_option import LoadOption
from cloudboot_uefi_abi.variables import variable_from_efivarfs

from .devpath import path_facts
from .source import LIMIT

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program

__all__ = ["add", "option_facts"]

#: The attributes of a variable in flash, without and with access at run time.
_STORED: Final = (
    VariableAttribute.NON_VOLATILE | VariableAttribute.BOOTSERVICE_ACCESS,
    VariableAttribute.NON_VOLATILE | VariableAttribute.BOOTSERVICE_ACCESS | VariableAttribute.RUNTIME_ACCESS,
)
_HEX: Final = re.compile(r"([0-9a-fA-F]{2}){6,}")


def add(program: Program) -> None:
    """Add the command."""
    parser = program.command("loadoption", run, "Print the contents of Boot#### variables.")
    parser.add_argument(
        "option", nargs="+", metavar="OPTION", help="File (of efivarfs, or the bytes alone), or hexadecimal bytes."
    )


def run(options: argparse.Namespace) -> int:
    """Print every option."""
    facts = []
    for given in options.option:
        with in_file(given):
            option = _option(_bytes(given))
        facts.append(option_facts(option))
        if not options.json:
            _print(option)
    if options.json:
        print_json(facts)
    return OK


def _option(data: bytes) -> LoadOption:
    """The option, which may have efivarfs' attributes in front: a file of efivarfs under another name is often copied.

    Raises:
        FormatError: it is not a load option either way; what is wrong without attributes.
    """
    if len(data) > 4 and VariableAttribute(int.from_bytes(data[:4], "little")) in _STORED:
        with contextlib.suppress(FormatError):
            option = LoadOption.parse(data)
            if option.paths:
                return option
        with contextlib.suppress(FormatError):
            option = LoadOption.parse(data[4:])
            if option.paths:
                return option
    return LoadOption.parse(data)


def _bytes(given: str) -> bytes:
    if os.path.exists(given):
        data = read_file(given, LIMIT)
        try:
            return variable_from_efivarfs(os.path.basename(given), data).data
        except VariableError:
            return data
    if _HEX.fullmatch(given):
        return bytes.fromhex(given)
    raise UsageError(f"{given} is neither a file nor hexadecimal bytes")


def _print(option: LoadOption) -> None:
    print(f"description:  {printable(option.description)}")
    print(f"attributes:   {int(option.attributes):#x}{' (active)' if option.active else ''}")
    for path in option.paths:
        print(f"device path:  {printable(str(path))}")
    if option.padding:
        print(f"padding:      {option.padding.hex()}")
    if option.optional_data:
        text = option.optional_text
        print(f"data:         {printable(repr(text)) if text else option.optional_data.hex()}")


def option_facts(option: LoadOption) -> dict[str, object]:
    """A load option for ``--json``."""
    return {
        "description": option.description,
        "active": option.active,
        "attributes": int(option.attributes),
        "paths": [path_facts(path) for path in option.paths],
        "padding": option.padding.hex(),
        "optional_data": option.optional_data.hex(),
        "optional_text": option.optional_text,
    }
