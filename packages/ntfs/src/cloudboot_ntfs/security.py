"""Security descriptors: self-relative bytes (MS-DTYP 2.4.6) and their text, SDDL (MS-DTYP 2.5.1).

Files and registry keys have them. Kinds of entries that SDDL has no letters for here are refused, never dropped.
"""

from __future__ import annotations

import re
import struct
from typing import Final
from uuid import UUID

from .errors import DescriptorError

SE_SELF_RELATIVE: Final = 0x8000
_DACL_PRESENT, _SACL_PRESENT = 0x0004, 0x0010
#: Bytes of an ACL, and of an ACE: their size fields have 16 bits.
_MAX_ACL: Final = 0xFFFF

#: Letters of well-known SIDs that do not depend on a domain (MS-DTYP 2.5.1.1).
_SIDS: Final = {
    "AN": "S-1-5-7", "AO": "S-1-5-32-548", "AU": "S-1-5-11", "BA": "S-1-5-32-544", "BG": "S-1-5-32-546",
    "BO": "S-1-5-32-551", "BU": "S-1-5-32-545", "CG": "S-1-3-1", "CO": "S-1-3-0", "ED": "S-1-5-9", "IU": "S-1-5-4",
    "LS": "S-1-5-19", "LW": "S-1-16-4096", "ME": "S-1-16-8192", "HI": "S-1-16-12288", "SI": "S-1-16-16384",
    "NO": "S-1-5-32-556", "NS": "S-1-5-20", "NU": "S-1-5-2", "OW": "S-1-3-4", "PO": "S-1-5-32-550", "PS": "S-1-5-10",
    "PU": "S-1-5-32-547", "RC": "S-1-5-12", "RD": "S-1-5-32-555", "RE": "S-1-5-32-552", "RU": "S-1-5-32-554",
    "SO": "S-1-5-32-549", "SU": "S-1-5-6", "SY": "S-1-5-18", "WD": "S-1-1-0", "WR": "S-1-5-33", "AC": "S-1-15-2-1",
}  # fmt: skip
_LETTERS: Final = {sid: letters for letters, sid in _SIDS.items()}
_ACE_TYPES: Final = {
    0: "A", 1: "D", 2: "AU", 3: "AL", 5: "OA", 6: "OD", 7: "OU", 8: "OL", 9: "XA", 10: "XD", 11: "ZA", 13: "XU",
    17: "ML", 18: "RA", 19: "SP",
}  # fmt: skip
_TYPE_NUMBERS: Final = {letters: number for number, letters in _ACE_TYPES.items()}
_OBJECT_TYPES: Final = frozenset({5, 6, 7, 8, 11})
#: Types whose SID is followed by more: conditions and claims, kept as hexadecimal.
_CALLBACK_TYPES: Final = frozenset({9, 10, 11, 13, 18})
_ACE_FLAGS: Final = ((0x01, "OI"), (0x02, "CI"), (0x04, "NP"), (0x08, "IO"), (0x10, "ID"), (0x40, "SA"), (0x80, "FA"))
#: Whole masks that have letters of their own; a mask that is none of them is a number.
_MASKS: Final = {
    0x001F01FF: "FA", 0x00120089: "FR", 0x00120116: "FW", 0x001200A0: "FX", 0x000F003F: "KA", 0x00020019: "KR",
    0x00020006: "KW", 0x10000000: "GA", 0x80000000: "GR", 0x40000000: "GW", 0x20000000: "GX",
}  # fmt: skip
_RIGHTS: Final = {letters: mask for mask, letters in _MASKS.items()} | {
    "CC": 0x1, "DC": 0x2, "LC": 0x4, "SW": 0x8, "RP": 0x10, "WP": 0x20, "DT": 0x40, "LO": 0x80, "CR": 0x100,
    "SD": 0x10000, "RC": 0x20000, "WD": 0x40000, "WO": 0x80000, "KX": 0x20019, "NW": 0x1, "NR": 0x2, "NX": 0x4,
}  # fmt: skip
#: Control bits of an ACL: (letters, bit of the DACL, bit of the SACL).
_ACL_FLAGS: Final = (("P", 0x1000, 0x2000), ("AR", 0x0100, 0x0200), ("AI", 0x0400, 0x0800))
_SID_TEXT = re.compile(r"S-1-(0x[0-9a-fA-F]+|\d+)((?:-\d+)*)")


