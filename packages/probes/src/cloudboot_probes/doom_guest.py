"""A guest that runs free: Debian's kernel, X server and chocolate-doom in an initial RAM file system.

Its frames reach virtio-gpu through Linux's own driver, keys come through virtio-keyboard, and the clock is the wall's.
So its captures are what the tolerant gates of cloudboot-doom-oracle are for. The packages are fetched and verified by
apt, and nothing of them is installed. Debian's kernel is built without virtio-sound, so the sound card is an AC97.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from . import debian, linux
from .cpio import initramfs
from .errors import PackageMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cloudboot_doom_oracle import Wad
    from cloudboot_qemu import Machine

_LIBRARIES: Final = "lib/x86_64-linux-gnu"
#: Programs, and libraries that SDL opens by name, with their dependencies.
_PACKAGES: Final = (
    "chocolate-doom", "xserver-xorg-core", "xserver-xorg-input-evdev", "x11-xkb-utils", "xkb-data", "libasound2-data",
    "busybox-static", "libxcursor1", "libxi6", "libxrandr2", "libxss1", "libxfixes3", "libgl1", "libegl1", "libglx0",
    "libgcc-s1", "libdb5.3",
)  # fmt: skip
_OPENED: Final = ("libX11.so.6", "libXext.so.6", "libXcursor.so.1", "libXi.so.6", "libXrandr.so.2", "libXss.so.1",
                  "libXfixes.so.3", "libgcc_s.so.1", "libXrender.so.1")  # fmt: skip
#: Dependencies of packages that no program here loads: installers, udev's daemon, Mesa's drivers.
_LEFT_OUT: Final = frozenset(
    {
        "adduser", "cpp", "debconf", "dpkg", "gcc-12-base", "install-info", "keyboard-configuration", "libegl-mesa0",
        "libgl1-mesa-dri", "libglx-mesa0", "libllvm15", "libxaw7", "lsb-base", "opl3-soundfont", "passwd", "perl-base",
        "sysvinit-utils", "tar", "udev", "x11-common", "xserver-common",
    }
)  # fmt: skip
_PROGRAMS: Final = {
    "usr/bin/chocolate-doom": ("chocolate-doom", "usr/games/chocolate-doom"),
    "usr/bin/Xorg": ("xserver-xorg-core", "usr/lib/xorg/Xorg"),
    "usr/bin/xkbcomp": ("x11-xkb-utils", "usr/bin/xkbcomp"),
    "bin/busybox": ("busybox-static", "bin/busybox"),
}
_DRIVERS: Final = (
    ("xserver-xorg-core", "drivers/modesetting_drv.so"), ("xserver-xorg-core", "libshadow.so"),
    ("xserver-xorg-core", "libfbdevhw.so"), ("xserver-xorg-core", "libexa.so"), ("xserver-xorg-core", "libwfb.so"),
    ("xserver-xorg-input-evdev", "input/evdev_drv.so"),
)  # fmt: skip
_MODULES: Final = ("virtio_pci", "virtio_gpu", "virtio_input", "evdev", "snd_intel8x0")
_MODULE_FILES: Final = r".*/kernel/(drivers/(virtio|gpu/drm|input|video|i2c|dma-buf)|sound)/.*\.ko|boot/vmlinuz.*"
_MEMORY: Final = 1 << 30
_START_SECONDS: Final = 600.0
_LOOK: Final = 0.25


@dataclass(frozen=True)
class GuestParts:
    """A kernel and an initial RAM file system, and the packages they were made of."""

    kernel: bytes
    initrd: bytes
    sources: tuple[debian.DebianPackage, ...]


def gather(wad: Wad, say: Callable[[str], None] = lambda _: None) -> GuestParts:
    """The guest with a WAD in it.

    Raises:
        PackageMissingError: a package cannot be had, or lacks what it should hold.
    """
    packages = debian.fetch_all([*_closure(_PACKAGES), _kernel_package()], say)
    folders = {package.name: debian.extract(package, ".*") for package in packages[:-1]}
    files = _programs(folders)
    for name, below in (("xkb-data", "usr/share/X11/xkb"), ("libasound2-data", "usr/share/alsa")):
        for path in sorted((folders[name] / below).rglob("*")):
            if path.is_file():
                files[str(path.relative_to(folders[name]))] = (0o644, path.read_bytes())
    kernel = debian.extract(packages[-1], _MODULE_FILES)
    modules = {path.stem.replace("-", "_"): path.read_bytes() for path in kernel.rglob("*.ko")}
    order = linux.load_order(_MODULES, modules)
    files |= {f"modules/{name}.ko": (0o644, modules[name]) for name in order}
    files["modules/order"] = (0o644, "".join(f"{name}\n" for name in order).encode())
    data = resources.files(__package__).joinpath("data", "doom")
    files["init"] = (0o755, data.joinpath("init").read_bytes())
    files["etc/X11/xorg.conf"] = (0o644, data.joinpath("xorg.conf").read_bytes())
    files["root/game.cfg"] = (0o644, data.joinpath("game.cfg").read_bytes())
    files["etc/passwd"] = (0o644, b"root:x:0:0:root:/root:/bin/sh\n")
    files["doom.wad"] = (0o644, wad.data)
    image = next(iter(kernel.rglob("vmlinuz*")), None)
    if image is None:
        raise PackageMissingError(f"{packages[-1].name} holds no kernel")
    return GuestParts(image.read_bytes(), initramfs(files), tuple(packages))


def _kernel_package() -> str:
    return debian.dependency("linux-image-amd64", r"linux-image-\d\S+")


def _closure(roots: Sequence[str]) -> list[str]:
    """The packages and what they depend on, the first alternative of each dependency; asked for in rounds."""
    found: dict[str, dict[str, str]] = {}
    asked: set[str] = set(_LEFT_OUT)
    due = set(roots)
    while due:
        asked |= due
        known = debian.known(due)
        found |= known
        due = {name for fields in known.values() for name in _dependencies(fields)} - asked
    return sorted(found)


def _dependencies(fields: dict[str, str]) -> Iterator[str]:
    for part in ", ".join(fields.get(name, "") for name in ("Depends", "Pre-Depends")).split(","):
        found = re.match(r"\s*([a-z0-9][a-z0-9.+-]+)", part)
        if found is not None:
            yield found[1]


def _programs(folders: dict[str, Path]) -> dict[str, tuple[int, bytes]]:
    """Programs and drivers, with every library that one of them names."""
    libraries: dict[str, Path] = {}
    for folder in folders.values():
        for path in sorted(folder.rglob("*.so*")):
            soname = _dynamic(path)[0] if path.is_file() else None
            if soname is not None:
                libraries.setdefault(soname, path)
    placed = {to: folders[name] / path for to, (name, path) in _PROGRAMS.items()}
    modules = "usr/lib/xorg/modules"
    placed |= {f"{modules}/{path}": folders[name] / modules / path for name, path in _DRIVERS}
    due = [needed for path in placed.values() for needed in _dynamic(path)[1]] + list(_OPENED)
    while due:
        soname = due.pop()
        to = f"{'lib64' if soname.startswith('ld-linux') else _LIBRARIES}/{soname}"
        if to in placed:
            continue
        if soname not in libraries:
            raise PackageMissingError(f"no package of the guest holds {soname}")
        placed[to] = libraries[soname]
        due += _dynamic(libraries[soname])[1]
    return {to: (0o755, path.read_bytes()) for to, path in placed.items()}


def _dynamic(path: Path) -> tuple[str | None, list[str]]:
    """The library's own name, and those of the libraries that it needs."""
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return None, []
        file.seek(0)
        section = ELFFile(file).get_section_by_name(".dynamic")
        tags = list(section.iter_tags()) if isinstance(section, DynamicSection) else []
        names = {kind: [vars(tag)[kind] for tag in tags if kind in vars(tag)] for kind in ("soname", "needed")}
        return next(iter(names["soname"]), None), names["needed"]


