"""The drivers that Windows' loader reads before the kernel runs, from the SYSTEM hive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cloudboot_ntfs.errors import KeyNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_ntfs.registry import Hive, HiveKey

#: Service types: kernel driver, file-system driver; start type 0 is boot start (winnt.h).
_KERNEL_DRIVER, _FILE_SYSTEM_DRIVER, _BOOT_START = 1, 2, 0
#: ErrorControl from which a driver that cannot be loaded ends the start (winnt.h: normal, severe, critical).
SEVERE: Final = 2
_ROOT = re.compile(r"(?:\\\?\?\\)?(?:\\?systemroot\\|[a-z]:\\windows\\|%systemroot%\\|\\windows\\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Driver:
    """A boot-start driver: its service, its file below the Windows folder with ``/``, and its ErrorControl."""

    service: str
    path: str
    error_control: int

    @property
    def is_critical(self) -> bool:
        """Whether Windows does not start without it."""
        return self.error_control >= SEVERE


def control_set(hive: Hive) -> str:
    """The control set that Windows starts with: ``"ControlSet001"``.

    Raises:
        KeyNotFoundError: the hive does not say.
    """
    number = hive.key("Select").value("Default").decoded
    if not isinstance(number, int):
        raise KeyNotFoundError("the hive names no control set", structure="Select", field="Default")
    return f"ControlSet{number:03d}"


def boot_drivers(hive: Hive) -> Iterator[Driver]:
    """The boot-start drivers of the current control set, in the order of the hive.

    Raises:
        HiveError: the hive is damaged, or is no SYSTEM hive.
    """
    services = hive.key(f"{control_set(hive)}\\Services")
    for service in services.keys():  # noqa: SIM118 -- a registry key, not a mapping
        kind, start = _number(service, "Type"), _number(service, "Start")
        if start != _BOOT_START or kind not in {_KERNEL_DRIVER, _FILE_SYSTEM_DRIVER}:
            continue
        yield Driver(service.name, _path(service), _number(service, "ErrorControl") or 0)


def _path(service: HiveKey) -> str:
    try:
        image = service.value("ImagePath").decoded
    except KeyNotFoundError:
        image = None
    text = image if isinstance(image, str) and image else f"System32\\drivers\\{service.name}.sys"
    return "/" + _ROOT.sub("", text, count=1).lstrip("\\").replace("\\", "/")


def _number(key: HiveKey, name: str) -> int | None:
    try:
        found = key.value(name).decoded
    except KeyNotFoundError:
        return None
    return found if isinstance(found, int) else None
