"""What can be wrong with a GPT disk, and with a request for one.

    GPTError                                 base, a cloudboot_base.FormatError
    +-- MBRError                             LBA 0
    |   +-- MBRSignatureError                no 55 AA
    |   +-- NoProtectiveMBRError             no record of type 0xEE
    |   +-- HybridMBRError                   other partitions beside the protective record
    |   +-- ProtectiveRecordError            the protective record does not cover the disk
    |   +-- ExtendedPartitionError           the chain of logical partitions loops, or leaves the disk
    |   +-- RecordRangeError                 a partition record leaves the disk, or overlaps another
    |   +-- DisklabelError                   no BSD disklabel, or a damaged one
    +-- HeaderError                          a GPT header
    |   +-- SignatureError                   not "EFI PART"
    |   |   +-- MissingBackupError           ... where the backup header should be
    |   +-- RevisionError
    |   +-- HeaderSizeError
    |   +-- HeaderChecksumError
    |   +-- MyLBAError                       the header says it is somewhere else
    |   +-- AlternateLBAError                the other header cannot be, or is not, where this one says
    |   +-- UsableRangeError                 FirstUsableLBA and LastUsableLBA make no sense
    |   +-- DiskGUIDError                    the disk has no GUID
    +-- EntryArrayError                      the array of partition entries
    |   +-- EntrySizeError                   not 128 times a power of two
    |   +-- EntryCountError                  none, or more than anyone needs
    |   +-- EntryArrayPlaceError             it overlaps a header, the usable blocks or the end of the disk
    |   +-- EntryArrayChecksumError
    +-- PartitionError                       one entry
    |   +-- PartitionRangeError              it ends before it starts, or leaves the usable blocks
    |   +-- OverlapError                     two partitions share blocks
    |   +-- PartitionGUIDError               missing, or used twice
    |   +-- PartitionAttributesError         reserved attribute bits are set
    +-- ReservedError                        a reserved field is not zero
    +-- TruncatedDiskError                   the disk ends before the table says (also a TruncatedError)
    +-- DisagreementError                    both copies are whole and say different things
    +-- UnrepairableError                    no whole header, or no whole array, is left
    +-- OccupiedError                        blocks that were to be written hold what is not the table's
    +-- SpecificationError                   a request that no table can satisfy (also a ValueError)
        +-- DiskTooSmallError                the partitions do not fit

``kind`` is the name the same fault has as a :class:`~cloudboot_base.Finding`. ``lba`` is the block at fault, in
logical blocks; ``offset`` is the exact byte. ``copy`` is ``"primary"``, ``"backup"`` or, for the MBR, ``None``;
``partition`` is the number of the entry, from 1.
"""

from __future__ import annotations

from cloudboot_base import FormatError, TruncatedError
from cloudboot_base.exit_codes import NO_SPACE, USAGE


class GPTError(FormatError):
    """A disk breaks the rules of UEFI 2.10 chapter 5."""

    kind = "gpt"

    def __init__(
        self,
        message: str,
        *,
        structure: str | None = None,
        field: str | None = None,
        offset: int | None = None,
        expected: object = None,
        actual: object = None,
        hint: str | None = None,
        lba: int | None = None,
        copy: str | None = None,
        partition: int | None = None,
    ) -> None:
        places = {"copy": copy, "lba": lba, "partition": partition}
        super().__init__(
            message,
            structure=structure,
            field=field,
            offset=offset,
            expected=expected,
            actual=actual,
            hint=hint,
            where={name: place for name, place in places.items() if place is not None},
        )
        self.lba = lba
        self.copy = copy
        self.partition = partition


class MBRError(GPTError):
    """The MBR is not the protective one a GPT disk must have (section 5.2.3)."""

    kind = "mbr"


class MBRSignatureError(MBRError):
    """LBA 0 does not end in 55 AA."""

    kind = "mbr-signature"


class NoProtectiveMBRError(MBRError):
    """No partition record has the type 0xEE: to anything but GPT software the disk looks empty or foreign."""

    kind = "mbr-not-protective"


