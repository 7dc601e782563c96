"""A file's records taken apart, changed, and put together again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass, field
from cloudboot_ntfs.builder.record import Packed, held
from cloudboot_ntfs.layout import attribute, filename, runlist
from cloudboot_ntfs.layout.constants import REFERENCE_MASK, RecordFlag, Type
from cloudboot_ntfs.layout.records import AttributeHeader, ResidentHeader, StandardInformation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudboot_ntfs.layout.filename import Name
    from cloudboot_ntfs.layout.runlist import Run
    from cloudboot_ntfs.reader.mft import Mft, Record

_VALUE: Final = ResidentHeader.LAYOUT.pick({"value_length", "value_offset"})
#: As a number: operators of enum.Flag are slow, and this is asked of every file.
_DIRECTORY: Final = int(RecordFlag.DIRECTORY)


@dataclass(slots=True)
class Draft:
    """The attributes of a file without the attribute list, and the records that they came from."""

    number: int
    sequence: int
    flags: int
    attributes: list[Packed]
    extensions: list[tuple[int, int]] = field(default_factory=list)  #: (record, sequence)
    list_runs: list[Run] = field(default_factory=list)
    #: what extension records hold, as :func:`.record.held` has it, where their instance numbers are those we give
    held: dict[tuple[bytes, ...], tuple[int, int]] = field(default_factory=dict)
    is_new: bool = False
    #: bytes of the record that are kept for the names of a new file
    kept_for_names: int = 0

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory, or a link that looks like one."""
        return bool(self.flags & _DIRECTORY)

    def all(self, kind: int, name: str | None = None) -> list[Packed]:
        """The attributes of a type, and of a name where one is given."""
        return [each for each in self.attributes if each.type == kind and name in (None, each.name)]

    def remove(self, kind: int, name: str | None = None) -> None:
        """Take attributes away."""
        self.attributes = [each for each in self.attributes if each.type != kind or name not in (None, each.name)]

    def replace(self, kind: int, name: str, parts: list[Packed]) -> None:
        """Put ``parts`` in place of an attribute, or beside the others where there is none."""
        self.remove(kind, name)
        self.attributes += parts

    def names(self) -> list[Name]:
        """The names."""
        return [filename.parse(value(each), record=self.number) for each in self.all(Type.FILE_NAME)]

    def information(self) -> StandardInformation:
        """$STANDARD_INFORMATION."""
        found = self.all(Type.STANDARD_INFORMATION)
        data = value(found[0]) if found else b""
        return StandardInformation.unpack_from(data.ljust(StandardInformation.SIZE, b"\0"))


def parsed(each: Packed) -> attribute.Attribute:
    """A packed attribute, taken apart."""
    data = each.data + b"\xff\xff\xff\xff"
    return next(iter(attribute.parse(data, 0, len(data), number=0)))


def value(each: Packed) -> bytes:
    """The value of a resident attribute; nothing of one in clusters."""
    if each.data[8]:
        return b""
    size, start = _VALUE.unpack_from(each.data, AttributeHeader.SIZE)
    return each.data[start : start + size]


def runs_of(parts: list[Packed], clusters: int) -> list[Run]:
    """The runs of the parts of an attribute; none of a resident one."""
    runs: list[Run] = []
    for each in sorted(parts, key=lambda part: part.lowest_vcn):
        found = parsed(each)
        if not found.resident:
            runs += runlist.decode(found.pairs, found.lowest_vcn, clusters)
    return runs


def load(mft: Mft, number: int) -> Draft:
    """The draft of a file.

    Raises:
        RecordError, FixupError, AttributeFormatError: its records are damaged.
    """
    mft.file(number)  # refuses what does not hold together
    listed = _list_of(mft.record(number))
    others = [] if listed is None else [entry[2] & REFERENCE_MASK for entry in mft.list_entries(listed, number)]
    return gather(mft, number, others)


def _list_of(record: Record) -> attribute.Attribute | None:
    return next((each for each in record.attributes if each.type == Type.ATTRIBUTE_LIST), None)


def gather(mft: Mft, number: int, extensions: Iterable[int]) -> Draft:
    """The draft of a file from its base record and these extension records, whatever its attribute list says.

    Raises:
        RecordError, FixupError, AttributeFormatError: a record is damaged.
    """
    own = mft.record(number, in_use=False)
    records = [own]
    draft = Draft(number, own.sequence, own.flags, [])
    # In the order of the list, in which names that a file gets come last: sorted by number they would move from record
    # to record with every change.
    for other in dict.fromkeys(extensions):
        if other == number:
            continue
        records.append(mft.record(other, in_use=False))
        draft.extensions.append((other, records[-1].sequence))
    listed = _list_of(own)
    if listed is not None and not listed.resident:
        draft.list_runs = runlist.decode(listed.pairs, 0, mft.geometry.clusters)
    for record in records:
        packed = [
            Packed(each.type, each.name, bytes(record.block[each.offset : each.offset + each.length]), each.lowest_vcn)
            for each in record.attributes
            if each.type != Type.ATTRIBUTE_LIST
        ]
        draft.attributes += packed
        if record.base and [each.instance for each in record.attributes] == list(range(len(packed))):
            draft.held[held(packed)] = record.number, record.sequence
    return draft
