"""The records are what the declaration says, and stand where the specification says."""

from cloudboot_fat import layout, records
from cloudboot_records.generate import generate


def test_checked_in_records_are_those_of_the_declaration() -> None:
    with open(records.__file__, encoding="utf-8") as file:
        assert file.read() == generate(layout)


def test_offsets_are_those_of_the_specification() -> None:
    assert records.BPB.LAYOUT.offsets["BPB_TotSec32"] == 32
    assert records.BPB.SIZE == 36
    assert 36 + records.BPB32.LAYOUT.offsets["BPB_RootClus"] == 44
    assert 36 + records.BPB32.SIZE == 64
    assert 36 + records.ExtendedBootRecord.LAYOUT.offsets["BS_VolID"] == 39
    assert 64 + records.ExtendedBootRecord.LAYOUT.offsets["BS_FilSysType"] == 82
    assert records.FSInfo.LAYOUT.offsets["FSI_Free_Count"] == 488
    assert records.FSInfo.SIZE == 512
    assert records.DirectoryEntry.LAYOUT.offsets["DIR_FstClusLO"] == 26
    assert records.LongNameEntry.LAYOUT.offsets["LDIR_Name3"] == 28
    assert records.DirectoryEntry.SIZE == records.LongNameEntry.SIZE == 32
