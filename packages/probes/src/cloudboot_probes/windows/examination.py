"""What a disk says of the Windows on it, each fact looked up once: store, partition of the loader, files there."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

import cloudboot_ntfs as ntfs
from cloudboot_base import Error, FormatError
from cloudboot_ntfs.bcd import GptDevice, Store
from cloudboot_ntfs.bcd.devices import BootDevice, Device, to_text
from cloudboot_ntfs.bcd.elements import OBJECTS, ObjectType
from cloudboot_ntfs.bcd.store import object_text
from cloudboot_ntfs.errors import FixupError, ObjectNotFoundError
from cloudboot_ntfs.registry import Hive
from cloudboot_probes.errors import CloudbootError, WindowsBootError
from cloudboot_probes.loader import MACHINES
from cloudboot_uefi_abi.pe import PEImage

from . import paths
from .status import Status

if TYPE_CHECKING:
    import cloudboot_gpt as gpt
    from cloudboot_ntfs.bcd.store import BcdObject
    from cloudboot_probes.disk import Disk

_MAX_STORE, _MAX_HIVE, _MAX_PROGRAM = 64 << 20, 1 << 30, 256 << 20
_BCD_FILE = paths.BCD.replace("/", "\\")


def has_windows(disk: Disk) -> bool:
    """Whether a disk is meant to start Windows: its ESP has a boot manager or a boot configuration of it."""
    return any(disk.esp.exists(path) for path in (paths.BOOT_MANAGER, paths.BCD))


def windows_architecture(disk: Disk) -> str:
    """The architecture that the boot manager is for; amd64 where it does not say."""
    if disk.esp.exists(paths.BOOT_MANAGER):
        with contextlib.suppress(FormatError):
            machine = PEImage.parse(disk.esp.read_file(paths.BOOT_MANAGER)).machine
            return next((name for name, each in MACHINES.items() if each is machine), "amd64")
    return "amd64"


class Examination:
    """A disk and the Windows on it.

    Every property raises :class:`~cloudboot_probes.errors.WindowsBootError` where the boot manager would stop, with the
    status code that it shows.
    """

    def __init__(self, disk: Disk, architecture: str) -> None:
        self.disk, self.architecture = disk, architecture

    @cached_property
    def store(self) -> Store:
        """The boot configuration on the ESP."""
        if not self.disk.esp.exists(paths.BCD):
            raise WindowsBootError(
                f"the ESP has no {paths.BCD}", status=Status.NO_SUCH_FILE, file=_BCD_FILE,
                hint="build the image with --bcd FILE, or without it for a new store",
            )  # fmt: skip
        if self.disk.esp.stat(paths.BCD).size > _MAX_STORE:
            raise WindowsBootError(f"{paths.BCD} is larger than {_MAX_STORE} bytes", file=_BCD_FILE)
        data = self.disk.esp.read_file(paths.BCD)
        try:
            root = Hive(data).root
        except FormatError as error:
            raise self._store_problem(str(error), Status.NO_SUCH_FILE) from None
        try:
            security = root.security
        except FormatError as error:
            raise self._store_problem(str(error), Status.REGISTRY_CORRUPT) from None
        if security is None:
            raise self._store_problem("the hive's root has no security cell", Status.REGISTRY_CORRUPT)
        try:
            return Store.open(data)
        except FormatError as error:
            raise self._store_problem(str(error), Status.NO_SUCH_FILE) from None

    @staticmethod
    def _store_problem(message: str, status: Status) -> WindowsBootError:
        return WindowsBootError(f"{paths.BCD}: {message}", status=status, file=_BCD_FILE)

    @cached_property
    def loader(self) -> BcdObject:
        """The object of the loader that the boot manager starts."""
        try:
            manager = self.store.object(OBJECTS["bootmgr"])
        except ObjectNotFoundError:
            raise self._store_problem("there is no object of the boot manager", Status.OBJECT_NAME_NOT_FOUND) from None
        try:
            wanted = manager.get("default")
            if wanted is None:
                order = manager.get("displayorder")
                wanted = order[0] if isinstance(order, list) and order else None
            if not isinstance(wanted, UUID):
                raise self._store_problem(
                    "the boot manager has neither a default nor a display order", Status.FILE_INVALID
                )
            loader = self.store.object(wanted)
            if loader.object_type != ObjectType.OS_LOADER:
                raise self._store_problem(
                    f"the default {object_text(wanted)} is of type {loader.object_type:#010x}, no Windows loader",
                    Status.FILE_INVALID,
                )
            if loader.get("description") is None:
                raise self._store_problem(f"{object_text(loader.guid)} has no description", Status.UNSUCCESSFUL)
        except ObjectNotFoundError as error:
            raise self._store_problem(f"{error}", Status.FILE_INVALID) from None
        except FormatError as error:
            raise self._store_problem(f"{error}", Status.INVALID_PARAMETER) from None
        return loader

    @cached_property
    def loader_path(self) -> str:
        r"""The path of the loader, as the store writes it: ``\Windows\system32\winload.efi``."""
        path = self.loader.get("path")
        return path if isinstance(path, str) else paths.WINLOAD.replace("/", "\\")

    @cached_property
    def system_root(self) -> str:
        """The folder of Windows, with ``/``."""
        root = self.loader.get("systemroot")
        return (root if isinstance(root, str) else "\\Windows").replace("\\", "/").rstrip("/")

    @cached_property
    def partition(self) -> gpt.Partition:
        """The partition of this disk that the loader is on."""
        return self._resolved("device")

    @cached_property
    def os_partition(self) -> gpt.Partition:
        """The partition of this disk that Windows is on."""
        return self._resolved("osdevice")

    def _resolved(self, element: str) -> gpt.Partition:
        try:
            device = self.loader.get(element)
        except FormatError as error:
            raise self._device_problem(f"the element {element}: {error}", Status.NO_SUCH_DEVICE) from None
        if device is None:
            raise self._device_problem(f"the default loader has no element {element}", Status.NO_SUCH_DEVICE)
        if isinstance(device, BootDevice):
            return self.disk.esp_partition
        if not isinstance(device, GptDevice):
            text = to_text(device) if isinstance(device, Device) else str(device)
            raise self._device_problem(
                f"the element {element} is no partition of a GPT disk: {text[:80]}", Status.NO_SUCH_DEVICE
            )
        for partition in self.disk.table.partitions:
            if partition.guid == device.partition:
                return partition
        raise self._device_problem(
            f"the element {element} names the partition {device.partition}, which this disk does not have",
            Status.NOT_FOUND,
        )

    def _device_problem(self, message: str, status: Status) -> WindowsBootError:
        return WindowsBootError(
            message, status=status, file=self.loader_path,
            hint="cloudboot image build windows makes a store whose devices are the disk's partitions",
        )  # fmt: skip

    @cached_property
    def volume(self) -> ntfs.NTFS:
        """The NTFS volume on the loader's partition."""
        try:
            return ntfs.NTFS(self.partition.window(self.disk.storage))
        except FormatError as error:
            raise WindowsBootError(
                f"partition {self.partition.number} holds no NTFS volume that can be read: {error}",
                status=Status.NO_SUCH_DEVICE, file=self.loader_path,
            ) from None  # fmt: skip

    def owner(self, path: str) -> str:
        """The name under which :meth:`.Disk.block_map` knows the volume's file ``path``.

        Raises:
            NtfsError: there is no such file.
        """
        number = self.volume.find(path)
        names = (entry.path for _, _, files in self.volume.walk() for entry in files if entry.inode == number)
        return next(names, path)

    def program(self, path: str) -> bytes:
        """The bytes of a file that the boot reads from the volume; ``path`` has ``/``.

        Raises:
            WindowsBootError: it is not there, or the volume is damaged at that place.
        """
        shown = path.replace("/", "\\")
        try:
            return self.volume.read_file(path, limit=_MAX_PROGRAM)
        except (FileNotFoundError, NotADirectoryError):
            raise WindowsBootError(
                f"the volume has no {path}", status=Status.NO_SUCH_FILE, file=shown,
                hint="take the file from a Windows of the same build",
            ) from None  # fmt: skip
        except FixupError as error:
            raise WindowsBootError(f"{path}: {error}", status=Status.UNSUCCESSFUL, file=shown) from None
        except Error as error:
            raise WindowsBootError(f"{path}: {error}", status=Status.FILE_CORRUPT_ERROR, file=shown) from None

    def hive(self, path: str) -> Hive:
        """A registry hive of the volume, brought up to date with its logs where it is dirty.

        Raises:
            WindowsBootError: it is not there, or damaged.
        """
        data = self.program(path)
        try:
            hive = Hive(data)
            if hive.is_dirty:
                logs = [self.program(each) for each in (f"{path}.LOG1", f"{path}.LOG2") if self.volume.exists(each)]
                hive = Hive(data, logs=[log for log in logs if log])
            return hive
        except FormatError as error:
            raise WindowsBootError(
                f"{path}: {error}", status=Status.REGISTRY_CORRUPT, file=path.replace("/", "\\")
            ) from None

    @cached_property
    def boot_manager(self) -> bytes:
        """The boot manager's bytes.

        Raises:
            CloudbootError: the ESP has none.
        """
        if not self.disk.esp.exists(paths.BOOT_MANAGER):
            raise CloudbootError(f"the ESP has no {paths.BOOT_MANAGER}", hint="build the image with --loader FILE")
        return self.disk.esp.read_file(paths.BOOT_MANAGER)
