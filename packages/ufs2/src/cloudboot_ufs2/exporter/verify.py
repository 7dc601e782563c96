"""Whether FreeBSD would boot from a file system, as far as reading it can tell."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

from cloudboot_base import Finding
from cloudboot_base.lightdata import dataclass
from cloudboot_ufs2 import errors
from cloudboot_ufs2.errors import Ufs2Error

if TYPE_CHECKING:
    from cloudboot_ufs2.reader.reader import UFS2

KERNEL, LOADER_CONF = "/boot/kernel/kernel", "/boot/loader.conf"
_DEFAULTS = "/boot/defaults/loader.conf"
_CHUNK = 1 << 20
_ELF = b"\x7fELF"
_ELF_EXECUTABLE = (2, 3)  # ET_EXEC, and ET_DYN for kernels that can be moved
_MAX_CONFIGURATION = 1 << 20
# loader.conf(5): name="value" or name=value, or exec="command"; a comment runs to the end of the line.
_ASSIGNMENT = rb"""\s*[\w.-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s"#]*)\s*(?:\#.*)?"""
_EMPTY = rb"\s*(?:#.*)?"


@dataclass(frozen=True, slots=True)
class Verification:
    """What was seen, and what was found wrong."""

    facts: dict[str, object]
    findings: list[Finding]


def verify(volume: UFS2, *, require_kernel: bool = True, require_loader_conf: bool = True) -> Verification:
    """Read the kernel from end to end and parse /boot/loader.conf; what is wrong, damage included, is a finding."""
    facts: dict[str, object] = {
        "block_size": volume.geometry.block_size,
        "fragment_size": volume.geometry.fragment_size,
        "groups": volume.geometry.group_count,
        "label": volume.label,
    }
    findings: list[Finding] = []
    try:
        _root(volume, findings)
        _kernel(volume, facts, findings, required=require_kernel)
        _configuration(volume, facts, findings, required=require_loader_conf)
    except Ufs2Error as error:
        findings.append(
            Finding(
                "damaged", error.message, structure=error.structure, field=error.field, offset=error.offset,
                expected=error.expected, actual=error.actual,
            )
        )  # fmt: skip
    return Verification(facts, findings)


def _root(volume: UFS2, findings: list[Finding]) -> None:
    """What the loader looks for when it chooses a file system to boot from."""
    if not any(volume.exists(path) for path in (_DEFAULTS, LOADER_CONF, KERNEL)):
        findings.append(Finding("not-a-root", f"the loader chooses what has {_DEFAULTS}, {LOADER_CONF} or {KERNEL}"))


def _kernel(volume: UFS2, facts: dict[str, object], findings: list[Finding], *, required: bool) -> None:
    where = {"path": KERNEL}
    try:
        status = volume.stat(KERNEL)
    except (errors.FileNotFoundError, errors.NotADirectoryError):
        if required:
            findings.append(Finding("kernel-missing", "no kernel", where=where))
        return
    facts["kernel_modules"] = sum(name.endswith(".ko") for name in volume.listdir("/boot/kernel"))
    facts["kernel_size"], facts["kernel_mode"] = status.st_size, stat.filemode(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        findings.append(Finding("kernel-type", "not a regular file", actual=facts["kernel_mode"], where=where))
        return
    with volume.open_file(KERNEL) as file:
        head = file.read_at(0, 20)
        order = "big" if head[5:6] == b"\2" else "little"
        kind = int.from_bytes(head[16:18], "big" if order == "big" else "little")
        if head[:4] != _ELF or kind not in _ELF_EXECUTABLE:
            findings.append(Finding("kernel-not-elf", "not an ELF executable", expected=_ELF, actual=head, where=where))
        buffer = bytearray(_CHUNK)
        if status.st_size <= volume.size:
            while file.readinto(buffer):
                pass
        else:
            findings.append(Finding("kernel-size", "larger than the file system", actual=status.st_size, where=where))


def _configuration(volume: UFS2, facts: dict[str, object], findings: list[Finding], *, required: bool) -> None:
    where = {"path": LOADER_CONF}
    try:
        data = volume.read_file(LOADER_CONF, limit=_MAX_CONFIGURATION)
    except (errors.FileNotFoundError, errors.NotADirectoryError):
        if required:
            findings.append(Finding("loader-conf-missing", "no loader.conf", where=where))
        return
    lines = data.splitlines()
    facts["loader_conf_size"] = len(data)
    facts["loader_conf_first_line"] = lines[0].decode("utf-8", "backslashreplace") if lines else ""
    for number, line in enumerate(lines, 1):
        if not re.fullmatch(_EMPTY, line) and not re.fullmatch(_ASSIGNMENT, line):
            findings.append(
                Finding("loader-conf-syntax", 'not name="value"', actual=line, where={**where, "line": number})
            )