def qemu_arguments(kernel: Path, initrd: Path, sound: Path) -> list[str]:
    """What the machine has beside its board: the kernel, virtio gpu and keyboard, and a sound card into a file."""
    return [
        *("-device", "virtio-gpu-pci,id=gpu0,xres=1280,yres=800", "-device", "virtio-keyboard-pci"),
        *("-audiodev", f"wav,id=s0,path={str(sound).replace(',', ',,')}", "-device", "AC97,audiodev=s0"),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", "console=ttyS0 quiet panic=-1"),
    ]


class Play:
    """The game in a machine. Time begins when its first picture is on the display."""

    def __init__(self, machine: Machine) -> None:
        """Wait for the first picture.

        Raises:
            ExpectTimeoutError: it does not appear in time.
            MachineEndedError: the guest ended before.
        """
        from cloudboot_doom_oracle.gates.host import HostClock
        from cloudboot_doom_oracle.gates.tolerant import canvas_of
        from cloudboot_doom_oracle.oracle.files import read_ppm
        from cloudboot_qemu import ExpectTimeoutError

        self._machine = machine
        machine.expect(b"cloudboot: display", _START_SECONDS, awaited="the guest's X server")
        deadline = time.monotonic() + _START_SECONDS
        while not canvas_of(read_ppm(machine.screendump("ppm"), "screendump")).any():
            if time.monotonic() > deadline:
                text = machine.transcript.text.decode("utf-8", "replace")
                raise ExpectTimeoutError("a picture of the game", seconds=_START_SECONDS, tail=text)
            time.sleep(_LOOK)
        self._begin = time.monotonic()
        self.host = HostClock(machine.pid)
        """What the machine gets of the host from the first picture on."""

    def at(self, seconds: float) -> bytes:
        """A screendump so many seconds after the first picture, as PPM."""
        due = self._begin + seconds
        time.sleep(max(0.0, due - time.monotonic()))
        picture = self._machine.screendump("ppm")
        self.host.captured(time.monotonic() - due)
        return picture
