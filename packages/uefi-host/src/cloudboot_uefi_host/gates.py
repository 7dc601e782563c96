"""The chain from a disk image to a running loader as gates over one context.

The names are those every firmware has in a probe: publish-block-io, connect-controller, sfs-child, load-image,
ufs-root, start-image, loader-banner. Evidence is what the firmware saw: which image called which service and read which
bytes; text counts only where the image's own calls of ConOut printed it.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self, TypeVar

from cloudboot_base import GateFailedError
from cloudboot_base.gates import Stage
from cloudboot_uefi_abi.status import is_error, status_name

from .drivers.disk_io import DiskIoStorage
from .drivers.el_torito import SECTOR as CD_BLOCK
from .drivers.partition import PARTITION_INFO
from .errors import HostError, ServiceError
from .firmware import DEFAULT_MEMORY, Firmware
from .machine import Budget
from .paths import file_path, file_systems_below, vendor_path
from .protocols.block_io import publish_block_io
from .protocols.collation import publish_unicode_collation
from .protocols.device_path_text import publish_device_path_text
from .protocols.file_system import publish_file_system
from .protocols.graphics import publish_graphics
from .protocols.random import publish_random_numbers
from .run import start
from .volumes import VfsVolume

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from cloudboot_base import Storage
    from cloudboot_uefi_abi.variables import Variable
    from cloudboot_vfs import FileSystem

    from .core.host import BootHost
    from .core.images import Image
    from .core.keys import Typed
    from .protocols.block_io import BlockDevice
    from .protocols.graphics import Graphics
    from .run import Outcome

T = TypeVar("T")
_INFO_TYPE, _INFO_ENTRY = 4, 16
_MBR: Final = 1
_GPT: Final = 2
_SHOWN: Final = 12
#: Characters of a banner that are looked for in what each image printed: one call may print less than a line.
_BANNER_BEGIN: Final = 20


@dataclass(frozen=True)
class BootPlan:
    """What is booted, and what it should show.

    ``loaders`` are paths on the ESP with ``/``, the first that is there is started. ``root_types`` are the GPT types of
    a root partition, ``open_root`` opens its file system. ``banner`` is a regular expression for the loader's own text
    with an optional group ``evidence``; ``failures`` are texts of a loader that gives up. ``keys`` are typed, ``until``
    ends the run once it was printed. Without ``graphics`` there is no display: what a loader shows is text. A
    ``cd`` has blocks of 2048 bytes and can be taken out of its drive. ``variables`` are what the firmware in this
    process has stored before the boot; keys of Secure Boot among them decide which images may run.
    """

    architecture: str
    disk: Storage
    loaders: Sequence[str]
    banner: str
    failures: Sequence[str] = ()
    root_types: frozenset[UUID] = frozenset()
    open_root: Callable[[Storage], FileSystem] | None = None
    keys: Sequence[Typed] = ()
    until: str | None = None
    options: str = ""
    graphics: bool = True
    cd: bool = False
    variables: Sequence[Variable] = ()
    memory: int = DEFAULT_MEMORY
    budget: Budget = field(default_factory=Budget)


class FirmwareBoot:
    """One boot by any firmware: each stage finds here what the ones before it left."""

    def __init__(self, plan: BootPlan, firmware: BootHost) -> None:
        self.plan, self.firmware = plan, firmware
        self.device: BlockDevice | None = None
        self.esp = 0
        self.loader = ""
        self.image: Image | None = None
        self.root: int | None = None
        self.outcome: Outcome | None = None
        self.failure: HostError | None = None

    def close(self) -> None:
        """Give the machine back."""
        self.firmware.close()

    def choose(self, path: bytes) -> None:
        """Tell the firmware which loader is booted, where it does not know."""

    def text(self) -> str:
        """What programs printed, with line feeds only."""
        return self.firmware.console.text.replace("\r\n", "\n").replace("\r", "")

    def calls(self) -> dict[str, int]:
        """The services that programs and firmware called most, by name without ``EFI_`` and ``_PROTOCOL``."""
        return {
            name.replace("_PROTOCOL.", ".").removeprefix("EFI_"): count
            for name, count in self.firmware.trace.counts.most_common(_SHOWN)
        }

    def files(self) -> dict[str, int]:
        """The bytes that images read of each file."""
        found: dict[str, int] = {}
        for access in self.firmware.accesses:
            if access.image and access.action == "read":
                found[access.path] = found.get(access.path, 0) + access.size
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HostedBoot(FirmwareBoot):
    """One boot by the firmware in this process.

    Raises:
        BackEndMissingError: no processor back end is installed.
    """

    firmware: Firmware

    def __init__(self, plan: BootPlan) -> None:
        firmware = Firmware(plan.architecture, memory=plan.memory, budget=plan.budget)
        firmware.variables.load(plan.variables)
        self.graphics: Graphics | None = publish_graphics(firmware) if plan.graphics else None
        publish_random_numbers(firmware)
        publish_device_path_text(firmware)
        publish_unicode_collation(firmware)
        super().__init__(plan, firmware)

    def choose(self, path: bytes) -> None:
        """Name the loader in the boot variables, as a boot manager does."""
        self.firmware.variables.set_boot_option(path)


def _there(value: T | None, stage: str) -> T:
    if value is None:
        raise GateFailedError(f"the stage {stage} has not run")
    return value


def publish(boot: FirmwareBoot) -> Mapping[str, object]:
    """The disk is published as Block IO over the buffer itself, read-only, with a device path of its own.

    Leaves open: What reads the blocks; that is for the gates that follow.
    """
    firmware = boot.firmware
    block = CD_BLOCK if boot.plan.cd else 512
    boot.device = publish_block_io(firmware, boot.plan.disk, vendor_path(), block_size=block, removable=boot.plan.cd)
    return {
        "handle": f"{boot.device.handle:#x}",
        "device_path": firmware.path_text(boot.device.handle),
        "blocks": boot.plan.disk.size // block,
        "processor": f"{firmware.machine.processor.name}, {boot.plan.architecture}",
        "disk": f"{boot.plan.disk.size} bytes, read-only" + (", a CD" if boot.plan.cd else ""),
    }


def connect(boot: FirmwareBoot) -> Mapping[str, object]:
    """ConnectController starts Disk IO, partition and FAT drivers on the disk; they read its table through Block IO.

    Leaves open: Other drivers than this firmware's own: the other firmware's gates prove those.
    """
    firmware, device = boot.firmware, _there(boot.device, "publish-block-io")
    status = firmware.drivers.connect(device.handle)
    children = firmware.drivers.children(device.handle)
    evidence: dict[str, object] = {
        "status": status_name(status),
        "children": [firmware.path_text(child) for child in children],
        "reads": [f"LBA {read.lba}, {read.size} bytes" for read in device.reads[:_SHOWN]],
    }
    if firmware.problems:
        evidence["problems"] = list(firmware.problems)
    if is_error(status):
        raise GateFailedError("ConnectController started no driver", evidence=evidence)
    return evidence


def sfs_child(boot: FirmwareBoot) -> Mapping[str, object]:
    """A handle below the disk's device path has a Simple File System, and the loader's file is there.

    Leaves open: Whether the file is a loader.
    """
    firmware, device = boot.firmware, _there(boot.device, "publish-block-io")
    found = file_systems_below(firmware, device.path)
    evidence: dict[str, object] = {"file_systems": [firmware.path_text(handle) for handle in found]}
    if not found:
        raise GateFailedError("no file system is below the disk", evidence=evidence)
    for handle in found:
        for path in boot.plan.loaders:
            try:
                size = len(firmware.read_file(handle, path.replace("/", "\\")))
            except ServiceError:
                continue
            boot.esp, boot.loader = handle, path
            return {**evidence, "loader": path, "size": size, "device_path": firmware.path_text(handle)}
    evidence["looked_for"] = list(boot.plan.loaders)
    raise GateFailedError("no file system has the loader", evidence=evidence)


def load_image(boot: FirmwareBoot) -> Mapping[str, object]:
    """LoadImage takes the loader by its device path: a PE32+ image for this processor, relocated into memory.

    Leaves open: Signatures, unless the firmware has keys of Secure Boot.
    """
    firmware = boot.firmware
    path = file_path(firmware, boot.esp, boot.loader.replace("/", "\\"))
    image = boot.image = firmware.images.load_from(path, parent=firmware.handle)
    boot.choose(path)
    if boot.plan.options:
        firmware.images.set_options(image, boot.plan.options.encode("utf-16-le") + b"\0\0")
    return {
        "loader": boot.loader,
        "image": image.name,
        "base": f"{image.base:#x}",
        "size": image.size,
        "entry": f"{image.entry:#x}",
        "subsystem": image.subsystem.name,
        "device_handle": f"{image.device:#x}",
    }


def ufs_root(boot: FirmwareBoot) -> Mapping[str, object]:
    """The root partition is found by its type, and its file system is published as Simple File System on its handle.

    Leaves open: Whether the loader reads it there; what it reads is with start-image.
    """
    firmware = boot.firmware
    handle = _root_partition(boot)
    if handle is None or boot.plan.open_root is None:
        raise GateFailedError("the disk has no root partition")
    file_system = boot.plan.open_root(DiskIoStorage(firmware, handle))
    publish_file_system(firmware, handle, VfsVolume(file_system))
    boot.root = handle
    return {
        "device_path": firmware.path_text(handle),
        "label": file_system.label,
        "size": file_system.size,
        "entries": [entry.name for entry in file_system.iterdir("/")][:_SHOWN],
    }


def no_root(boot: FirmwareBoot) -> str | None:
    """Why there is no root to publish; ``None`` if there is one."""
    if boot.plan.open_root is None:
        return "no reader for this system's root file system is installed"
    if _root_partition(boot) is not None:
        return None
    if boot.plan.cd:
        return "a CD's boot catalogue names no root: the loader looks for it"
    if boot.device is not None and any(
        _partition_info(boot, child)[0] == _MBR for child in boot.firmware.drivers.children(boot.device.handle)
    ):
        return "the disk has an MBR, which does not name a root: the loader looks for it in its slices"
    return "the disk has no root partition: it is an ESP alone"


def _root_partition(boot: FirmwareBoot) -> int | None:
    firmware = boot.firmware
    children = [] if boot.device is None else firmware.drivers.children(boot.device.handle)
    wanted = {kind.bytes_le for kind in boot.plan.root_types}
    for child in children:
        kind, entry = _partition_info(boot, child)
        if kind == _GPT and entry[:16] in wanted:
            return child
    return None


def _partition_info(boot: FirmwareBoot, handle: int) -> tuple[int | None, bytes]:
    """What kind of table a partition is from (``None`` for what is no partition), and its entry there."""
    firmware = boot.firmware
    info = firmware.handles.pointer(handle, PARTITION_INFO)
    if info is None:
        return None, b""
    return firmware.memory.u32(info + _INFO_TYPE), firmware.memory.read(info + _INFO_ENTRY, 128)


def start_image(boot: FirmwareBoot) -> Mapping[str, object]:
    """StartImage hands over to the loader, and the loader's own calls print text before it comes back.

    Leaves open: What the text says.
    """
    firmware, image = boot.firmware, _there(boot.image, "load-image")
    firmware.console.type(boot.plan.keys)
    firmware.console.until(boot.plan.until)
    try:
        boot.outcome = start(firmware, image)
    except HostError as error:
        boot.failure = error
    lines = [line.strip() for line in boot.text().splitlines() if line.strip()]
    evidence: dict[str, object] = {
        "first_line": lines[0] if lines else None,
        "ending": str(boot.outcome) if boot.outcome is not None else str(boot.failure),
        "calls": boot.calls(),
        "files": boot.files(),
        "seconds": round(firmware.clock.seconds(), 3),
    }
    if firmware.trace.missing:
        evidence["missing"] = dict(firmware.trace.missing.most_common(_SHOWN))
    if boot.failure is not None and not lines:
        boot.failure.where.setdefault("image", image.name)
        raise boot.failure
    if not lines and not _took_over(boot):
        raise GateFailedError("the loader printed nothing", evidence=evidence)
    return evidence


def _took_over(boot: FirmwareBoot) -> bool:
    return boot.outcome is not None and boot.outcome.ending == "boot-services-exited"


def loader_banner(boot: FirmwareBoot) -> Mapping[str, object]:
    """The loader's own calls of ConOut print its banner.

    Leaves open: Whether it speaks the truth: this is text, and a hostile loader prints what it likes.
    """
    text = boot.text()
    found = re.search(boot.plan.banner, text + "\n")
    evidence: dict[str, object] = {
        "ending": str(boot.outcome) if boot.outcome is not None else str(boot.failure),
        "console": [line.rstrip() for line in text.splitlines() if line.strip()][-25:],
    }
    given_up = [match.group().strip() for pattern in boot.plan.failures if (match := re.search(pattern, text + "\n"))]
    if given_up:
        evidence["gave_up"] = given_up
    if found is None:
        raise GateFailedError("the loader did not print its banner", evidence=evidence)
    banner = found.groupdict().get("evidence") or found.group().strip()
    begin = banner.partition("\n")[0][:_BANNER_BEGIN]
    by = [piece.image for piece in boot.firmware.console.printed if begin in piece.text]
    return {"banner": banner, "printed_by": by[0] if by else None, **evidence}


RUNS: Final[Mapping[str, Callable[[FirmwareBoot], Mapping[str, object]]]] = {
    "publish-block-io": publish,
    "connect-controller": connect,
    "sfs-child": sfs_child,
    "load-image": load_image,
    "ufs-root": ufs_root,
    "start-image": start_image,
    "loader-banner": loader_banner,
}
"""What each gate runs. The first paragraph of a docstring is what passing proves, the second what it leaves open."""


def stages() -> list[Stage[FirmwareBoot]]:
    """The stages over one :class:`FirmwareBoot`, in order."""
    return [
        Stage(
            name,
            " ".join(inspect.cleandoc(run.__doc__ or "").split("\n\n")[0].split()),
            run,
            not_applicable=no_root if name == "ufs-root" else None,
        )
        for name, run in RUNS.items()
    ]
