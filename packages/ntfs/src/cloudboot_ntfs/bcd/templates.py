r"""Stores from nothing: a Windows installation, a Windows in a RAM disk, and one with a recovery environment."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from cloudboot_base.guid import uuid8
from cloudboot_base.lightdata import dataclass, replace
from cloudboot_ntfs.errors import ObjectNotFoundError

from .devices import BootDevice, Device, RamDiskDevice, pack
from .elements import OBJECTS, ObjectType
from .store import BcdObject, Store

TEMPLATES: Final = ("windows", "windows-ramdisk", "recovery")

#: Namespace of the GUIDs of loaders: the same devices and paths give the same GUID.
_NAMESPACE: Final = UUID("6f1e0dd2-3c58-8b6e-9d6a-2f3f0a9c41b7")


@dataclass(frozen=True, slots=True, kw_only=True)
class BcdOptions:
    r"""What a new store says.

    ``windows`` holds ``\Windows``; ``boot_manager`` is where the boot manager is. ``wim`` and ``sdi`` are paths on
    ``windows`` for the template ``windows-ramdisk``; ``recovery`` and ``recovery_wim`` say where the recovery image is.
    """

    windows: Device = BootDevice()
    boot_manager: Device = BootDevice()
    recovery: Device | None = None
    description: str = "Windows"
    locale: str = "en-US"
    #: seconds; 0 starts the default at once
    timeout: int = 30
    boot_manager_path: str = "\\EFI\\Microsoft\\Boot\\bootmgfw.efi"
    loader_path: str = "\\Windows\\system32\\winload.efi"
    system_root: str = "\\Windows"
    wim: str = "\\sources\\boot.wim"
    sdi: str = "\\boot\\boot.sdi"
    recovery_wim: str = "\\Recovery\\WindowsRE\\Winre.wim"
    recovery_sdi: str = "\\Recovery\\WindowsRE\\boot.sdi"
    #: text menus and messages instead of graphics
    legacy_menu: bool = True


def create(template: str, options: BcdOptions | None = None) -> Store:
    """A new store.

    Raises:
        ObjectNotFoundError: there is no such template.
        DeviceError: a device that cannot be.
    """
    options = options or BcdOptions()
    if template not in TEMPLATES:
        raise ObjectNotFoundError(
            "there is no such template", structure="template", expected=", ".join(TEMPLATES), actual=template
        )
    store = Store()
    _settings(store)
    if template == "windows-ramdisk":
        loader = _ramdisk_loader(store, options, options.windows, options.wim, options.sdi)
    else:
        loader = _windows_loader(store, options)
    if template == "recovery":
        place = options.recovery if options.recovery is not None else options.windows
        rescue = _ramdisk_loader(
            store, replace(options, description="Windows Recovery Environment"), place,
            options.recovery_wim, options.recovery_sdi,
        )  # fmt: skip
        rescue.set(0x46000010, True)
        loader.set("recoverysequence", [rescue.guid])
        loader.set("recoveryenabled", True)
    _boot_manager(store, options, loader)
    return store


def _boot_manager(store: Store, options: BcdOptions, loader: BcdObject) -> None:
    manager = store.make("bootmgr", ObjectType.BOOT_MANAGER)
    manager.set("device", options.boot_manager)
    manager.set("path", options.boot_manager_path)
    manager.set("description", "Windows Boot Manager")
    manager.set("locale", options.locale)
    manager.set("inherit", [OBJECTS["globalsettings"]])
    manager.set("default", loader.guid)
    manager.set("displayorder", [loader.guid])
    manager.set("timeout", options.timeout)


def _settings(store: Store) -> None:
    """The objects that every store of Windows has, with what bcdboot puts into them."""
    for name in ("badmemory", "dbgsettings", "emssettings"):
        store.make(name, ObjectType.INHERITABLE)
    store.object("dbgsettings").set("debugtype", 4)
    store.object("emssettings").set("bootems", False)
    everything = store.make("globalsettings", ObjectType.INHERITABLE)
    everything.set("inherit", [OBJECTS[name] for name in ("dbgsettings", "emssettings", "badmemory")])
    hypervisor = store.make("hypervisorsettings", ObjectType.INHERITABLE_OS_LOADER)
    hypervisor.set("hypervisordebugtype", 0)
    hypervisor.set("hypervisordebugport", 1)
    hypervisor.set("hypervisorbaudrate", 115200)
    loader = store.make("bootloadersettings", ObjectType.INHERITABLE_OS_LOADER)
    loader.set("inherit", [OBJECTS["globalsettings"], OBJECTS["hypervisorsettings"]])
    store.make("resumeloadersettings", ObjectType.INHERITABLE_RESUME).set("inherit", [OBJECTS["globalsettings"]])


def _loader(store: Store, options: BcdOptions, device: Device) -> BcdObject:
    name = "\0".join([pack(device).hex(), options.loader_path, options.description])
    loader = store.make(uuid8(_NAMESPACE, name.encode("utf-8", "surrogatepass")), ObjectType.OS_LOADER)
    loader.set("device", device)
    loader.set("path", options.loader_path)
    loader.set("description", options.description)
    loader.set("locale", options.locale)
    loader.set("inherit", [OBJECTS["bootloadersettings"]])
    loader.set("osdevice", device)
    loader.set("systemroot", options.system_root)
    loader.set("nx", 0)
    loader.set("bootmenupolicy", 0 if options.legacy_menu else 1)
    return loader


def _windows_loader(store: Store, options: BcdOptions) -> BcdObject:
    return _loader(store, options, options.windows)


def _ramdisk_loader(store: Store, options: BcdOptions, place: Device, wim: str, sdi: str) -> BcdObject:
    described = uuid8(_NAMESPACE, "\0".join([pack(place).hex(), wim, sdi]).encode())
    settings = store.make(described, ObjectType.DEVICE_OPTIONS)
    settings.set("description", f"{options.description}: RAM disk")
    settings.set("ramdisksdidevice", place)
    settings.set("ramdisksdipath", sdi)
    loader = _loader(store, options, RamDiskDevice(place, wim, described))
    loader.set("detecthal", True)
    loader.set("winpe", True)
    return loader
