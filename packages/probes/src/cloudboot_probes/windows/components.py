"""The components of Windows' boot as stages over one disk: which of them are there, and where the boot would stop.

Each passes on what it saw, or fails with the status code that the boot manager or Windows' loader shows. The stages of
one disk do not end with the first failure: what does not depend on it is examined, too.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final

from cloudboot_base import Error
from cloudboot_base.gates import Gate, Stage, Verdict, run_stages
from cloudboot_ntfs import NTFS
from cloudboot_ntfs import check as check_ntfs
from cloudboot_ntfs.bcd.devices import to_text
from cloudboot_ntfs.bcd.store import object_text
from cloudboot_probes.errors import WindowsBootError
from cloudboot_uefi_host.volumes import OpenFileStorage

from . import paths
from .drivers import boot_drivers, control_set
from .programs import examine_program
from .requirements import requirements_of
from .status import Status, status_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cloudboot_base import Finding

    from .examination import Examination

_SHOWN: Final = 20
_HIBERNATION: Final = "/hiberfil.sys"
#: What follows from a finding that says that the volume was in use, and keeps no Windows from starting.
_IN_USE: Final = {
    "volume-dirty": "the boot manager ignores the flag, and Windows checks the volume when it starts (autochk)",
    "log-file-dirty": "the boot manager reads the volume as it is, and Windows applies the log when it mounts it",
}
#: What a volume that was in use has besides: on the way to a file nothing reads it, and the log or the check mends it.
_OF_A_VOLUME_IN_USE: Final = frozenset(
    {
        "mft-mirror", "cluster-bitmap", "cluster-bitmap-end", "cluster-bitmap-free", "cluster-bitmap-leak",
        "record-bitmap", "record-bitmap-free", "record-bitmap-leak", "link-count", "index-repeats",
    }
)  # fmt: skip


def boot_manager(found: Examination) -> Mapping[str, object]:
    r"""The ESP has \EFI\Microsoft\Boot\bootmgfw.efi, and it is a whole EFI program for this processor.

    Leaves open: Who signed it. Firmware with Secure Boot on starts it only if it trusts the signer.
    """
    try:
        facts = examine_program(found.boot_manager, paths.BOOT_MANAGER, found.architecture)
    except WindowsBootError as error:
        # The firmware starts nothing then, and has no such code.
        raise WindowsBootError(error.message, file=error.file, evidence=error.evidence) from None
    return {"esp": f"FAT{found.disk.esp.geometry.fat_type}, partition {found.disk.esp_partition.number}", **facts}


def boot_store(found: Examination) -> Mapping[str, object]:
    r"""\EFI\Microsoft\Boot\BCD is a registry hive that names a loader of Windows to start, and has all it needs.

    Leaves open: The elements that neither the boot manager nor the loader needs.
    """
    loader = found.loader
    return {
        "objects": len(found.store.root.key("Objects").keys),
        "default": object_text(loader.guid),
        "description": loader.get("description"),
        "path": found.loader_path,
        "systemroot": found.system_root.replace("/", "\\"),
        "state": found.store_state,
    }


def boot_device(found: Examination) -> Mapping[str, object]:
    """The loader's device and Windows' own are partitions of this disk's GPT, or files there.

    Leaves open: Other disks of the machine, and what is in a file that is a RAM disk or a virtual disk.
    """
    partition, other = found.partition, found.os_partition
    device = found.loader.get("device")
    evidence: dict[str, object] = {
        "device": to_text(device) if device is not None else None,  # type: ignore[arg-type]  # _resolved took it for one
        "partition": f"{partition.number} {partition.type_name or partition.type} {partition.guid}",
        "osdevice": f"{other.number} {other.type_name or other.type} {other.guid}",
    }
    if found.container is not None:
        evidence["image"] = f"{found.container}, {found.content_size(found.container)} bytes"
    if found.ram_disk_start is not None:
        evidence["sdi"] = f"{found.ram_disk_start}, {found.content_size(found.ram_disk_start)} bytes"
    return evidence


def windows_volume(found: Examination) -> Mapping[str, object]:
    """The NTFS volume on that partition passes every check, and so does that of the loader, if it is another.

    That a volume was not unmounted is a warning, and so is what the log of the volume or its next check mends.

    Leaves open: Contents of files, which have no checksum in NTFS.
    """
    volume = found.os_volume
    places = [found.partition] if found.os_partition == found.partition else [found.partition, found.os_partition]
    defects: list[Finding] = []
    warnings: list[str] = []
    for place in places:
        kept, told = _sorted_findings(check_ntfs(place.window(found.disk.storage)))
        defects += kept
        warnings += told if len(places) == 1 else [f"partition {place.number}: {each}" for each in told]
    if _is_hibernated(volume):
        warnings.append(_resumed(found))
    evidence: dict[str, object] = {
        "label": volume.label,
        "version": f"{volume.information.major_version}.{volume.information.minor_version}",
        "cluster_size": volume.geometry.cluster_size,
        "dirty": volume.is_dirty,
        "findings": len(defects),
    }
    if warnings:
        evidence["warnings"] = [*warnings[:_SHOWN], *([f"{len(warnings) - _SHOWN} more"] if warnings[_SHOWN:] else [])]
    if defects:
        evidence["found"] = [str(finding) for finding in defects[:_SHOWN]]
        status = _status_of_loader(found)
        raise WindowsBootError(
            f"the check found {len(defects)} defects, the first: {defects[0]}",
            status=status, file=None if status is None else found.loader_path, evidence=evidence,
            hint="cloudboot-ntfs check lists all of them",
        )  # fmt: skip
    return evidence


def _sorted_findings(findings: Sequence[Finding]) -> tuple[list[Finding], list[str]]:
    """The defects of a volume, and what is only to be told of it: that it was in use, and what comes with that."""
    if not any(finding.kind in _IN_USE for finding in findings):
        return list(findings), []
    defects, warnings = [], []
    for finding in findings:
        if finding.kind in _IN_USE:
            warnings.append(f"{finding}: {_IN_USE[finding.kind]}")
        elif finding.kind in _OF_A_VOLUME_IN_USE:
            warnings.append(f"{finding}: the volume was in use, and Windows mends this")
        else:
            defects.append(finding)
    return defects, warnings


def _resumed(found: Examination) -> str:
    """What comes of a hibernated Windows: the boot manager resumes it only if the boot configuration says so."""
    said = "hiberfil.sys holds a Windows that was hibernated, or stopped by fast startup"
    if found.resumes:
        return f"{said}: the boot manager resumes it in place of a start, on the hardware and volumes that it remembers"
    return f"{said}: the boot configuration does not tell the boot manager to resume it, and Windows is started anew"


def _status_of_loader(found: Examination) -> int | None:
    """The status with which the boot manager fails on the way to the loader's bytes; ``None`` where it gets them."""
    try:
        found.program(found.loader_path.replace("\\", "/"))
    except WindowsBootError as error:
        return None if error.status == Status.NO_SUCH_FILE else error.status
    return None