class HybridMBRError(MBRError):
    """The MBR lists partitions of its own; the two tables can disagree."""

    kind = "mbr-hybrid"


class ProtectiveRecordError(MBRError):
    """The protective record does not start at LBA 1 or does not cover the disk."""

    kind = "mbr-protective-record"


class ExtendedPartitionError(MBRError):
    """The chain of extended boot records loops, leaves the disk, or runs into something else."""

    kind = "mbr-extended"


class RecordRangeError(MBRError):
    """A partition record leaves the disk, or shares blocks with another."""

    kind = "mbr-record-range"


class DisklabelError(MBRError):
    """There is no BSD disklabel, or it is damaged."""

    kind = "disklabel"


class HeaderError(GPTError):
    """A GPT header is not valid (section 5.3.2)."""

    kind = "header"


class SignatureError(HeaderError):
    """There is no GPT header."""

    kind = "header-signature"


class MissingBackupError(SignatureError):
    """There is no backup header where there should be one."""

    kind = "backup-missing"


class RevisionError(HeaderError):
    """The header follows another revision than 1.0, whose layout is unknown."""

    kind = "header-revision"


class HeaderSizeError(HeaderError):
    """The header is smaller than its fields or larger than a logical block."""

    kind = "header-size"


class HeaderChecksumError(HeaderError):
    """The header's bytes are not the ones its CRC was made of."""

    kind = "header-crc"


class MyLBAError(HeaderError):
    """The header belongs to another block than the one it is in."""

    kind = "header-my-lba"


class AlternateLBAError(HeaderError):
    """The other header is not where this one says, or not at the end of the disk."""

    kind = "header-alternate-lba"


class UsableRangeError(HeaderError):
    """The usable blocks overlap the table, or are none."""

    kind = "header-usable-range"


class DiskGUIDError(HeaderError):
    """The disk's GUID is all zeros."""

    kind = "disk-guid"


class EntryArrayError(GPTError):
    """The partition entry array is not valid (section 5.3.2)."""

    kind = "entries"


class EntrySizeError(EntryArrayError):
    """SizeOfPartitionEntry is not 128 times a power of two."""

    kind = "entries-size"


class EntryCountError(EntryArrayError):
    """NumberOfPartitionEntries is zero, or makes an array beyond any reason."""

    kind = "entries-count"


class EntryArrayPlaceError(EntryArrayError):
    """The array overlaps a header or the usable blocks, or leaves the disk."""

    kind = "entries-place"


class EntryArrayChecksumError(EntryArrayError):
    """The array's bytes are not the ones its CRC was made of."""

    kind = "entries-crc"


class PartitionError(GPTError):
    """A partition entry is not valid (section 5.3.3)."""

    kind = "partition"


class PartitionRangeError(PartitionError):
    """The partition ends before it starts, or reaches outside the usable blocks."""

    kind = "partition-range"


class OverlapError(PartitionError):
    """Two partitions share blocks."""

    kind = "partition-overlap"


class PartitionGUIDError(PartitionError):
    """The partition has no GUID, or another partition's."""

    kind = "partition-guid"


class PartitionAttributesError(PartitionError):
    """Attribute bits 3 to 47 are reserved and must be zero."""

    kind = "partition-attributes"


class ReservedError(GPTError):
    """Something reserved is not zero."""

    kind = "reserved"


class TruncatedDiskError(GPTError, TruncatedError):
    """The disk ends before the table says it does, or before a table could end."""

    kind = "disk-truncated"


class DisagreementError(GPTError):
    """Both copies of the table are whole, and differ."""

    kind = "copies-disagree"


class UnrepairableError(GPTError):
    """Too little is left to rebuild the table from."""

    kind = "unrepairable"


class OccupiedError(GPTError):
    """Blocks that a command would write hold something that is not the table's."""

    kind = "occupied"


class SpecificationError(GPTError, ValueError):
    """What was asked for cannot be a partition table."""

    kind = "specification"
    exit_code = USAGE


class DiskTooSmallError(SpecificationError):
    """The partitions and both copies of the table do not fit on the disk."""

    kind = "disk-too-small"
    exit_code = NO_SPACE
