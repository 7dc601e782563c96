"""What a firmware has to be for a probe: stages under common names, and a session that knows what was seen.

The gates have the same names whatever boots the image, so that two runs can be laid side by side. A firmware that
cannot prove one of them says why (``not-applicable``); none is ever missing.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Protocol

from cloudboot_base import UsageError
from cloudboot_base.parser import suggestion

if TYPE_CHECKING:
    from cloudboot_base.gates import Stage
    from cloudboot_probes.systems import System

    from .context import Probe

#: The gates before anything boots.
IMAGE_GATES = ("resolve", "fetch", "verify", "header")
#: The gates of every firmware, in order; what the system adds follows.
BOOT_GATES = (
    "publish-block-io", "connect-controller", "sfs-child", "load-image", "ufs-root", "start-image", "loader-banner",
)  # fmt: skip
#: What systems add; the data of each names which.
SYSTEM_GATES = (
    "kernel-banner", "root-mounted",
    "boot-manager", "boot-store", "boot-device", "windows-volume", "os-loader", "kernel-files", "requirements",
    "boot-verdict",
)  # fmt: skip


class Firmware(Protocol):
    """Something that boots a verified disk image: real firmware in a machine, or a UEFI in this process."""

    @property
    def name(self) -> str:
        """What ``--firmware`` calls it."""
        ...

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        ...

    def stages(self, system: System) -> list[Stage[Probe]]:
        """A stage for each of ``BOOT_GATES`` and then for each of ``system.gates``, in that order.

        The first of them starts a :class:`Session` and leaves it in ``probe.session``, which closes it.
        """
        ...


#: Where each firmware is; imported when it is asked for, because each needs packages of its own.
FIRMWARE = {
    "hosted": "cloudboot_probes.probe.hosted:FIRMWARE",
    "ovmf": "cloudboot_probes.probe.ovmf:FIRMWARE",
    "qemu": "cloudboot_probes.probe.qemu:FIRMWARE",
}


def firmware_named(name: str) -> Firmware:
    """The firmware ``--firmware NAME`` means.

    Raises:
        UsageError: there is no firmware of that name.
    """
    if name not in FIRMWARE:
        raise UsageError(
            f"no firmware is called {name!r}",
            hint=suggestion(name, list(FIRMWARE)) or f"there are: {', '.join(FIRMWARE)}",
        )
    module, _, attribute = FIRMWARE[name].partition(":")
    found: Firmware = getattr(importlib.import_module(module), attribute)
    return found


def firmwares_named(names: str) -> list[str]:
    """The names in ``--firmware NAME,NAME``, each once.

    Raises:
        UsageError: there is no firmware of that name.
    """
    found = list(dict.fromkeys(names.split(",")))
    for name in found:
        firmware_named(name)
    return found


def default_firmware(system: System) -> str:
    """The firmware a probe of ``system`` takes when none is named: the system's own choice, if that is there."""
    if system.firmware == "hosted" and importlib.util.find_spec("unicorn") is None:
        return "qemu"  # the extra [unicorn] is not installed
    return system.firmware if system.firmware in FIRMWARE else "qemu"
