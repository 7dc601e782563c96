"""What the status codes on the screens of Windows' boot manager and loader say, and the screens themselves.

The names are those of ntstatus.h. The causes of the codes that ``CAUSES`` marks as measured were seen with the boot
manager of build 19041, on stores and volumes that were damaged one piece at a time.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


class Status(enum.IntEnum):
    """NTSTATUS values that a boot shows."""

    UNSUCCESSFUL = 0xC0000001
    INVALID_PARAMETER = 0xC000000D
    NO_SUCH_DEVICE = 0xC000000E
    NO_SUCH_FILE = 0xC000000F
    NO_MEMORY = 0xC0000017
    OBJECT_NAME_NOT_FOUND = 0xC0000034
    INVALID_IMAGE_FORMAT = 0xC000007B
    FILE_INVALID = 0xC0000098
    UNEXPECTED_IO_ERROR = 0xC00000E9
    FILE_CORRUPT_ERROR = 0xC0000102
    REGISTRY_CORRUPT = 0xC000014C
    IO_DEVICE_ERROR = 0xC0000185
    CANNOT_LOAD_REGISTRY_FILE = 0xC0000218
    IMAGE_CHECKSUM_MISMATCH = 0xC0000221
    NOT_FOUND = 0xC0000225
    INVALID_IMAGE_WIN_64 = 0xC0000359
    INVALID_IMAGE_HASH = 0xC0000428
    IMAGE_CERT_EXPIRED = 0xC0000605


@dataclass(frozen=True, slots=True)
class Cause:
    """What a status code comes from, and what to look at. ``measured`` says that it was seen, not looked up."""

    text: str
    try_next: str
    measured: bool = False


_STORE = "cloudboot-bcd show BCD: compare its devices and paths with the disk"
_BUILD = "cloudboot image build windows --from PATH makes a store whose devices are the disk's partitions"
_FILES = "cloudboot image inspect IMAGE lists what Windows' boot needs and the disk lacks"

CAUSES: Final = {
    Status.UNSUCCESSFUL: Cause(
        "the loader's object has no description, or a record of the volume was not written whole (its fixup is wrong)",
        "cloudboot-ntfs check; cloudboot-bcd show BCD", measured=True,
    ),
    Status.INVALID_PARAMETER: Cause("an element of the store has a value that cannot be", _STORE),
    Status.NO_SUCH_DEVICE: Cause("the store names a device that is not there", _BUILD, measured=True),
    Status.NO_SUCH_FILE: Cause("the file is not there", _FILES, measured=True),
    Status.NO_MEMORY: Cause("the machine has too little memory", "--memory 4G"),
    Status.OBJECT_NAME_NOT_FOUND: Cause("the store has no object of the boot manager", _BUILD, measured=True),
    Status.INVALID_IMAGE_FORMAT: Cause("the file is no program for this processor", _FILES),
    Status.FILE_INVALID: Cause(
        "the boot manager's object names no loader to start: no default and no display order, or one that is not there",
        _BUILD, measured=True,
    ),
    Status.UNEXPECTED_IO_ERROR: Cause("a read of the disk failed", "cloudboot image inspect IMAGE"),
    Status.FILE_CORRUPT_ERROR: Cause("the file or the volume is damaged", "cloudboot-ntfs check"),
    Status.REGISTRY_CORRUPT: Cause("the registry hive is damaged, or has no security cell", _BUILD, measured=True),
    Status.IO_DEVICE_ERROR: Cause("the disk gave an error", "cloudboot image inspect IMAGE"),
    Status.CANNOT_LOAD_REGISTRY_FILE: Cause("a registry hive cannot be loaded", _FILES),
    Status.IMAGE_CHECKSUM_MISMATCH: Cause(
        "the file is not as it was signed: at least one byte of it differs", "take the file from its source again",
        measured=True,
    ),
    Status.NOT_FOUND: Cause("no partition of the machine has the GUID that the store names", _BUILD, measured=True),
    Status.INVALID_IMAGE_WIN_64: Cause("the file is a program for another width of words", _FILES),
    Status.INVALID_IMAGE_HASH: Cause(
        "the file's signature does not verify: it is not signed, or not by a signer that this firmware trusts",
        "take the file from its source again; testsigning in the store allows test signatures",
    ),
    Status.IMAGE_CERT_EXPIRED: Cause("the certificate that signed the file is not valid any more", "set the clock"),
}  # fmt: skip

#: What :attr:`Status.NO_SUCH_FILE` means on the store itself.
_NO_STORE = Cause("there is no boot configuration, or it is no registry hive", _BUILD, measured=True)


def status_text(status: int) -> str:
    """``"0xc000000f STATUS_NO_SUCH_FILE"``; the number alone where it has no name here."""
    try:
        return f"{status:#010x} STATUS_{Status(status).name}"
    except ValueError:
        return f"{status:#010x}"


@dataclass(frozen=True, slots=True)
class Screen:
    """An error screen: the file it names, if it names one, and the status."""

    file: str | None
    status: int

    @property
    def cause(self) -> Cause | None:
        """What the status comes from, where that is known."""
        if self.status == Status.NO_SUCH_FILE and (self.file or "").casefold().endswith("\\bcd"):
            return _NO_STORE
        try:
            return CAUSES.get(Status(self.status))
        except ValueError:
            return None

    def __str__(self) -> str:
        said = f"{self.file}: {status_text(self.status)}" if self.file else status_text(self.status)
        return f"{said}: {self.cause.text}" if self.cause is not None else said


#: The words before the file and the code are in the language of the boot manager; the form is the same in all.
_CODE = re.compile(r":\s{0,80}(0x[cC][0-9a-fA-F]{7})\b")
_FILE = re.compile(r":\s{0,80}(\\[^\n:]*?)[ \t]*(?:\n|\Z)")
#: Lines between the file and the code, in the legacy and in the later form of the screen.
_NEAR = 1200


def screens(text: str) -> Iterator[Screen]:
    """The error screens in the text of a console."""
    start = 0
    for found in _CODE.finditer(text):
        files = _FILE.findall(text, max(start, found.start() - _NEAR), found.start())
        yield Screen(files[-1] if files else None, int(found[1], 16))
        start = found.end()