def _is_hibernated(volume: NTFS) -> bool:
    """Whether the volume's hiberfil.sys is one to resume from: its first letters say so."""
    if not volume.exists(_HIBERNATION):
        return False
    file = OpenFileStorage(volume.open_inode(volume.find(_HIBERNATION)))
    return file.read_at(0, min(4, file.size)).lower() == b"hibr"


def os_loader(found: Examination) -> Mapping[str, object]:
    """The loader that the store names is on that volume, and is a whole program for this processor.

    Leaves open: Who signed it; the boot manager refuses a loader without a signature that it trusts.
    """
    path = found.loader_path.replace("\\", "/")
    return examine_program(found.program(path), path, found.architecture)


def kernel_files(found: Examination) -> Mapping[str, object]:
    """The SYSTEM hive, the kernel and every boot-start driver of the hive are there, and are whole programs.

    Leaves open: Services that start later, and the drivers that this machine's own devices need.
    """
    root = found.system_root
    evidence: dict[str, object] = {}
    # In the order, and with the paths, of Windows' loader: its screens name them so.
    path = f"{root}/system32/config/system"
    hive = found.hive(path)
    try:
        drivers = list(boot_drivers(hive))
        evidence |= {"control_set": control_set(hive), "boot_drivers": len(drivers)}
    except Error as error:
        raise WindowsBootError(
            f"{path}: {error}", status=Status.REGISTRY_CORRUPT, file=path.replace("/", "\\"), evidence=evidence
        ) from None
    path = f"{root}/system32/ntoskrnl.exe"
    kernel = examine_program(found.program(path, of_windows=True), path, found.architecture)
    evidence |= {"kernel": kernel["size"], "kernel_sha256": kernel["sha256"]}
    problems: list[tuple[WindowsBootError, bool]] = []
    for driver in drivers:
        file = f"{root}{driver.path}"
        try:
            examine_program(found.program(file, of_windows=True), file, found.architecture)
        except WindowsBootError as error:
            problems.append((error, driver.is_critical))
    if problems:
        evidence["not_usable"] = [
            f"{problem}{'' if is_critical else ' (not critical)'}" for problem, is_critical in problems
        ]
    fatal = next((problem for problem, is_critical in problems if is_critical), None)
    if fatal is not None:
        raise WindowsBootError(
            f"a boot-start driver: {fatal.message}", status=fatal.status, file=fatal.file, evidence=evidence,
            hint=fatal.hint,
        )  # fmt: skip
    return evidence


