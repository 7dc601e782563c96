"""The ``linux`` recipe's parts, out of Debian's own packages: kernel, initial RAM file system, GRUB.

The kernel and GRUB come as they are shipped. The initial RAM file system holds busybox, the modules needed to see a
virtio disk and to mount UFS2, and ``data/init``, which reports what Linux's own ufs driver finds.
"""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base.storage import read_file

from . import debian
from .cpio import initramfs
from .errors import KernelFormatError, PackageMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .recipe import LinuxRecipe

#: A kernel or an initial RAM file system is smaller.
MAX_PART = 1 << 30
MODULES = ("virtio_pci", "virtio_blk", "ufs")
_MODULE_FILES = (*MODULES, "virtio", "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev")
GRUB_MODULES = (
    "boot", "configfile", "echo", "efi_gop", "fat", "linux", "normal", "part_gpt", "search", "search_label", "test",
    "ufs2",
)  # fmt: skip
GRUB_TARGET = "x86_64-efi"
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_RELEASE = re.compile(rb"(\d+\.\d+\S*) \(\S+@\S+\) #")


@dataclass(frozen=True)
class LinuxParts:
    """What goes into the image, and where it came from.

    ``files`` are the other files of the root, by path: the kernel modules that the initial RAM file system loads, and
    the licences of everything that is passed on.
    """

    kernel: bytes
    release: str
    initrd: bytes
    grub_modules: Path
    sources: tuple[dict[str, str], ...]
    files: Mapping[str, bytes]


def gather(own: LinuxRecipe, say: Callable[[str], None] = lambda _: None) -> LinuxParts:
    """The parts, from the recipe's own files where it names them, else out of Debian's packages.

    Those are linux-image-amd64, busybox-static and grub-efi-amd64-bin; only what is needed is fetched.

    Raises:
        PackageMissingError: a package cannot be had, or lacks what it should hold.
        KernelFormatError: the kernel is not a bzImage.
        OSError: a file of the recipe cannot be read.
    """
    sources: list[debian.DebianPackage] = []
    files: dict[str, bytes] = {}

    def package(name: str, licence: str | None = None) -> debian.DebianPackage:
        """A package, which goes among the sources; ``licence`` names the package that brings its licence."""
        found = debian.fetch(name, say)
        sources.append(found)
        brings = debian.fetch(licence, say) if licence else found
        text = _one(brings, r"usr/share/doc/[^/]+/copyright", "copyright").read_bytes()
        files[f"usr/share/doc/{brings.name}/copyright"] = text
        return found

    kernel, initrd, grub_modules = own.kernel, own.initrd, own.grub_modules
    image = None
    needed = ["linux-image-amd64"] if kernel is None or initrd is None else []
    needed += ["busybox-static"] if initrd is None else []
    needed += ["grub-efi-amd64-bin", "grub-common"] if grub_modules is None else []
    if needed:
        debian.ask(*needed)
    if kernel is None or initrd is None:
        image = package(debian.dependency("linux-image-amd64", r"linux-image-\d\S+"))
    if kernel is None and image is not None:
        kernel = _one(image, r"boot/vmlinuz-.*", "vmlinuz-*")
    data = read_file(kernel, MAX_PART) if kernel is not None else b""
    if initrd is None and image is not None:
        program = _one(package("busybox-static"), r"(usr/)?bin/busybox", "busybox").read_bytes()
        modules = debian.extract(image, rf".*/kernel/.*/({'|'.join(_MODULE_FILES)})\.ko(\.xz|\.gz)?")
        paths = sorted(modules.rglob("*.ko*"))
        archive = make_initrd(program, {path.name.split(".")[0]: _uncompressed(path) for path in paths})
        files |= {f"lib/modules/{str(path).partition('/lib/modules/')[2]}": path.read_bytes() for path in paths}
    else:
        archive = read_file(initrd, MAX_PART) if initrd is not None else b""
    if grub_modules is None:
        folder = f"usr/lib/grub/{GRUB_TARGET}"
        grub_modules = debian.extract(package("grub-efi-amd64-bin", "grub-common"), rf"{folder}/.*") / folder
    return LinuxParts(data, release_of(data), archive, grub_modules, tuple(found.as_dict() for found in sources), files)


