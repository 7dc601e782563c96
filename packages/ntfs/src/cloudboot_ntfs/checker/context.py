"""What the parts of a check share: the volume, what is known of its files, and what was found wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base import Finding
from cloudboot_base.lightdata import dataclass, field
from cloudboot_records import Budget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_base import Error
    from cloudboot_ntfs.layout.filename import Name
    from cloudboot_ntfs.reader.mft import Mft
    from cloudboot_ntfs.reader.volume import NTFS


@dataclass(slots=True)
class FileFacts:
    """What the records of one file say of it."""

    number: int
    sequence: int
    flags: int
    link_count: int
    names: list[Name] = field(default_factory=list)
    size: int = 0
    allocated: int = 0
    is_packed: bool = False  #: compressed or with holes: what it takes is told in different ways
    attributes: int = 0
    security_id: int = 0
    has_descriptor: bool = False
    reparse_tag: int | None = None
    object_id: bytes = b""

    @property
    def reference(self) -> int:
        """What directories refer to it by."""
        return self.sequence << 48 | self.number


class Context:
    """The state of a check."""

    def __init__(self, volume: NTFS) -> None:
        self.volume = volume
        self.findings: list[Finding] = []
        self.files: dict[int, FileFacts] = {}
        self.used: set[int] = set()  #: records that are in use, extension records included
        #: files whose attribute lists can be made anew from these records without loss
        self.relists: dict[int, list[int]] = {}
        self.unreadable: set[int] = set()  #: records that could not be parsed
        #: (first cluster, cluster after the last, record)
        self.claims: list[tuple[int, int, int]] = []
        # A volume cannot hold more entries of lists and indexes than bytes; shared structures may not multiply them.
        self.budget = Budget(volume.size // 8 + 1_000_000, "entries")

    @property
    def mft(self) -> Mft:
        """The records of the volume."""
        return self.volume.mft

    def report(
        self,
        kind: str,
        message: str,
        *,
        structure: str | None = None,
        field: str | None = None,
        offset: int | None = None,
        expected: object = None,
        actual: object = None,
        where: Mapping[str, int | str] | None = None,
        record: int | None = None,
    ) -> None:
        """Note something that is wrong; ``record`` is a place of its own in ``where``."""
        place = {**({} if record is None else {"record": record}), **(where or {})}
        self.findings.append(Finding(kind, message, structure, field, offset, expected, actual, place))

    def caught(self, error: Error, **where: int | str) -> None:
        """Note what a reader refused."""
        self.findings.append(Finding.from_error(error, **{**where, **error.where}))
