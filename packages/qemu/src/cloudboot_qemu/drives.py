"""Drives: where their bytes come from and which device the guest sees."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import re
import stat
from typing import TYPE_CHECKING, Literal, Protocol

from .errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

Interface = Literal["virtio", "nvme", "ahci", "usb", "cd"]
INTERFACES: tuple[Interface, ...] = ("virtio", "nvme", "ahci", "usb", "cd")


# QEMU's identifiers begin with a letter, and its node names (ours add "node-") end at 31 characters.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,23}")


class HasDescriptor(Protocol):
    """An open file."""

    def fileno(self) -> int:
        """Its file descriptor."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Drive:
    """A raw disk image in a machine.

    ``source`` is a path, a file descriptor (a memfd: no copy, no path, no disk) or an open file. The machine opens it
    anew, so descriptors stay the caller's, may be closed once the machine runs, and a sealed memfd is fine. A
    ``readonly`` drive takes no writes from the guest; ``ahci`` has no such disks, so there it must be ``False``. A
    ``cd`` is an ISO image in a SCSI drive: its blocks are 2048 bytes, and it is always read-only.
    """

    source: int | str | os.PathLike[str] | HasDescriptor
    name: str = "disk0"
    interface: Interface = "virtio"
    readonly: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} does not name a drive; use a letter, then up to 23 of letters, digits, - and _"
            )
        if self.interface not in _DEVICES:
            raise ValueError(f"{self.interface!r} is not a drive interface: {', '.join(_DEVICES)}")
        if self.interface == "ahci" and self.readonly:
            raise ValueError("an AHCI disk cannot be read-only; pass readonly=False and a source that may be written")
        if self.interface == "cd" and not self.readonly:
            raise ValueError("a CD cannot be written")


def open_source(drive: Drive) -> int:
    """A new descriptor of the drive's bytes, with exactly the access the machine needs; the caller closes it.

    QEMU picks a descriptor out of a set by its access mode, so a read-write memfd has to be opened again read-only.

    Raises:
        ImageError: it cannot be opened so, is neither a file nor a block device, or is empty.
    """
    source = drive.source
    mode = os.O_RDONLY if drive.readonly else os.O_RDWR
    if isinstance(source, str | os.PathLike):
        label, path, given = os.fspath(source), os.fspath(source), None
    else:
        given = source if isinstance(source, int) else source.fileno()
        label, path = f"descriptor {given}", f"/proc/self/fd/{given}"
    try:
        if given is not None and fcntl.fcntl(given, fcntl.F_GETFL) & os.O_ACCMODE == mode:
            fd = fcntl.fcntl(given, fcntl.F_DUPFD_CLOEXEC, 3)
        else:
            # Not waiting: a pipe without a writer would hold up the caller forever.
            fd = os.open(path, mode | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        purpose = "reading" if drive.readonly else "reading and writing"
        raise ImageError(f"drive {drive.name}: {label} cannot be opened for {purpose}: {error.strerror}") from error
    status = os.fstat(fd)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        problem = "is neither a file nor a block device"
    elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
        problem = "is empty"
    else:
        return fd
    os.close(fd)
    raise ImageError(f"drive {drive.name}: {label} {problem}")


# The controller that drives of a kind share ("": each is its own), and the device itself. Merging would hide requests
# from the trace.
_DEVICES: dict[str, tuple[str, str]] = {
    "virtio": ("", "virtio-blk-pci,request-merging=off"),
    "nvme": ("", "nvme,serial={name}"),
    "ahci": ("ich9-ahci,id=ahci", "ide-hd,bus=ahci.{port}"),
    "usb": ("qemu-xhci,id=xhci", "usb-storage,bus=xhci.0"),
    "cd": ("virtio-scsi-pci,id=scsi", "scsi-cd,bus=scsi.0"),
}


def fdset_path(number: int) -> str:
    """QEMU's name for a descriptor set."""
    return f"/dev/fdset/{number}"


def drive_arguments(drives: Sequence[Drive], fds: Sequence[int], first_set: int) -> list[str]:
    """QEMU's arguments for ``drives``, whose bytes are ``fds``, in descriptor sets from ``first_set`` on.

    The first drive is the first to boot from.
    """
    arguments: list[str] = []
    ports: dict[str, int] = {}
    for index, (drive, fd) in enumerate(zip(drives, fds, strict=True)):
        controller, device = _DEVICES[drive.interface]
        number = first_set + index
        access = "read-only=on,auto-read-only=off" if drive.readonly else "read-only=off"
        arguments += ["-add-fd", f"fd={fd},set={number},opaque={drive.name}"]
        # locking=off: the caller lends the file for as long as the machine runs.
        driver = "host_device" if stat.S_ISBLK(os.fstat(fd).st_mode) else "file"
        file = f"driver={driver},node-name=node-{drive.name},filename={fdset_path(number)},locking=off,{access}"
        arguments += ["-blockdev", file]
        port = ports.get(controller, 0)
        ports[controller] = port + 1
        if controller and not port:
            arguments += ["-device", controller]
        options = device.format(name=drive.name, port=port)
        arguments += ["-device", f"{options},id={drive.name},drive=node-{drive.name},bootindex={index}"]
    return arguments
