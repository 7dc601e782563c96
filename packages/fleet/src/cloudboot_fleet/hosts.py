"""What a cell's result depends on beside its inputs: the programs of the machine that runs it, each as a short text.

They are part of a cell's digest: with a newer QEMU, another firmware file or an edited checkout the cell is run again.
Which of them count is decided by :func:`names`. What no cell can see from inside counts as well, if it decides what the
cell does: the host's kernel and processor do where KVM runs the guest, and do not where QEMU emulates it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import Error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .matrix.cells import Value
    from .matrix.kinds import Kind

MISSING = "not installed"
_OURS, _SELF = "cloudboot-", "cloudboot-fleet"
_SECONDS = 30.0  # that a program may take to say its version
_REQUIRED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def names(kind: Kind, values: Mapping[str, Value]) -> tuple[str, ...]:
    """The names of what a cell's result depends on, sorted; see :func:`facts` for what each stands for."""
    # This package needs all of the others; of those that it hands a cell to, only the kind's own count.
    found = {"python", _SELF, *closure(tuple(name for name in kind.packages if name != _SELF))}
    architecture = str(values.get("architecture", "amd64"))
    match kind.name:
        case "probe":
            found |= _of_probe(values, architecture)
        case "harvest" | "verify":
            found |= {"cydoomgeneric", "numpy"}
            found |= {f"qemu:{architecture}"} if values.get("guest") else set()
        case "fuzz":
            found |= {"atheris", "hypothesis", "pytest", *_installed()}
    if values.get("recipe", "demo") != "demo":
        found.add("grub-mkimage")
    return tuple(sorted(found))


def _of_probe(values: Mapping[str, Value], architecture: str) -> set[str]:
    from cloudboot_probes.systems import load

    firmware = values.get("firmware") or load(str(values["system"])).firmware
    machine = {f"qemu:{architecture}", f"firmware:{architecture}"}
    if firmware == "hosted":
        return {"unicorn"} if architecture in {"amd64", "arm64", "riscv64"} else {f"qemu:{architecture}"}
    return machine | ({"kernel"} if values.get("accelerator", "tcg") != "tcg" else set())


@functools.cache
def closure(packages: tuple[str, ...]) -> frozenset[str]:
    """This project's distributions that ``packages`` need, themselves included, as far as they are installed."""
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = waiting.pop()
        if name in found or not name.startswith(_OURS):
            continue
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        waiting += [told[0] for text in required if (told := _REQUIRED.match(text)) is not None]
    return frozenset(found)


@functools.cache
def _installed() -> frozenset[str]:
    """Every distribution of this project: a harness may test any of them."""
    found = {str(each.metadata["Name"]).lower() for each in importlib.metadata.distributions()}
    return frozenset(name for name in found if name.startswith(_OURS))


def facts(wanted: Iterable[str]) -> dict[str, str]:
    """What each name stands for on this machine.

    ``python``: the version's first two numbers. ``kernel``: release and processor. ``qemu:ARCHITECTURE``: version and
    digest of the program. ``firmware:ARCHITECTURE``: digests of the file that is executed and of the empty variable
    store. ``grub-mkimage``: its version. Anything else is a distribution: its version, and for an editable install of
    this project the digest of its sources.
    """
    return {name: _fact(name) for name in wanted}


def _fact(name: str) -> str:
    what, _, architecture = name.partition(":")
    if what == "python":
        return ".".join(platform.python_version_tuple()[:2])
    if what == "kernel":
        return f"{platform.release()}, {_processor()}"
    if what == "qemu":
        from cloudboot_qemu.architectures import ARCHITECTURES

        return _program(ARCHITECTURES[architecture].program) if architecture in ARCHITECTURES else MISSING
    if what == "firmware":
        return _firmware(architecture)
    return _program(name) if name == "grub-mkimage" else _distribution(name)


@functools.cache
def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        return MISSING
    row = os.stat(path)
    return _program_version(path, row.st_ino, row.st_size, row.st_mtime_ns)


@functools.lru_cache(64)
def _program_version(path: str, _inode: int, _size: int, _changed: int) -> str:
    """The first line of ``--version`` and the file's digest: a version that was built again is another program."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return f"sha256:{_digest(Path(path))}"
    first = done.stdout.decode("utf-8", "replace").partition("\n")[0].strip()
    return f"{first}, sha256:{_digest(Path(path))}"


def _firmware(architecture: str) -> str:
    from cloudboot_qemu.firmware import find_firmware

    try:
        found = find_firmware(architecture)
    except (Error, ValueError):
        return MISSING
    files = [path for path in (found.executable, found.variables) if path is not None]
    rows = [(path, path.stat()) for path in files]
    return ", ".join(
        f"{path.name} sha256:{_file_digest(path, row.st_ino, row.st_size, row.st_mtime_ns)}" for path, row in rows
    )


@functools.lru_cache(64)
def _file_digest(path: Path, _inode: int, _size: int, _changed: int) -> str:
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def _distribution(name: str) -> str:
    """The version of a distribution; of an editable one also the digest of its sources, once for each process."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return MISSING
    told = json.loads(found.read_text("direct_url.json") or "{}")
    spec = importlib.util.find_spec(name.replace("-", "_")) if name.startswith(_OURS) else None
    if not told.get("dir_info", {}).get("editable") or spec is None or not spec.submodule_search_locations:
        return found.version
    digest = hashlib.sha256()
    folder = Path(spec.submodule_search_locations[0])
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder)}\0{_digest(path)}\n".encode())
    return f"{found.version}, sources sha256:{digest.hexdigest()}"


def difference(expected: Mapping[str, str], actual: Mapping[str, str]) -> str | None:
    """What is not as expected, the first of it, for people."""
    for name, value in expected.items():
        if actual.get(name) != value:
            return f"{name} is {actual.get(name, MISSING)!r}, not {value!r}"
    return None