def sid_text(data: bytes, offset: int = 0) -> tuple[str, int]:
    """The SID at ``offset`` as ``"S-1-5-18"``, and how many bytes it takes.

    Raises:
        DescriptorError: not a SID.
    """
    if offset < 0 or offset + 8 > len(data) or data[offset] != 1 or data[offset + 1] > 15:
        raise DescriptorError("not a SID", structure="SID", offset=offset, actual=data[max(offset, 0) : offset + 8])
    count = data[offset + 1]
    size = 8 + 4 * count
    if offset + size > len(data):
        raise DescriptorError("the SID passes the end", structure="SID", offset=offset, expected=size)
    authority = int.from_bytes(data[offset + 2 : offset + 8], "big")
    parts = struct.unpack_from(f"<{count}I", data, offset + 8)
    head = str(authority) if authority < 1 << 32 else f"{authority:#x}"
    return "-".join(["S-1", head, *map(str, parts)]), size


def sid_bytes(text: str) -> bytes:
    """The bytes of ``"S-1-5-18"`` or of the letters ``"SY"``.

    Raises:
        DescriptorError: neither.
    """
    found = _SID_TEXT.fullmatch(_SIDS.get(text, text))
    parts = [int(part) for part in found[2].split("-")[1:]] if found else []
    authority = int(found[1], 0) if found else 1 << 48
    if found is None or len(parts) > 15 or authority >> 48 or any(part >> 32 for part in parts):
        raise DescriptorError("not a SID", structure="SID", actual=text)
    return struct.pack("BB", 1, len(parts)) + authority.to_bytes(6, "big") + struct.pack(f"<{len(parts)}I", *parts)


def to_sddl(descriptor: bytes) -> str:
    """The text of a self-relative security descriptor.

    Raises:
        DescriptorError: it breaks its format, or has what SDDL has no text for.
    """
    if len(descriptor) < 20 or descriptor[0] != 1:
        raise DescriptorError("not a security descriptor", structure="SECURITY_DESCRIPTOR", actual=descriptor[:20])
    control, owner, group, sacl, dacl = struct.unpack_from("<2xHIIII", descriptor)
    if not control & SE_SELF_RELATIVE:
        raise DescriptorError("not self-relative", structure="SECURITY_DESCRIPTOR", field="Control", actual=control)
    parts = []
    for letter, offset in (("O", owner), ("G", group)):
        if offset:
            sid, _ = sid_text(descriptor, offset)
            parts.append(f"{letter}:{_LETTERS.get(sid, sid)}")
    for index, (letter, offset, present) in enumerate((("D", dacl, _DACL_PRESENT), ("S", sacl, _SACL_PRESENT))):
        if control & present:
            flags = "".join(letters for letters, *bits in _ACL_FLAGS if control & bits[index])
            parts.append(f"{letter}:{flags}" + (_acl_text(descriptor, offset) if offset else "NO_ACCESS_CONTROL"))
    return "".join(parts)


def _acl_text(data: bytes, offset: int) -> str:
    if offset + 8 > len(data):
        raise DescriptorError("the ACL passes the end", structure="ACL", offset=offset)
    _, size, count = struct.unpack_from("<BxHH", data, offset)
    end, position, parts = offset + size, offset + 8, []
    for _ in range(count):
        if position + 4 > min(end, len(data)):
            raise DescriptorError("an ACE passes the end of its ACL", structure="ACE", offset=position)
        length = int.from_bytes(data[position + 2 : position + 4], "little")
        if length < 8 or position + length > min(end, len(data)):
            raise DescriptorError(
                "the size of an ACE cannot be", structure="ACE", field="AceSize", offset=position, actual=length
            )
        parts.append(_ace_text(data[position : position + length], position))
        position += length
    return "".join(parts)


def _ace_text(ace: bytes, place: int) -> str:
    kind, flags = ace[0], ace[1]
    mask = int.from_bytes(ace[4:8], "little")
    letters = _ACE_TYPES.get(kind)
    if letters is None or flags & 0x20:
        raise DescriptorError(
            "an ACE that has no text", structure="ACE", offset=place, actual=f"type {kind}, flags {flags:#x}"
        )
    position, guids = 8, ["", ""]
    if kind in _OBJECT_TYPES:
        if len(ace) < 12:
            raise DescriptorError("the ACE is too short", structure="ACE", offset=place, actual=len(ace))
        present, position = int.from_bytes(ace[8:12], "little"), 12
        for index in range(2):
            if present >> index & 1:
                raw = ace[position : position + 16]
                if len(raw) < 16:
                    raise DescriptorError("the ACE is too short", structure="ACE", offset=place, actual=len(ace))
                guids[index] = str(UUID(bytes_le=raw))
                position += 16
    sid, size = sid_text(ace, position)
    rest = ace[position + size :]
    if rest and kind not in _CALLBACK_TYPES:
        raise DescriptorError("an ACE with bytes after its SID", structure="ACE", offset=place, actual=rest)
    text = "".join(name for bit, name in _ACE_FLAGS if flags & bit)
    fields = [letters, text, _MASKS.get(mask, f"{mask:#x}"), *guids, _LETTERS.get(sid, sid)]
    if rest:
        fields.append(f"#{rest.hex()}")
    return f"({';'.join(fields)})"


