"""$Secure: descriptors, their copies and hashes, and the two indexes that find them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cloudboot_base import Error
from cloudboot_ntfs.errors import NtfsError
from cloudboot_ntfs.layout.constants import Number, RecordFlag, Type
from cloudboot_ntfs.layout.records import SdsEntry
from cloudboot_ntfs.layout.secure import BLOCK, FIRST_ID, descriptor_hash
from cloudboot_ntfs.reader.index import Index

from .directories import check_index

if TYPE_CHECKING:
    from cloudboot_ntfs.reader.stream import Stream

    from .context import Context


def check_secure(context: Context) -> None:
    """Read $SDS, and compare it with $SII, $SDH and the ids that files have."""
    record = context.mft.file(Number.SECURE)
    if not record.flags & RecordFlag.VIEW_INDEX and context.volume.information.major_version < 3:
        return  # a volume of NTFS 1.2 has no $Secure
    stream = context.mft.stream(record, Type.DATA, "$SDS")
    entries = _descriptors(context, stream)
    for name, size in (("$SII", 4), ("$SDH", 8)):
        try:
            index = Index(context.mft, record, name)
        except NtfsError as error:
            context.caught(error)
            continue
        _check_index(context, index, entries, size)
    for facts in context.files.values():
        if facts.security_id >= FIRST_ID and facts.security_id not in entries and not facts.has_descriptor:
            context.report(
                "security-id", "a file has a security id that there is not", structure="StandardInformation",
                field="security_id", actual=facts.security_id, record=facts.number,
            )  # fmt: skip


def _descriptors(context: Context, stream: Stream) -> dict[int, SdsEntry]:
    """The entries of $SDS by id; copies and hashes are compared."""
    found: dict[int, SdsEntry] = {}
    for start in range(0, stream.size, 2 * BLOCK):
        data = stream.read_at(start, 2 * BLOCK)
        position = 0
        while position + SdsEntry.SIZE <= min(BLOCK, len(data)):
            head = SdsEntry.unpack_from(data, position)
            if not head.size:  # nothing follows in this block; or an entry was removed, which fills 16 bytes at least
                rest = data[position : min(BLOCK, len(data))]
                skip = len(rest) - len(rest.lstrip(b"\0"))
                position += max(16, skip // 16 * 16)
                continue
            where: dict[str, int | str] = {"security id": head.security_id}
            if (
                head.size < SdsEntry.SIZE
                or position + head.size > min(BLOCK, len(data))
                or head.offset != start + position
            ):
                context.report(
                    "sds-entry", "an entry that cannot be", structure="$Secure:$SDS", offset=start + position,
                    expected=start + position, actual=head.offset, where=where,
                )  # fmt: skip
                break
            context.budget.spend()
            entry = data[position : position + head.size]
            if data[position + BLOCK : position + BLOCK + head.size] != entry:
                context.report(
                    "sds-mirror",
                    "a descriptor differs from its copy",
                    structure="$Secure:$SDS",
                    offset=start + position + BLOCK,
                    where=where,
                )
            hashed = descriptor_hash(entry[SdsEntry.SIZE :])
            if hashed != head.hash:
                context.report(
                    "sds-hash",
                    "the hash of a descriptor is wrong",
                    structure="$Secure:$SDS",
                    field="hash",
                    offset=start + position,
                    expected=hashed,
                    actual=head.hash,
                    where=where,
                )
            if head.security_id in found:
                context.report(
                    "sds-entry",
                    "two descriptors of one id",
                    structure="$Secure:$SDS",
                    field="security_id",
                    offset=start + position,
                    where=where,
                )
            found[head.security_id] = head
            position += -(-head.size // 16) * 16
    return found


def _check_index(context: Context, index: Index, entries: dict[int, SdsEntry], size: int) -> None:
    kind = index.name[1:].lower()
    seen: set[int] = set()
    previous: tuple[int, ...] | None = None
    for entry in check_index(context, index, Number.SECURE):
        if len(entry.key) != size or len(entry.data) < SdsEntry.SIZE:
            context.report(
                f"{kind}-entry",
                "an entry of another size",
                structure=f"$Secure:{index.name}",
                expected=size,
                actual=len(entry.key),
            )
            continue
        key = struct.unpack(f"<{size // 4}I", entry.key)
        if previous is not None and key <= previous:
            context.report(
                f"{kind}-order",
                "the entries are not in order",
                structure=f"$Secure:{index.name}",
                expected=f"after {previous}",
                actual=str(key),
            )
        previous = key
        try:
            told = SdsEntry.unpack_from(entry.data)
        except Error as error:
            context.caught(error)
            continue
        seen.add(told.security_id)
        own = entries.get(told.security_id)
        expected_key = None if own is None else (own.security_id,) if size == 4 else (own.hash, own.security_id)
        if own is None or told != own or key != expected_key:
            context.report(
                f"{kind}-entry", "an entry that $SDS does not agree with", structure=f"$Secure:{index.name}",
                expected=str(own), actual=str(told),
            )  # fmt: skip
    for missing in entries.keys() - seen:
        context.report(
            f"{kind}-missing", "a descriptor is not in the index", structure=f"$Secure:{index.name}", actual=missing
        )
