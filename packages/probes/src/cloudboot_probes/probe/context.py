"""What the stages of one probe share."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from cloudboot_base import GateFailedError
from cloudboot_probes.blockmap import BlockMap, Read
from cloudboot_qemu import QemuError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudboot_oci_stream import Access, Image, OciError, Policy
    from cloudboot_probes.disk import Disk
    from cloudboot_probes.systems import System
    from cloudboot_qemu import Machine


T = TypeVar("T")


@dataclass(frozen=True)
class ProbeOptions:
    """How to probe. ``timeout`` is in seconds from power-on to the last gate, ``memory`` in bytes.

    ``policy`` says whose signatures the image needs; without one, none is looked at.
    """

    architecture: str = "amd64"
    accelerator: Literal["tcg", "kvm", "auto"] = "tcg"
    memory: int = 1 << 30
    timeout: float = 300.0
    access: Access | None = None
    policy: Policy | None = None
    progress: Callable[[int, int], None] | None = None


@dataclass
class Probe:
    """One probe, while it runs: each stage finds here what the ones before it left.

    Leaving the ``with`` block ends the machine and gives the image's memory back.
    """

    system: System
    reference: str
    options: ProbeOptions = field(default_factory=ProbeOptions)
    started: float = field(default_factory=time.monotonic)
    marks: dict[str, float] = field(default_factory=dict)
    screenshot: bytes | None = None

    def __post_init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._pinned: str | None = None
        self._image: Image | None = None
        self._disk: Disk | None = None
        self._map: BlockMap | None = None
        self._machine: Machine | None = None
        self.damage: OciError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def pinned(self) -> str:
        """The reference with the digest it resolved to, so that nothing can change it between two stages."""
        return _there(self._pinned, "resolve")

    @pinned.setter
    def pinned(self, reference: str) -> None:
        self._pinned = reference

    @property
    def image(self) -> Image:
        """The fetched image."""
        return _there(self._image, "fetch")

    @image.setter
    def image(self, image: Image) -> None:
        self._image = self._stack.enter_context(image)

    @property
    def disk(self) -> Disk:
        """The image as a disk."""
        return _there(self._disk, "header")

    @disk.setter
    def disk(self, disk: Disk) -> None:
        self._disk = disk
        self._map = disk.block_map()

    @property
    def block_map(self) -> BlockMap:
        """Whose bytes are where on the disk."""
        return _there(self._map, "header")

    @property
    def machine(self) -> Machine:
        """The machine that boots the image."""
        return _there(self._machine, "publish")

    @machine.setter
    def machine(self, machine: Machine) -> None:
        # Entered last, left first: the machine goes before the memory its disk is in.
        self._machine = self._stack.enter_context(machine)

    @property
    def booted(self) -> bool:
        """Whether there is a machine."""
        return self._machine is not None

    def reads(self) -> list[Read]:
        """What the machine has read from the disk so far."""
        return [
            Read(access.time, access.lba * 512, (access.lba + access.sectors) * 512)
            for access in self.machine.block_trace()
            if not access.write
        ]

    def take_screenshot(self) -> None:
        """Keep a picture of the screen as it is, if the machine still has one."""
        if self._machine is not None:
            with contextlib.suppress(QemuError):
                self.screenshot = self._machine.screendump()

    def remaining(self) -> float:
        """Seconds left until the probe's timeout."""
        return max(1.0, self.options.timeout - self.machine.elapsed)


def _there(value: T | None, stage: str) -> T:
    if value is None:
        raise GateFailedError(f"the stage {stage} has not run")
    return value
