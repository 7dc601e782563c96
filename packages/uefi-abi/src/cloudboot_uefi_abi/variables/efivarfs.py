"""Variables as Linux shows them in efivarfs: a file for each, its attributes in front of its data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_uefi_abi.constants import VariableAttribute
from cloudboot_uefi_abi.errors import VariableError

from .variable import Variable

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["efivarfs_file", "efivarfs_name", "variable_from_efivarfs"]

_NAME: Final = re.compile(r"(.+)-([0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12})", re.DOTALL | re.IGNORECASE)


def efivarfs_name(variable: Variable) -> str:
    """The file's name: ``BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c``."""
    return f"{variable.name}-{variable.vendor}"


def efivarfs_file(variable: Variable) -> bytes:
    """The file's contents: 32 bits of attributes, then the data."""
    return int(variable.attributes).to_bytes(4, "little") + variable.data


def variable_from_efivarfs(name: str, contents: Buffer) -> Variable:
    """The variable that a file of efivarfs holds; the digits of the GUID in ``name`` may be capital letters.

    Raises:
        VariableError: the name is not one of efivarfs, or the contents are shorter than the attributes.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise VariableError(
            "not a file name of efivarfs", structure="efivarfs", field="name",
            expected="NAME-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", actual=name,
        )  # fmt: skip
    data = bytes(memoryview(contents).cast("B"))
    if len(data) < 4:
        raise VariableError(
            "no attributes", structure="efivarfs", field="attributes", offset=0, expected=4, actual=len(data)
        )
    attributes = VariableAttribute(int.from_bytes(data[:4], "little"))
    return Variable(found[1], UUID(found[2]), data[4:], attributes)
