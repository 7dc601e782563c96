"""EFI_IMAGE_EXECUTION_INFO_TABLE: the images that a firmware refused (UEFI 2.10 section 32.4.2).

The table is a configuration table of the GUID of db and dbx. EDK2 puts entries one behind the other without padding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_records import Cursor

from .constants import ImageExecutionAction
from .device_path import DevicePath
from .errors import UefiFormatError
from .layout.records import EFI_IMAGE_EXECUTION_INFO
from .variables import SignatureList, pack_signature_lists, parse_signature_lists

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

__all__ = ["INITIALIZED", "ImageExecution", "pack_image_executions", "parse_image_executions"]

INITIALIZED: Final = 0x8
"""EFI_IMAGE_EXECUTION_INITIALIZED, a bit of the action: the image was started."""
_STRUCTURE: Final = "EFI_IMAGE_EXECUTION_INFO"


@dataclass(frozen=True, slots=True)
class ImageExecution:
    """An image that was refused. ``signatures`` are what the firmware looked up in db and dbx, mostly its digest."""

    action: int
    name: str
    path: DevicePath
    signatures: tuple[SignatureList, ...] = ()

    @property
    def result(self) -> ImageExecutionAction:
        """What the firmware found, without the bit for an image that was started."""
        return ImageExecutionAction(self.action & (INITIALIZED - 1))

    def pack(self) -> bytes:
        """The entry's bytes."""
        name = self.name.encode("utf-16-le", "surrogatepass") + b"\0\0"
        body = name + self.path.pack() + pack_signature_lists(self.signatures)
        return EFI_IMAGE_EXECUTION_INFO(self.action, EFI_IMAGE_EXECUTION_INFO.SIZE + len(body)).pack() + body


def pack_image_executions(entries: Iterable[ImageExecution]) -> bytes:
    """The table's bytes."""
    packed = [each.pack() for each in entries]
    return len(packed).to_bytes(8, "little") + b"".join(packed)


def parse_image_executions(data: Buffer) -> tuple[ImageExecution, ...]:
    """The entries of a table; bytes behind them are not looked at.

    Raises:
        UefiFormatError: an entry is shorter than its head, or what it holds is malformed.
        TruncatedError: an entry leaves the data.
    """
    cursor = Cursor(data, structure="EFI_IMAGE_EXECUTION_INFO_TABLE")
    count = int.from_bytes(cursor.take(8), "little")
    found = []
    for _ in range(count):
        start = cursor.offset
        head = cursor.record(EFI_IMAGE_EXECUTION_INFO)
        if head.InfoSize < EFI_IMAGE_EXECUTION_INFO.SIZE:
            raise UefiFormatError(
                "an entry is shorter than its head", structure=_STRUCTURE, field="InfoSize", offset=start + 4,
                expected=f"at least {EFI_IMAGE_EXECUTION_INFO.SIZE}", actual=head.InfoSize,
            )  # fmt: skip
        at = cursor.offset
        body = Cursor(cursor.take(head.InfoSize - EFI_IMAGE_EXECUTION_INFO.SIZE), structure=_STRUCTURE)
        name = body.utf16z()
        at += body.offset
        rest = body.rest()
        path, size = DevicePath.parse_prefix(rest, at)
        found.append(ImageExecution(head.Action, name, path, parse_signature_lists(rest[size:])))
    return tuple(found)
