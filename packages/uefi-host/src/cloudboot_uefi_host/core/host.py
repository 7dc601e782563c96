"""What published protocols and the gates need of a firmware, of this package or of others.

:class:`~cloudboot_uefi_host.firmware.Firmware` is one; :mod:`cloudboot_uefi_host.live` drives one in a machine of QEMU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudboot_uefi_host.cpu.architecture import Architecture
    from cloudboot_uefi_host.machine import Machine
    from cloudboot_uefi_host.memory import GuestMemory
    from cloudboot_uefi_host.trace import Trace

    from .access import Access
    from .allocator import Allocator
    from .dialogue import Dialogue
    from .images import Image
    from .publisher import Publisher


class HostHandles(Protocol):
    """The handle database. Protocols are named by the 16 bytes of their GUID."""

    def publish(self, interfaces: Mapping[bytes, int]) -> int:
        """A new handle with these protocols."""

    def install(self, handle: int, protocol: bytes, pointer: int) -> int | None:
        """Add a protocol to a handle; ``None`` if it has the protocol already."""

    def pointer(self, handle: int, protocol: bytes) -> int | None:
        """The address of a protocol of a handle."""

    def with_protocol(self, protocol: bytes) -> list[int]:
        """The handles that have a protocol."""

    def protocols(self, handle: int) -> Iterable[bytes]:
        """The protocols of a handle."""


class HostProtocols(Protocol):
    """Protocol services."""

    def remove(self, handle: int, protocol: bytes, interface: int) -> int:
        """Uninstall a protocol. Gives a status."""


class HostDrivers(Protocol):
    """Driver services."""

    def connect(self, handle: int) -> int:
        """Start every driver that supports a controller, then those of its children. Gives a status."""

    def disconnect(self, handle: int) -> int:
        """Stop the drivers that manage a controller. Gives a status."""

    def children(self, handle: int) -> list[int]:
        """The child controllers that drivers have made on a controller."""


class HostClock(Protocol):
    """The time of a machine."""

    def seconds(self) -> float:
        """Seconds since power on."""


class Host(Protocol):
    """A firmware that takes protocols whose functions are Python's.

    ``problems`` says in words what its drivers met, ``accesses`` what programs did in published file systems.
    """

    @property
    def machine(self) -> Machine:
        """The processor, and what programs call."""

    @property
    def memory(self) -> GuestMemory:
        """The RAM."""

    @property
    def architecture(self) -> Architecture:
        """Which processor it is."""

    @property
    def allocator(self) -> Allocator:
        """Memory for what is published."""

    @property
    def publisher(self) -> Publisher:
        """Writes structures with functions."""

    @property
    def handles(self) -> HostHandles:
        """The handle database."""

    @property
    def protocols(self) -> HostProtocols:
        """Protocol services."""

    @property
    def drivers(self) -> HostDrivers:
        """Driver services."""

    @property
    def clock(self) -> HostClock:
        """The time."""

    @property
    def problems(self) -> list[str]:
        """What drivers met."""

    @property
    def accesses(self) -> list[Access]:
        """What programs read."""

    def path_of(self, handle: int) -> bytes | None:
        """The device path of a handle."""


class HostImages(Protocol):
    """Image services."""

    def load_from(self, path: bytes, *, parent: int) -> Image:
        """Load the image that a device path names.

        Raises:
            ServiceError: LoadImage refused it.
            FormatError: the file is no image for this machine.
        """

    def set_options(self, image: Image, options: bytes) -> None:
        """Set the LoadOptions of an image that has not been started."""

    def start(self, image: Image) -> tuple[int, str]:
        """Run an image until it returns or calls Exit; its status and exit data."""


class BootHost(Host, Protocol):
    """A firmware that boots: what the gates ask for beyond :class:`Host`. ``handle`` is the parent of images."""

    @property
    def handle(self) -> int:
        """The handle on whose behalf images are loaded."""

    @property
    def images(self) -> HostImages:
        """Image services."""

    @property
    def console(self) -> Dialogue:
        """What programs print, and the keys they are given."""

    @property
    def trace(self) -> Trace:
        """Which services were called."""

    def path_text(self, handle: int) -> str:
        """The device path of a handle as text; empty where it has none that can be read."""

    def read_file(self, handle: int, path: str) -> bytes:
        """The content of a file on a handle with a Simple File System; ``path`` has backslashes.

        Raises:
            ServiceError: the file cannot be read, or the handle has no file system.
        """

    def close(self) -> None:
        """Give the machine back."""