def requirements(found: Examination) -> Mapping[str, object]:
    """What this Windows demands of a machine beyond its files is met, as far as a start needs it.

    Leaves open: What setup demands; a Windows that is installed starts without that.
    """
    return requirements_of(found)


#: Each component's name, function, and the components without which it says nothing.
_TABLE: Final[tuple[tuple[str, Callable[[Examination], Mapping[str, object]], tuple[str, ...], str], ...]] = (
    ("boot-manager", boot_manager, (), "{path}, {size} bytes"),
    ("boot-store", boot_store, (), "{description}: {path}"),
    ("boot-device", boot_device, ("boot-store",), "partition {partition}"),
    ("windows-volume", windows_volume, ("boot-device",), "{label}, {findings} findings"),
    ("os-loader", os_loader, ("boot-device",), "{path}, {size} bytes"),
    ("kernel-files", kernel_files, ("boot-device",), "{boot_drivers} boot-start drivers"),
    ("requirements", requirements, ("boot-manager", "boot-device", "os-loader"), "{product}"),
)
#: The components that need a volume which can be read, whatever is wrong with it; and all that look at its files.
_OF_VOLUMES: Final = ("os-loader", "kernel-files")
OF_FILES: Final = ("windows-volume", *_OF_VOLUMES, "requirements")
NAMES: Final = tuple(name for name, *_ in _TABLE)
RUNS: Final = {name: run for name, run, *_ in _TABLE}
HEADLINES: Final = {name: headline for name, _, _, headline in _TABLE}


def examine(found: Examination) -> Iterator[Gate]:
    """The gate of every component. One that needs what failed is not reached; the others are examined all the same."""
    failed: set[str] = set()
    for name, run, needs, headline in _TABLE:
        paragraphs = [" ".join(part.split()) for part in inspect.cleandoc(run.__doc__ or "").split("\n\n")]
        inside = (lambda found: found.container_reason) if name in OF_FILES else None
        stage = Stage(
            name, paragraphs[0], run, inside,
            headline=lambda evidence, text=headline: _filled(text, evidence),  # type: ignore[misc]  # mypy does not infer the default's type
        )  # fmt: skip
        missing = next((each for each in needs if each in failed), None)
        if missing is None and name in _OF_VOLUMES and "windows-volume" in failed and not found.has_volumes:
            missing = "windows-volume"
        if missing is not None:
            gate = stage.not_reached(f"the component {missing} failed")
        else:
            gate = next(run_stages([stage], found))
        if gate.verdict in (Verdict.FAIL, Verdict.NOT_REACHED):
            failed.add(name)
        yield gate


def conclusion(gates: Sequence[Gate]) -> str:
    """Whether the disk would start Windows, in one sentence: what a user asks first."""
    failed = [gate for gate in gates if gate.verdict is Verdict.FAIL]
    if not failed:
        within = next((gate.reason for gate in gates if gate.verdict is Verdict.NOT_APPLICABLE), None)
        warned = next((f"{gate.name} has warnings" for gate in gates if gate.evidence.get("warnings")), None)
        told = "; ".join(each for each in (within, warned) if each is not None)
        return "Windows' boot: no component is missing or damaged" + (f"; {told}" if told else "")
    # What the boot manager does not look at decides nothing; of what it looks at, the first decides.
    first = next((gate for gate in failed if (gate.error or {}).get("status") or gate.name == NAMES[0]), failed[0])
    error = first.error or {}
    status, file = error.get("status"), error.get("file")
    if isinstance(status, str):
        shown = status_text(int(status, 16)) + (f" on {file}" if file else "")
        return f"Windows' boot: {first.name} fails; the screen shows {shown}"
    if first.name == NAMES[0]:
        return f"Windows' boot: {first.name} fails; firmware starts nothing"
    return f"Windows' boot: {first.name} fails; whether Windows starts all the same, its files do not tell"


def _filled(headline: str, evidence: Mapping[str, object]) -> str | None:
    try:
        return headline.format_map(evidence)
    except (KeyError, ValueError):
        return None