def _one(package: debian.DebianPackage, wanted: str, name: str) -> Path:
    found = list(debian.extract(package, wanted).rglob(name))
    if len(found) != 1:
        raise PackageMissingError(f"{package.name} {package.version} holds {len(found)} files like {wanted}, not one")
    return found[0]


def _uncompressed(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    return gzip.decompress(data) if path.suffix == ".gz" else data


def release_of(kernel: bytes) -> str:
    """The release a bzImage states in its header ("6.1.0-56-amd64").

    Source: Linux, Documentation/arch/x86/boot.rst, ``kernel_version`` (offset 0x20E, relative to 0x200).

    Raises:
        KernelFormatError: not a bzImage.
    """
    at = int.from_bytes(kernel[0x20E:0x210], "little") + 0x200
    found = _RELEASE.match(kernel[at : at + 256])
    if kernel[0x202:0x206] != b"HdrS" or found is None:
        raise KernelFormatError(
            "the kernel is not a bzImage: no HdrS header at 0x202", hint="give a vmlinuz as distributions ship it"
        )
    return found.group(1).decode()


def make_initrd(busybox: bytes, modules: dict[str, bytes]) -> bytes:
    """The archive the kernel unpacks: busybox, ``init``, the modules and the order to load them in."""
    order = load_order(MODULES, modules)
    init = resources.files(__package__).joinpath("data", "init").read_bytes()
    files = {"init": (0o755, init), "bin/busybox": (0o755, busybox)}
    files["modules/order"] = (0o644, "".join(f"{name}\n" for name in order).encode())
    files |= {f"modules/{name}.ko": (0o644, modules[name]) for name in order}
    return initramfs(files)


def load_order(wanted: Iterable[str], modules: dict[str, bytes]) -> list[str]:
    """``wanted`` and what they depend on, each after its dependencies, as the modules' own ``.modinfo`` states them.

    Raises:
        PackageMissingError: a module is not among ``modules``.
    """
    order: list[str] = []

    def visit(name: str, via: tuple[str, ...]) -> None:
        if name in order or name in via:
            return
        if name not in modules:
            raise PackageMissingError(
                f"the kernel package has no module {name}, needed by {' -> '.join(via) or 'the recipe'}"
            )
        found = _DEPENDS.search(modules[name])
        for other in found.group(1).decode().split(",") if found else []:
            if other:
                visit(other.replace("-", "_"), (*via, name))
        order.append(name)

    for name in wanted:
        visit(name, ())
    return order


def make_loader(grub_modules: Path, label: str) -> bytes:
    """An EFI GRUB that looks for the file system labelled ``label`` and goes on with the configuration there.

    Raises:
        PackageMissingError: ``grub-mkimage`` is not installed, or a module is missing.
    """
    program = shutil.which("grub-mkimage")
    if program is None:
        raise PackageMissingError("grub-mkimage is not installed", hint="install the Debian package grub-common")
    with tempfile.TemporaryDirectory() as scratch:
        early, output = Path(scratch) / "early.cfg", Path(scratch) / "BOOTX64.EFI"
        early.write_text(_text("early.cfg").replace("@LABEL@", label))
        done = subprocess.run(
            [program, "--format", GRUB_TARGET, "--directory", grub_modules, "--config", early, "--prefix", "/boot/grub",
             "--output", output, *GRUB_MODULES],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise PackageMissingError(f"grub-mkimage failed: {done.stderr.strip()}", hint="install grub-efi-amd64-bin")
        return output.read_bytes()


def grub_configuration(partition_name: str, arguments: str) -> bytes:
    """The ``/boot/grub/grub.cfg`` that boots the kernel and tells ``init`` which partition to mount."""
    text = _text("grub.cfg").replace("@PARTITION@", partition_name).replace("@ARGUMENTS@", arguments)
    return text.encode()


def _text(name: str) -> str:
    return resources.files(__package__).joinpath("data", name).read_text(encoding="utf-8")
