"""EFI_LOAD_OPTION: the contents of Boot####, Driver####, SysPrep#### and PlatformRecovery#### (section 3.1.3)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from cloudboot_base import RangeError, TruncatedError
from cloudboot_base.lightdata import dataclass
from cloudboot_records import Cursor

from .device_path import DevicePath
from .errors import DevicePathError, LoadOptionError
from .layout.records import EFI_LOAD_OPTION

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["KeyOption", "LoadOption", "LoadOptionAttribute"]


class LoadOptionAttribute(enum.IntFlag):
    """The attributes of a load option; bits 8 to 12 are its category (UEFI 2.10 section 3.1.3)."""

    ACTIVE = 0x00000001
    FORCE_RECONNECT = 0x00000002
    HIDDEN = 0x00000008
    CATEGORY_APP = 0x00000100
    CATEGORY = 0x00001F00


@dataclass(frozen=True, slots=True)
class LoadOption:
    """A load option.

    ``paths`` has the loader's device path first; those behind it are the operating system's business. ``optional_data``
    is passed to the image as its LoadOptions. ``padding`` is what follows the paths within FilePathListLength and is
    not a device path: firmware reads the first path only.
    """

    description: str
    paths: tuple[DevicePath, ...]
    optional_data: bytes = b""
    attributes: LoadOptionAttribute = LoadOptionAttribute.ACTIVE
    padding: bytes = b""

    @classmethod
    def parse(cls, data: Buffer) -> LoadOption:
        """Read a load option, which fills ``data``.

        Raises:
            LoadOptionError: the description has no end, or the device paths leave the data.
            DevicePathError: the first device path is malformed.
            TruncatedError: fewer bytes than the fixed head.
        """
        cursor = Cursor(data, structure="EFI_LOAD_OPTION")
        head = cursor.record(EFI_LOAD_OPTION)
        start = cursor.offset
        try:
            description = cursor.utf16z()
        except TruncatedError:
            raise LoadOptionError(
                "the description has no null", structure="EFI_LOAD_OPTION", field="Description", offset=start
            ) from None
        if head.FilePathListLength > cursor.remaining:
            raise LoadOptionError(
                "the device paths leave the load option",
                structure="EFI_LOAD_OPTION", field="FilePathListLength", offset=4,
                expected=f"at most {cursor.remaining}", actual=head.FilePathListLength,
            )  # fmt: skip
        start = cursor.offset
        paths, padding = _paths(bytes(cursor.view(head.FilePathListLength)), start)
        return cls(description, paths, cursor.rest(), LoadOptionAttribute(head.Attributes), padding)

    def pack(self) -> bytes:
        """The load option's bytes.

        Raises:
            RangeError: the description contains a null, or the device paths take more than 65535 bytes.
        """
        if "\0" in self.description:
            raise RangeError("a description has no null", structure="EFI_LOAD_OPTION", field="Description")
        paths = b"".join(path.pack() for path in self.paths) + self.padding
        head = EFI_LOAD_OPTION(int(self.attributes), len(paths)).pack()
        return head + self.description.encode("utf-16-le", "surrogatepass") + b"\0\0" + paths + self.optional_data

    @property
    def active(self) -> bool:
        """Whether the boot manager tries the option."""
        return LoadOptionAttribute.ACTIVE in self.attributes

    @property
    def optional_text(self) -> str | None:
        """The optional data as UTF-16 text, which Linux' EFI stub and shim take, or ``None`` if they are not text."""
        if len(self.optional_data) < 2 or len(self.optional_data) % 2:
            return None
        try:
            text = self.optional_data.decode("utf-16-le").removesuffix("\0")
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() and text.isascii() else None


def _paths(data: bytes, offset: int) -> tuple[tuple[DevicePath, ...], bytes]:
    """The device paths at the start of ``data``, and what follows them.

    Raises:
        DevicePathError: the first path is malformed.
    """
    paths: list[DevicePath] = []
    position = 0
    while position < len(data):
        try:
            path, size = DevicePath.parse_prefix(data[position:], offset + position)
        except DevicePathError:
            if not paths:
                raise
            break
        paths.append(path)
        position += size
    return tuple(paths), data[position:]


@dataclass(frozen=True, slots=True)
class KeyOption:
    """EFI_KEY_OPTION, the contents of Key####: keys that start a boot option (UEFI 2.10 section 3.1.6).

    ``keys`` are pairs of scan code and character; ``key_data`` has the shift state in its low bits.
    """

    key_data: int
    option_crc: int
    option: int
    keys: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, data: Buffer) -> KeyOption:
        """Read a key option, which fills ``data``.

        Raises:
            LoadOptionError: the count of keys is not that of the data.
            TruncatedError: fewer bytes than the fixed head.
        """
        cursor = Cursor(data, structure="EFI_KEY_OPTION")
        key_data, crc, option = cursor.u32(), cursor.u32(), cursor.u16()
        count = key_data >> 30
        if cursor.remaining != 4 * count:
            raise LoadOptionError(
                "not the keys that the head counts",
                structure="EFI_KEY_OPTION", field="InputKeyCount", offset=0,
                expected=4 * count, actual=cursor.remaining,
            )  # fmt: skip
        return cls(key_data, crc, option, tuple((cursor.u16(), cursor.u16()) for _ in range(count)))

    def pack(self) -> bytes:
        """The key option's bytes."""
        head = self.key_data.to_bytes(4, "little") + self.option_crc.to_bytes(4, "little")
        keys = b"".join(scan.to_bytes(2, "little") + char.to_bytes(2, "little") for scan, char in self.keys)
        return head + self.option.to_bytes(2, "little") + keys
