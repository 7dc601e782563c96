"""The boot configuration of an image: a new one, or one that is given, with the partitions of this image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudboot_base import Error, FormatError
from cloudboot_base.storage import read_file
from cloudboot_ntfs.bcd import BcdOptions, GptDevice, Store, create

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

_MAX_STORE = 64 << 20


@dataclass(frozen=True, slots=True)
class Partitions:
    """The GUIDs that a boot configuration names."""

    disk: UUID
    esp: UUID
    windows: UUID

    @property
    def esp_device(self) -> GptDevice:
        """The device of the boot manager."""
        return GptDevice(self.esp, self.disk)

    @property
    def windows_device(self) -> GptDevice:
        """The device of Windows."""
        return GptDevice(self.windows, self.disk)


def new_store(partitions: Partitions, locale: str) -> bytes:
    """A store that starts Windows from its partition."""
    options = BcdOptions(windows=partitions.windows_device, boot_manager=partitions.esp_device, locale=locale)
    return create("windows", options).pack()


def given_store(path: Path, partitions: Partitions) -> tuple[bytes, list[str]]:
    """A store of the user's with every partition in it replaced by one of ``partitions``, and what is odd about it.

    Raises:
        FormatError: it is not a boot configuration.
        OSError: it cannot be read.
    """
    try:
        store = Store.open(read_file(path, _MAX_STORE))
    except FormatError as error:
        error.path = error.path or os.fspath(path)
        raise
    store.repoint(esp=partitions.esp_device, windows=partitions.windows_device, recovery=partitions.windows_device)
    warnings = []
    try:
        default = store.object("{default}")
        if default.get("device") != partitions.windows_device:
            warnings.append(f"{path}: the default loader is on another kind of device than a partition")
    except Error as error:
        warnings.append(f"{path}: {error}: the boot manager has no default to start")
    return store.pack(), warnings
