"""What is worth taking out of an image, by name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cloudboot_base.lightdata import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from cloudboot_vfs import Stat

LOADER_CONF = "boot/loader.conf"


@dataclass(frozen=True, slots=True)
class Preset:
    """Paths without a leading slash, in the patterns of :mod:`fnmatch`; ``*`` also matches slashes."""

    patterns: tuple[str, ...]
    required: tuple[str, ...] = ()
    loader_conf: bool = False  #: whether a /boot/loader.conf is made where there is none

    def wants(self, path: str) -> bool:
        """Whether ``path`` is one of those."""
        return any(fnmatchcase(path, pattern) for pattern in self.patterns)

    def roots(self) -> list[str]:
        """The folders below which everything is that is wanted, none inside another."""
        found = sorted({_literal(pattern) for pattern in self.patterns})
        return [root for root in found if not any(root != other and _inside(root, other) for other in found)]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What goes into an archive."""

    path: str
    inode: int
    status: Stat


def _literal(pattern: str) -> str:
    """The folders a pattern begins with, up to the first one with a wildcard."""
    parts: list[str] = []
    for part in pattern.split("/")[:-1]:
        if any(character in part for character in "*?["):
            break
        parts.append(part)
    return "/".join(parts)


def _inside(path: str, folder: str) -> bool:
    return not folder or path.startswith(folder + "/")


#: What FreeBSD's loader reads, and the kernel with the drivers of a virtual machine. Not /boot/entropy: it is a secret.
FREEBSD_BOOT = Preset(
    patterns=(
        "boot/kernel/kernel",
        "boot/kernel/linker.hints",
        "boot/kernel/virtio*.ko",
        "boot/kernel/if_vtnet.ko",
        "boot/loader*.efi",
        "boot/loader",
        "boot/loader.rc",
        "boot/loader.help*",
        LOADER_CONF,
        "boot/loader.conf.d/*",
        "boot/loader.conf.lua",
        "boot/device.hints",
        "boot/defaults/*",
        "boot/lua/*",
        "boot/*.4th",
        "boot/menu*.rc",
        "boot/fonts/*",
        "boot/images/*",
    ),
    required=("boot/kernel/kernel",),
    loader_conf=True,
)
PRESETS = {"freebsd-boot": FREEBSD_BOOT}

_CONSOLE = (
    'autoboot_delay="3"',
    'boot_multicons="YES"',
    'boot_serial="YES"',
    'comconsole_speed="115200"',
    'console="comconsole,efi"',
)


def loader_conf(paths: Collection[str]) -> bytes:
    """A /boot/loader.conf for an image that has none: a console on the serial port, and the modules among ``paths``."""
    lines = ["# Made by cloudboot_ufs2 extract: the image had no /boot/loader.conf.", *_CONSOLE]
    lines.extend(f'{module}_load="YES"' for module in modules(paths))
    return ("\n".join(lines) + "\n").encode()


def modules(paths: Collection[str]) -> Sequence[str]:
    """The kernel modules among ``paths``."""
    prefix, suffix = "boot/kernel/", ".ko"
    return sorted(
        path[len(prefix) : -len(suffix)] for path in paths if path.startswith(prefix) and path.endswith(suffix)
    )
