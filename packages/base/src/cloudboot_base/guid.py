"""GUIDs: text, the mixed-endian bytes that UEFI, GPT, NTFS and BCD store, and GUIDs that follow from content."""

from __future__ import annotations

import hashlib
import re
from typing import Final
from uuid import UUID

from .errors import UsageError

NIL: Final = UUID(int=0)
_TEXT = re.compile(r"\{?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\}?", re.IGNORECASE | re.ASCII)


def parse_guid(text: str) -> UUID:
    """``"c12a7328-f81f-11d2-ba4b-00a0c93ec93b"``, in any case, with or without braces.

    Raises:
        UsageError: the text is not a GUID in this form.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None or text.strip().startswith("{") != text.strip().endswith("}"):
        raise UsageError(
            f"{text!r} is not a GUID", hint="write it as 8-4-4-4-12 hexadecimal digits, with or without braces"
        )
    return UUID(found[1])


def uuid8(namespace: UUID, name: bytes) -> UUID:
    """The version 8 UUID of ``name`` in ``namespace`` over SHA-256 (RFC 9562 sections 5.8 and B.2)."""
    digest = bytearray(hashlib.sha256(namespace.bytes + name).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))
