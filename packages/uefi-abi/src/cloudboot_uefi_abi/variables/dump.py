"""Variables out of a dump: a flash image, an EC2 instance's store, or the JSON of virt-firmware and QEMU."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cloudboot_uefi_abi.constants import VariableAttribute
from cloudboot_uefi_abi.errors import VariableError
from cloudboot_uefi_abi.layout.records import EFI_TIME

from .ec2 import is_ec2, variables_from_ec2
from .store import VariableStore
from .variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

__all__ = ["variables_from_dump", "variables_from_json"]


def variables_from_dump(data: Buffer, warn: Callable[[VariableError], None] | None = None) -> tuple[Variable, ...]:
    """The variables of a flash image, of an EC2 instance's store, or of a JSON document, whichever ``data`` is.

    With ``warn`` a record of the flash that leaves its store ends the variables; see :meth:`VariableStore.parse`.

    Raises:
        VariableError: it has none of these forms, or is malformed.
        TruncatedError: the flash or the store ends too early.
    """
    raw = bytes(memoryview(data).cast("B")).removeprefix(b"\xef\xbb\xbf")
    if is_ec2(raw):
        return variables_from_ec2(raw)
    return variables_from_json(raw) if raw.lstrip()[:1] == b"{" else VariableStore.parse(raw, warn).variables


def variables_from_json(data: bytes) -> tuple[Variable, ...]:
    """The variables of a JSON document: ``{"variables": [{"name", "guid", "attr", "data", "time"?}, ...]}``.

    Data and time are hexadecimal.

    Raises:
        VariableError: not such a document.
    """
    try:
        rows: Any = json.loads(data)["variables"]
        return tuple(
            Variable(
                str(row["name"]),
                UUID(row["guid"]),
                bytes.fromhex(row["data"]),
                VariableAttribute(int(row["attr"])),
                EFI_TIME.unpack_from(bytes.fromhex(row["time"])) if "time" in row else EFI_TIME(),
            )
            for row in rows
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, EOFError) as error:
        raise VariableError(f"not a JSON document of variables: {error}", structure="JSON") from None
