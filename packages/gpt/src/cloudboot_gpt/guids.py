"""GUIDs that follow from what they name: the same content gives the same GUIDs, on any machine, at any time.

They are RFC 9562 version 8 UUIDs over SHA-256, in the construction of its appendix B.2: the digest of a namespace UUID
followed by a name, cut to 128 bits, with the version and variant bits set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_base.storage import chunks

from .errors import SpecificationError

if TYPE_CHECKING:
    from cloudboot_base import Storage

# uuid.uuid5(uuid.NAMESPACE_URL, "cloudboot-gpt"): an arbitrary but fixed namespace. Changing it changes every image.
NAMESPACE: Final = UUID("df5df52a-00e2-53eb-b216-c2a6dcaea5f7")
NIL: Final = UUID(int=0)
_ZEROS: Final = bytes(1 << 20)


def uuid8(namespace: UUID, name: bytes) -> UUID:
    """The version 8 UUID of ``name`` in ``namespace`` (RFC 9562 sections 5.8 and B.2)."""
    from hashlib import sha256  # 3 ms, which reading a table need not spend

    digest = bytearray(sha256(namespace.bytes + name).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


def disk_guid(name: bytes) -> UUID:
    """The GUID of a disk described by ``name``."""
    return uuid8(NAMESPACE, name)


def partition_guid(disk: UUID, number: int) -> UUID:
    """The GUID of partition ``number`` (from 1) of a disk.

    It hangs on the disk's GUID, not on the partition's own content: one ESP used in two images must not bring the
    same GUID into one machine twice.
    """
    return uuid8(disk, number.to_bytes(4, "little"))


def content_digest(content: bytes | Storage, size: int) -> bytes:
    """The SHA-256 digest that represents a partition of ``size`` bytes.

    ``bytes`` are such a digest already. A storage is hashed as it will lie in the partition, that is followed by zeros
    up to ``size``, so that hashing a file before it is copied and the partition afterwards give the same digest.

    Raises:
        SpecificationError: a digest of another length than 32 bytes, or a storage larger than the partition.
    """
    from hashlib import sha256

    if isinstance(content, bytes):
        if len(content) != sha256().digest_size:
            raise SpecificationError("a content digest is a SHA-256 digest", expected=32, actual=len(content))
        return content
    if content.size > size:
        raise SpecificationError("the content is larger than its partition", expected=size, actual=content.size)
    digest = sha256()
    for chunk in chunks(content):
        digest.update(chunk)
    rest = size - content.size
    while rest:
        count = min(rest, len(_ZEROS))
        digest.update(_ZEROS[:count])
        rest -= count
    return digest.digest()
