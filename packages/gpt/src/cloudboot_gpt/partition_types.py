"""Partition type GUIDs by name: UEFI 2.10 table 5.7, the Discoverable Partitions Specification, each system's headers.

A type is a plain :class:`uuid.UUID`: one that is not listed here is as good as any other and survives every round trip.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from .errors import SpecificationError

ESP: Final = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
MBR_SCHEME: Final = UUID("024dee41-33e7-11d3-9d69-0008c781f39f")
BIOS_BOOT: Final = UUID("21686148-6449-6e6f-744e-656564454649")
PREP_BOOT: Final = UUID("9e1a2d38-c612-4316-aa26-8b49521e5a8b")

FREEBSD_BOOT: Final = UUID("83bd6b9d-7f41-11dc-be0b-001560b84f0f")
FREEBSD: Final = UUID("516e7cb4-6ecf-11d6-8ff8-00022d09712b")
FREEBSD_SWAP: Final = UUID("516e7cb5-6ecf-11d6-8ff8-00022d09712b")
FREEBSD_UFS: Final = UUID("516e7cb6-6ecf-11d6-8ff8-00022d09712b")
FREEBSD_VINUM: Final = UUID("516e7cb8-6ecf-11d6-8ff8-00022d09712b")
FREEBSD_ZFS: Final = UUID("516e7cba-6ecf-11d6-8ff8-00022d09712b")

NETBSD_SWAP: Final = UUID("49f48d32-b10e-11dc-b99b-0019d1879648")
NETBSD_FFS: Final = UUID("49f48d5a-b10e-11dc-b99b-0019d1879648")
NETBSD_LFS: Final = UUID("49f48d82-b10e-11dc-b99b-0019d1879648")
NETBSD_RAID: Final = UUID("49f48daa-b10e-11dc-b99b-0019d1879648")
NETBSD_CCD: Final = UUID("2db519c4-b10f-11dc-b99b-0019d1879648")
NETBSD_CGD: Final = UUID("2db519ec-b10f-11dc-b99b-0019d1879648")

OPENBSD: Final = UUID("824cc7a0-36a8-11e3-890a-952519ad3f61")

LINUX: Final = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
LINUX_SWAP: Final = UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f")
LINUX_HOME: Final = UUID("933ac7e1-2eb4-4f13-b844-0e14e2aef915")
LINUX_SRV: Final = UUID("3b8f8425-20e0-4f3b-907f-1a25a76f98e8")
LINUX_VAR: Final = UUID("4d21b016-b534-45c2-a9fb-5c16e091fd2d")
LINUX_TMP: Final = UUID("7ec6f557-3bc5-4aca-b293-16ef5df639d1")
LINUX_RAID: Final = UUID("a19d880f-05fc-4d3b-a006-743f0f84911e")
LINUX_LVM: Final = UUID("e6d6d379-f507-44c2-a23c-238f2a3df928")
LINUX_LUKS: Final = UUID("ca7d7ccb-63ed-4c53-861c-1742536059cc")
LINUX_XBOOTLDR: Final = UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172")
LINUX_ROOT_X86: Final = UUID("44479540-f297-41b2-9af7-d131d5f0458a")
LINUX_ROOT_X86_64: Final = UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
LINUX_ROOT_ARM: Final = UUID("69dad710-2ce4-4e3c-b16c-21a1d49abed3")
LINUX_ROOT_ARM64: Final = UUID("b921b045-1df0-41c3-af44-4c6f280d3fae")
LINUX_ROOT_RISCV64: Final = UUID("72ec70a6-cf74-40e6-bd49-4bda08e8f224")
LINUX_ROOT_LOONGARCH64: Final = UUID("77055800-792c-4f94-b39a-98c91b762bb6")
LINUX_USR_X86_64: Final = UUID("8484680c-9521-48c6-9c11-b0720656f69e")
LINUX_USR_ARM64: Final = UUID("b0e01050-ee5f-4390-949a-9101b17104e9")
LINUX_ROOT_VERITY_X86_64: Final = UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")
LINUX_ROOT_VERITY_ARM64: Final = UUID("df3300ce-d69f-4c92-978c-9bfb0f38d820")

MICROSOFT_RESERVED: Final = UUID("e3c9e316-0b5c-4db8-817d-f92df00215ae")
MICROSOFT_BASIC_DATA: Final = UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
MICROSOFT_RECOVERY: Final = UUID("de94bba4-06d1-4d40-a16a-bfd50179d6ac")
MICROSOFT_LDM_METADATA: Final = UUID("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3")
MICROSOFT_LDM_DATA: Final = UUID("af9b60a0-1431-4f62-bc68-3311714a69ad")
MICROSOFT_STORAGE_SPACES: Final = UUID("e75caf8f-f680-4cee-afa3-b001e56efc2d")

APPLE_APFS: Final = UUID("7c3457ef-0000-11aa-aa11-00306543ecac")
APPLE_HFS: Final = UUID("48465300-0000-11aa-aa11-00306543ecac")
APPLE_BOOT: Final = UUID("426f6f74-0000-11aa-aa11-00306543ecac")

UFS_TYPES: Final = frozenset({FREEBSD_UFS, NETBSD_FFS, OPENBSD})
"""The types that hold UFS or FFS. OpenBSD's also holds a disklabel, whose ``a`` usually starts where it does."""

ALIASES: Final[dict[str, UUID]] = {
    name.lower().replace("_", "-"): value for name, value in list(globals().items()) if isinstance(value, UUID)
}
"""Every type of this module under its name in lower case with hyphens: ``esp``, ``linux-root-arm64``."""

_NAMES: Final[dict[UUID, str]] = {value: name for name, value in ALIASES.items()}


def name_of(type_guid: UUID) -> str | None:
    """The alias of a partition type, or ``None`` for one not listed here."""
    return _NAMES.get(type_guid)


def parse(text: str) -> UUID:
    """A partition type from its alias or its GUID.

    Raises:
        SpecificationError: neither.
    """
    known = ALIASES.get(text.strip().lower().replace("_", "-"))
    if known is not None:
        return known
    try:
        return UUID(text.strip())
    except ValueError:
        raise SpecificationError(
            "no such partition type", actual=text, hint="write a GUID, or one of: " + ", ".join(ALIASES)
        ) from None
