"""What the stages of one probe share."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from cloudboot_base import GateFailedError

from .boot import Boot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudboot_oci_stream import Access, Image, Kernel, KernelLayers, OciError, Policy, RetryPolicy
    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_probes.blockmap import BlockMap
    from cloudboot_probes.disk import Disk
    from cloudboot_probes.systems import System
    from cloudboot_uefi_abi.variables import Variable

    from .boot import Session


T = TypeVar("T")

_TIMEOUT, _TIMEOUT_PER_ENTRY = 300.0, 0.02


@dataclass(frozen=True)
class ProbeOptions:
    """How to probe. ``timeout`` is in seconds from power-on to the last gate, ``memory`` in bytes.

    Without a ``timeout`` there are 300 s, and 20 ms more for each entry that the image's manifest lists.
    ``policy`` says whose signatures the image needs; without one, none is looked at. ``deadline`` ends what is asked of
    the registry, ``retry`` says how often a transfer may break. With ``trace`` a session's boot has logs as files.
    ``variables`` are what the hosted firmware has stored before the boot.
    """

    architecture: str = "amd64"
    accelerator: Literal["tcg", "kvm", "auto"] = "tcg"
    memory: int = 1 << 30
    timeout: float | None = None
    access: Access | None = None
    deadline: Deadline | None = None
    retry: RetryPolicy | None = None
    policy: Policy | None = None
    progress: Callable[[int, int], None] | None = None
    trace: bool = False
    variables: Sequence[Variable] = ()


@dataclass
class Probe:
    """One probe, while it runs: each stage finds here what the ones before it left.

    ``nonce`` is a number that this probe alone knows: what runs in the machine has to say it. Leaving the ``with``
    block ends the machine and gives the image's memory back. ``file`` is the path of an image that was a file, and is
    at ``reference`` for this probe alone.
    """

    system: System
    reference: str
    options: ProbeOptions = field(default_factory=ProbeOptions)
    started: float = field(default_factory=time.monotonic)
    marks: dict[str, float] = field(default_factory=dict)
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    notices: list[str] = field(default_factory=list)
    file: str | None = None

    def __post_init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._pinned: str | None = None
        self._image: Image | None = None
        self._kernel: Kernel | None = None
        self._disk: Disk | None = None
        self.kernel_layers: KernelLayers | None = None
        self._map: BlockMap | None = None
        self._session: Session | None = None
        self.damage: OciError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def shown(self) -> str:
        """What the user calls the image."""
        return self.file or self.reference

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
    def kernel(self) -> Kernel:
        """The fetched kernel of an artifact that is no disk image; ``kernel_layers`` says whether it is one."""
        return _there(self._kernel, "fetch")

    @kernel.setter
    def kernel(self, kernel: Kernel) -> None:
        self._kernel = self._stack.enter_context(kernel)

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
    def session(self) -> Session:
        """The boot that the firmware's first stage began."""
        return _there(self._session, "publish-block-io")

    @session.setter
    def session(self, session: Session) -> None:
        # Begun last, ended first: a machine goes before the memory its disk is in.
        self._session = session
        self._stack.callback(session.close)

    @property
    def time_limit(self) -> float:
        """Seconds from power-on to the last gate."""
        if self.options.timeout is not None:
            return self.options.timeout
        manifest = self._disk.manifest if self._disk is not None else None
        return _TIMEOUT + _TIMEOUT_PER_ENTRY * (len(manifest.root) if manifest is not None else 0)

    @property
    def booted(self) -> bool:
        """Whether a boot was begun."""
        return self._session is not None

    def boot(self) -> Boot:
        """What the boot left behind so far; an empty one where there was none."""
        return Boot() if self._session is None else self._session.boot()


def _there(value: T | None, stage: str) -> T:
    if value is None:
        raise GateFailedError(f"the stage {stage} has not run")
    return value