def from_sddl(text: str) -> bytes:
    """The self-relative security descriptor of a text. Owner, group, SACL and DACL stand in this order after the head.

    Raises:
        DescriptorError: the text breaks the grammar.
    """
    parts = _parts(text)
    control, head, body = SE_SELF_RELATIVE, [0, 0, 0, 0], b""
    for index, letter in ((0, "O"), (1, "G")):
        if letter in parts:
            head[index] = 20 + len(body)
            body += sid_bytes(parts[letter])
    for index, letter, present in ((2, "S", _SACL_PRESENT), (3, "D", _DACL_PRESENT)):
        if letter not in parts:
            continue
        flags, aces = _split_acl(parts[letter])
        control |= present
        for letters, of_dacl, of_sacl in _ACL_FLAGS:
            if letters in flags:
                control |= of_dacl if letter == "D" else of_sacl
        if aces is not None:
            head[index] = 20 + len(body)
            body += _acl_bytes(aces)
    return struct.pack("<BBHIIII", 1, 0, control, *head) + body


def _parts(text: str) -> dict[str, str]:
    pieces = re.split(r"([OGDS]):(?![^(]*\))", text.strip())
    found = dict(zip(pieces[1::2], (piece.strip() for piece in pieces[2::2]), strict=True))
    if pieces[0].strip() or len(found) != len(pieces) // 2:
        raise DescriptorError("not a security descriptor", structure="SDDL", actual=text)
    return found


def _split_acl(text: str) -> tuple[set[str], list[str] | None]:
    found = re.fullmatch(r"((?:P|AR|AI)*)(?:(NO_ACCESS_CONTROL)|((?:\s*\([^()]*\))*))", text)
    if found is None:
        raise DescriptorError("not an ACL", structure="SDDL", actual=text)
    aces = None if found[2] else re.findall(r"\(([^()]*)\)", found[3])
    return set(re.findall("P|AR|AI", found[1])), aces


def _acl_bytes(aces: list[str]) -> bytes:
    packed = [_ace_bytes(ace) for ace in aces]
    revision = 4 if any(ace[0] in _OBJECT_TYPES for ace in packed) else 2
    body = b"".join(packed)
    if 8 + len(body) > _MAX_ACL:
        raise DescriptorError("the ACL is too large", structure="ACL", expected=_MAX_ACL, actual=8 + len(body))
    return struct.pack("<BBHHH", revision, 0, 8 + len(body), len(aces), 0) + body


def _ace_bytes(text: str) -> bytes:
    fields = [field.strip() for field in text.split(";")]
    if len(fields) not in (6, 7) or fields[0] not in _TYPE_NUMBERS:
        raise DescriptorError("not an ACE", structure="SDDL", actual=text)
    kind = _TYPE_NUMBERS[fields[0]]
    flags = sum({bit for name in re.findall("..", fields[1]) for bit, letters in _ACE_FLAGS if letters == name})
    if "".join(name for bit, name in _ACE_FLAGS if flags & bit) == "" and fields[1]:
        raise DescriptorError("not the flags of an ACE", structure="SDDL", actual=fields[1])
    body = b""
    if kind in _OBJECT_TYPES:
        present = sum(1 << index for index in range(2) if fields[3 + index])
        try:
            body = struct.pack("<I", present) + b"".join(UUID(guid).bytes_le for guid in fields[3:5] if guid)
        except ValueError:
            raise DescriptorError("not the GUID of an object", structure="SDDL", actual=text) from None
    body += sid_bytes(fields[5])
    if len(fields) == 7:
        if not re.fullmatch(r"#(?:[0-9a-fA-F]{2})*", fields[6]):
            raise DescriptorError("conditions are taken as hexadecimal after #", structure="SDDL", actual=fields[6])
        body += bytes.fromhex(fields[6][1:])
    if 8 + len(body) > _MAX_ACL:
        raise DescriptorError("the ACE is too large", structure="ACE", expected=_MAX_ACL, actual=8 + len(body))
    return struct.pack("<BBHI", kind, flags, 8 + len(body), _mask(fields[2])) + body


def _mask(text: str) -> int:
    if re.fullmatch(r"0x[0-9a-fA-F]{1,8}|\d{1,10}", text):
        number = int(text, 16 if text[:2] == "0x" else 10)
        if number < 1 << 32:
            return number
    names = re.findall("..", text)
    if "".join(names) != text or any(name not in _RIGHTS for name in names):
        raise DescriptorError("not access rights", structure="SDDL", actual=text)
    mask = 0
    for name in names:
        mask |= _RIGHTS[name]
    return mask
