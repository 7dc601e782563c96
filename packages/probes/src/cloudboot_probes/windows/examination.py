"""What a disk says of the Windows on it, each fact looked up once: store, partition of the loader, files there."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

import cloudboot_ntfs as ntfs
from cloudboot_base import Error, FormatError
from cloudboot_base.guid import NIL
from cloudboot_ntfs.bcd import FileDevice, GptDevice, LocateDevice, RamDiskDevice, Store
from cloudboot_ntfs.bcd.devices import BootDevice, Device, to_text
from cloudboot_ntfs.bcd.elements import OBJECTS, ObjectType
from cloudboot_ntfs.bcd.store import object_text
from cloudboot_ntfs.errors import BcdError, FixupError, KeyNotFoundError, ObjectNotFoundError
from cloudboot_ntfs.registry import Hive
from cloudboot_probes.errors import CloudbootError, WindowsBootError
from cloudboot_probes.loader import MACHINES
from cloudboot_uefi_abi.pe import PEImage

from . import paths
from .status import Status
from .volume_kinds import identify

if TYPE_CHECKING:
    from cloudboot_ntfs.bcd.store import BcdObject
    from cloudboot_ntfs.registry.hive import HiveKey
    from cloudboot_probes.disk import AnyPartition, Disk

_MAX_STORE, _MAX_HIVE, _MAX_PROGRAM = 64 << 20, 1 << 30, 256 << 20
_BCD_FILE = paths.BCD.replace("/", "\\")
#: Behind the name of a hive: its transaction logs, and the only one of a Windows before Vista.
_LOGS = (".LOG1", ".LOG2", ".LOG")


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


def _repoint_hint(what: str, partition: AnyPartition, disk: Disk) -> str:
    return (
        f"{what} is on partition {partition.number}: cloudboot-bcd repoint BCD --windows "
        f"gpt={partition.guid},{disk.gpt_table.disk_guid}"
    )


def _has_objects(root: HiveKey) -> bool:
    try:
        root.key("Objects")
    except KeyNotFoundError:
        return False
    return True


class Examination:
    """A disk and the Windows on it.

    Every property raises :class:`~cloudboot_probes.errors.WindowsBootError` where the boot manager would stop, with the
    status code that it shows.
    """

    def __init__(self, disk: Disk, architecture: str) -> None:
        self.disk, self.architecture = disk, architecture
        #: Of the boot configuration, once it was read.
        self.store_state = "clean"

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
        data = self._recovered(self.disk.esp.read_file(paths.BCD))
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
        except BcdError as error:
            # A hive that can be read, without the key of all objects: there is none of the boot manager.
            status = Status.NO_SUCH_FILE if _has_objects(root) else Status.OBJECT_NAME_NOT_FOUND
            raise self._store_problem(str(error), status) from None
        except FormatError as error:
            # Seen were a hive that is not one (the checksum, the length) and one without a security cell; damage of
            # other cells was not, and is told as the first.
            raise self._store_problem(str(error), Status.NO_SUCH_FILE) from None

    def _recovered(self, data: bytes) -> bytes:
        """The store with its logs applied, where it is dirty and they continue it."""
        logs = [f"{paths.BCD}{suffix}" for suffix in _LOGS if self.disk.esp.exists(f"{paths.BCD}{suffix}")]
        with contextlib.suppress(FormatError):  # what is wrong with the store itself is told by its reader
            if Hive(data).is_dirty:
                self.store_state = "dirty: a write to it was begun and not ended"
                if logs:
                    data = Hive(data, logs=[self.disk.esp.read_file(log) for log in logs]).data
                    self.store_state += "; its logs complete it"
        return data

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

    @property
    def resumes(self) -> bool:
        """Whether the boot manager is told to resume a hibernated system in place of starting the loader.

        Its object says so with the elements ``resume`` and ``resumeobject``, which Windows sets when it hibernates.
        """
        manager = self.store.object(OBJECTS["bootmgr"])
        with contextlib.suppress(FormatError):
            return manager.get("resume") is True and isinstance(manager.get("resumeobject"), UUID)
        return False

    @cached_property
    def loader_path(self) -> str:
        r"""The path of the loader, as the store writes it: ``\Windows\system32\winload.efi``."""
        path = self._text("path")
        return paths.WINLOAD.replace("/", "\\") if path is None else self._path(path)

    @cached_property
    def system_root(self) -> str:
        """The folder of Windows, with ``/``."""
        root = self._text("systemroot")
        return ("\\Windows" if root is None else self._path(root)).replace("\\", "/").rstrip("/")

    def _text(self, element: str) -> str | None:
        """The text of an element of the loader; ``None`` where it has none."""
        try:
            found = self.loader.get(element)
        except FormatError as error:
            raise self._store_problem(f"{error}", Status.INVALID_PARAMETER) from None
        return found if isinstance(found, str) else None

    def _path(self, path: str) -> str:
        """A path of the store, which the boot manager takes apart at backslashes only."""
        if "/" in path or not path.startswith("\\"):
            raise WindowsBootError(
                f"the path {path} of the default loader is not one that begins with a backslash and has no slash",
                status=Status.NO_SUCH_FILE, file=path, hint="cloudboot-bcd set BCD {default} path or systemroot",
            )  # fmt: skip
        return path

    @cached_property
    def container(self) -> str | None:
        """The file that has Windows' own files in it: the image of a RAM disk, or a virtual disk. Else ``None``.

        The path is as the store writes it. What is within the file is not looked at.
        """
        device: Device | None = self._device("device")
        if isinstance(device, LocateDevice):
            device = device.disk
        return device.path if isinstance(device, RamDiskDevice | FileDevice) else None

    @cached_property
    def ram_disk_start(self) -> str | None:
        r"""The file that a RAM disk of a WIM begins with, ``\boot\boot.sdi``, as the RAM disk's options name it."""
        device = self._device("device")
        if not isinstance(device, RamDiskDevice) or device.options == NIL:
            return None
        try:
            path = self.store.object(device.options).get("ramdisksdipath")
        except FormatError as error:
            raise self._device_problem(f"the options of the RAM disk: {error}", Status.NO_SUCH_DEVICE) from None
        return path if isinstance(path, str) else None

    @cached_property
    def container_reason(self) -> str | None:
        """Why Windows' own files are not examined, or ``None`` where they are on a partition of the disk."""
        try:
            container = self.container
        except WindowsBootError:
            return None
        return None if container is None else f"Windows is in {container}, which is not looked into"

    @cached_property
    def partition(self) -> AnyPartition:
        """The partition of this disk that the loader is on, or the file that the loader is in."""
        return self._resolved("device")

    @cached_property
    def os_partition(self) -> AnyPartition:
        """The partition of this disk that Windows is on, or the file that it is in."""
        return self._resolved("osdevice")

    def _device(self, element: str) -> Device:
        try:
            device = self.loader.get(element)
        except FormatError as error:
            raise self._device_problem(f"the element {element}: {error}", Status.NO_SUCH_DEVICE) from None
        if device is None:
            raise self._device_problem(f"the default loader has no element {element}", Status.NO_SUCH_DEVICE)
        if not isinstance(device, Device):
            raise self._device_problem(f"the element {element} is no device: {device!s:.80}", Status.NO_SUCH_DEVICE)
        return device

    def _resolved(self, element: str) -> AnyPartition:
        whole = device = self._device(element)
        if isinstance(device, LocateDevice) and device.disk is None:
            return self._located(element, device)
        if isinstance(device, LocateDevice) and device.disk is not None:
            device = device.disk
        while isinstance(device, RamDiskDevice | FileDevice):
            device = device.parent
        if isinstance(device, BootDevice):
            return self.disk.esp_partition
        if not isinstance(device, GptDevice):
            raise self._device_problem(
                f"the element {element} is no partition of a GPT disk: {to_text(whole):.80}", Status.NO_SUCH_DEVICE
            )
        for partition in self.disk.gpt_table.partitions:
            if partition.guid == device.partition:
                return partition
        raise self._device_problem(
            f"the element {element} names the partition {device.partition}, which this disk does not have",
            Status.NOT_FOUND,
        )

    def _located(self, element: str, device: LocateDevice) -> AnyPartition:
        """The partition that has the file that another element names."""
        path = self.loader.get(device.element)
        wanted = path if isinstance(path, str) else f"what the element {device.element:08x} names"
        found = self.elsewhere(path.replace("\\", "/")) if isinstance(path, str) else None
        if found is None:
            raise self._device_problem(
                f"the element {element} looks for the partition with {wanted}, which none has", Status.NO_SUCH_DEVICE
            )
        return found

    def _device_problem(self, message: str, status: Status) -> WindowsBootError:
        found = self.elsewhere(f"{self.system_root}/System32/winload.efi")
        if found is None:
            hint = "cloudboot image build windows makes a store whose devices are the disk's partitions"
        else:
            hint = _repoint_hint("Windows", found, self.disk)
        return WindowsBootError(message, status=status, file=self.loader_path, hint=hint)

    def elsewhere(self, path: str) -> AnyPartition | None:
        """The first partition with an NTFS volume that has ``path``, or ``None``."""
        for partition in self.disk.ntfs_partitions:
            with contextlib.suppress(Error):
                if ntfs.NTFS(partition.window(self.disk.storage)).exists(path):
                    return partition
        return None

    @cached_property
    def volume(self) -> ntfs.NTFS:
        """The NTFS volume on the loader's partition."""
        return self._opened(self.partition)

    @cached_property
    def os_volume(self) -> ntfs.NTFS:
        """The NTFS volume with Windows' folder, which may be another than that with the loader."""
        return self.volume if self.os_partition == self.partition else self._opened(self.os_partition)

    @property
    def has_volumes(self) -> bool:
        """Whether both can be read at all."""
        try:
            return self.volume is not None and self.os_volume is not None
        except WindowsBootError:
            return False

    def _opened(self, partition: AnyPartition) -> ntfs.NTFS:
        window = partition.window(self.disk.storage)
        try:
            return ntfs.NTFS(window)
        except FormatError as error:
            what = identify(window)
            if what is not None and what.name != "NTFS":
                raise WindowsBootError(
                    f"partition {partition.number} holds {what.text}",
                    status=None if what.is_bootable else Status.NO_SUCH_DEVICE, file=self.loader_path, hint=what.hint,
                ) from None  # fmt: skip
            raise WindowsBootError(
                f"partition {partition.number} holds no NTFS volume that can be read: {error}",
                status=Status.NO_SUCH_DEVICE, file=self.loader_path, hint="cloudboot-ntfs check says what is damaged",
            ) from None  # fmt: skip

    def content_size(self, path: str) -> int:
        r"""Bytes of the file ``path``, with ``\\``, on the partition of the loader's device, an ESP or an NTFS volume.

        Raises:
            WindowsBootError: it is not there.
        """
        below = path.replace("\\", "/")
        is_esp = self.partition == self.disk.esp_partition
        if not (self.disk.esp.exists(below) if is_esp else self.volume.exists(below)):
            raise WindowsBootError(
                f"partition {self.partition.number} has no {below}", status=Status.NO_SUCH_FILE, file=path,
                hint="copy the file there, or change the path: cloudboot-bcd show BCD lists it",
            )  # fmt: skip
        return self.disk.esp.stat(below).size if is_esp else self.volume.stat(below).st_size

    def owner(self, path: str) -> str:
        """The name under which :meth:`.Disk.block_map` knows the volume's file ``path``.

        Raises:
            NtfsError: there is no such file.
        """
        number = self.volume.find(path)
        names = (entry.path for _, _, files in self.volume.walk() for entry in files if entry.inode == number)
        return next(names, path)

    def program(self, path: str, *, of_windows: bool = False) -> bytes:
        """The bytes of a file that the boot reads from the loader's volume, or from that of Windows.

        ``path`` has ``/``.

        Raises:
            WindowsBootError: it is not there, or the volume is damaged at that place.
        """
        shown = path.replace("/", "\\")
        volume, partition = (self.os_volume, self.os_partition) if of_windows else (self.volume, self.partition)
        try:
            return volume.read_file(path, limit=_MAX_PROGRAM)
        except (FileNotFoundError, NotADirectoryError):
            other = self.elsewhere(path)
            raise WindowsBootError(
                f"the volume has no {path}", status=Status.NO_SUCH_FILE, file=shown,
                hint="take the file from a Windows of the same build"
                if other is None or other == partition else _repoint_hint("the file", other, self.disk),
            ) from None  # fmt: skip
        except FixupError as error:
            raise WindowsBootError(f"{path}: {error}", status=Status.UNSUCCESSFUL, file=shown) from None
        except Error as error:
            raise WindowsBootError(f"{path}: {error}", status=Status.FILE_CORRUPT_ERROR, file=shown) from None

    def hive(self, path: str) -> Hive:
        """A registry hive of Windows, brought up to date with its logs where it is dirty.

        Raises:
            WindowsBootError: it is not there, or damaged.
        """
        data = self.program(path, of_windows=True)
        try:
            hive = Hive(data)
            if hive.is_dirty:
                names = [f"{path}{suffix}" for suffix in _LOGS]
                logs = [self.program(each, of_windows=True) for each in names if self.os_volume.exists(each)]
                hive = Hive(data, logs=logs) if logs else hive
            return hive
        except FormatError as error:
            raise WindowsBootError(
                f"{path}: {error}", status=Status.REGISTRY_CORRUPT, file=path.replace("/", "\\"),
                hint="Windows keeps older copies in System32/config/RegBack; start it once without a cut of the power",
            ) from None  # fmt: skip

    @cached_property
    def boot_manager(self) -> bytes:
        """The boot manager's bytes.

        Raises:
            CloudbootError: the ESP has none.
        """
        if not self.disk.esp.exists(paths.BOOT_MANAGER):
            raise CloudbootError(f"the ESP has no {paths.BOOT_MANAGER}", hint="build the image with --loader FILE")
        return self.disk.esp.read_file(paths.BOOT_MANAGER)
