"""Which Windows it is, and what that demands: Secure Boot, TPM, processor. From the SOFTWARE hive and the programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cloudboot_base import FormatError
from cloudboot_ntfs.errors import KeyNotFoundError
from cloudboot_probes.errors import WindowsBootError
from cloudboot_uefi_abi.pe import PEImage, certificates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_ntfs.registry import Hive

    from .examination import Examination

#: Builds with which a demand begins (Microsoft, "Windows 11 requirements"; 26100 is version 24H2).
_WINDOWS_10, _WINDOWS_11, _WINDOWS_11_24H2 = 10240, 22000, 26100
_KEY: Final = "Microsoft\\Windows NT\\CurrentVersion"


def requirements_of(found: Examination) -> Mapping[str, object]:
    """The facts of the installation and of its demands.

    Raises:
        WindowsBootError: the volume has no SOFTWARE hive, or one that does not say which Windows it is.
    """
    path = f"{found.system_root}/System32/config/SOFTWARE"
    hive = found.hive(path)
    product, edition = _text(hive, "ProductName"), _text(hive, "EditionID")
    build = _text(hive, "CurrentBuildNumber") or _text(hive, "CurrentBuild")
    if build is None or not (build.isascii() and build.isdigit()):
        raise WindowsBootError(f"{path} does not say which build of Windows it is", file=path.replace("/", "\\"))
    number = int(build)
    return {
        "product": f"{product or 'Windows'}, build {number}",
        "edition": edition,
        "generation": _generation(number, edition),
        "secure_boot": _secure_boot(found, number),
        "tpm": "setup demands a TPM 2.0; a start needs none" if number >= _WINDOWS_11 else "none is needed",
        "processor": "SSE4.2 and POPCNT are needed" if number >= _WINDOWS_11_24H2 and found.architecture == "amd64"
        else "any of the architecture",
    }  # fmt: skip


def _text(hive: Hive, name: str) -> str | None:
    try:
        value = hive.key(_KEY).value(name).decoded
    except (KeyNotFoundError, FormatError):
        return None
    return value if isinstance(value, str) else None


def _generation(build: int, edition: str | None) -> str:
    name = "11" if build >= _WINDOWS_11 else "10" if build >= _WINDOWS_10 else "before 10"
    long_term = edition is not None and edition.casefold().endswith("s") and "enterprise" in edition.casefold()
    return f"Windows {name}{' LTSC' if long_term else ''}"


def _secure_boot(found: Examination, build: int) -> str:
    """Whether the programs could start with Secure Boot on, and whether this Windows wants it."""
    unsigned = []
    for name, data in (
        ("boot manager", found.boot_manager),
        ("loader", found.program(found.loader_path.replace("\\", "/"))),
    ):
        if not certificates(PEImage.parse(data)):
            unsigned.append(name)
    wanted = "setup demands firmware that has it; a start does not need it" if build >= _WINDOWS_11 else "not needed"
    if unsigned:
        return f"{wanted}; it has to be off: not signed: {', '.join(unsigned)}"
    return f"{wanted}; boot manager and loader are signed"
