"""The gates that Linux adds: that the image's own kernel runs, and that its own driver mounts our root.

The serial line carries whatever the guest likes. So each gate has witnesses that the guest does not write: the
machine's memory, its processor, and the trace of its disk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudboot_base import GateFailedError
from cloudboot_base.command import counted
from cloudboot_probes.errors import AccountError, KernelFormatError
from cloudboot_probes.linux import MAX_PART
from cloudboot_probes.probe.account import BEGIN, END, AccountReader, compare, size_limit
from cloudboot_probes.probe.staging import stage
from cloudboot_probes.witness import kernel as witness
from cloudboot_probes.witness.handover import find_handover
from cloudboot_uefi_host.drivers.el_torito import is_iso9660

from .failures import own_failure
from .session import demand_complete, session_of, summary, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudboot_probes.manifest import Manifest
    from cloudboot_probes.probe.account import Account
    from cloudboot_probes.probe.context import Probe
    from cloudboot_probes.witness.handover import Handover
    from cloudboot_probes.witness.kernel import FoundText, KernelText

    from .session import QemuSession

_SHOWN = 20  # differences in a report
_NONCE = re.compile(rb"cloudboot: nonce ([0-9a-f]{8,64})")
_FORGED_HINT = "--policy FILE says whose signature an image needs: who signed it is then responsible for what it prints"


def kernel_banner(probe: Probe) -> Mapping[str, object]:
    """The loader read configuration, kernel and initial RAM disk from our root to the last byte; that kernel runs.

    Leaves open: That each of those bytes came out right: root-mounted has the kernel hash the same files. A kernel that
    was changed in a few places still passes.
    """
    session, system = session_of(probe), probe.system
    # While the machine boots; what is wrong with the file is the machine's to say first.
    kernel, problem = _unpacked(probe)
    if system.banner_pattern is None:
        raise GateFailedError(f"no banner of {system.name} is known")
    seen = session.expect(
        system.banner_pattern, "the kernel's banner", failed=(system.panic_pattern, system.failed_pattern)
    )
    at = seen.time
    evidence: dict[str, object] = {
        "banner": text_of(seen.match),
        "at": round(at, 2),
        "since_command": session.since_command(at),
    }
    if kernel is None:
        raise problem or GateFailedError("the kernel was not unpacked", evidence=evidence)
    handover = _released(session, evidence)
    session.mark("kernel", handover.released)
    evidence["firmware_released_disk_at"] = round(handover.released, 2)
    found = witness.locate(session.machine.memory, kernel)
    if found is None:
        raise GateFailedError(
            f"{system.kernel} is not in the machine's memory, though its banner was printed",
            evidence=evidence, hint=_FORGED_HINT,
        )  # fmt: skip
    evidence["kernel_text"] = {
        "at": f"{found.start:#x}-{found.end:#x}",
        "linked_for": f"{kernel.address:#x}",
        "pages_in_place": f"{found.in_place} of {found.pages} compared",
    }
    _demand_processor(session, found, evidence)
    session.kernel_text = found
    files = [probe.disk.owner(path) for path in system.loader_files]
    coverage = session.coverage(until=handover.released)
    evidence["read"] = summary(coverage, files)
    demand_complete(coverage, _root_number(probe), files, "the loader", evidence)
    return evidence


def root_mounted(probe: Probe) -> Mapping[str, object]:
    """The kernel's own ufs driver mounted our root; every file, mode, owner and time is what the build put there.

    Leaves open: Free space, times of access and creation, and who wrote the first program: it is in the image, and it
    is the one that reports. The manifest is in the image, too: it shows that the image is what the build meant, not who
    built it.
    """
    session = session_of(probe)
    manifest = probe.disk.manifest
    if manifest is None:
        raise GateFailedError(
            "the image has no manifest to hold the kernel's account against", hint="build it with cloudboot image build"
        )
    heard = _Heard(session, manifest)
    heard.listen()
    at = session.machine.elapsed
    session.mark("finished", at)
    evidence: dict[str, object] = {"mounted": heard.mounted, "nonce": heard.nonce}
    session.take_screenshot()
    handover = _taken(session, evidence)
    evidence["kernel_took_disk_at"] = round(handover.taken or 0.0, 2)
    _demand_nonce(probe, heard.nonce, evidence)
    if session.kernel_text is not None:
        _demand_processor(session, session.kernel_text, evidence)
    account = heard.account()
    differences = compare(account, manifest)
    coverage = session.coverage(since=handover.taken or 0.0)
    number = _root_number(probe)
    files = {extent.owner for extent in probe.block_map.extents if extent.partition == number and extent.file}
    complete = sum((number, name) in coverage and coverage[number, name].complete for name in files)
    evidence |= {
        "files": len(account.hashes),
        "entries": len(account.entries),
        "differences": len(differences),
        "read_by_kernel": f"{complete} of {len(files)} files to the last byte",
        "at": round(at, 2),
        "since_command": session.since_command(at),
    }
    if heard.errors:
        evidence["errors"] = heard.errors
    if session.machine.block_trace_dropped:
        evidence["reads_forgotten"] = session.machine.block_trace_dropped
    if differences:
        evidence["different"] = differences[:_SHOWN]
        raise GateFailedError(
            f"the kernel sees {counted(len(differences), 'difference')}, the first: {differences[0]}", evidence=evidence
        )
    demand_complete(coverage, number, sorted(files), "the kernel", evidence)
    return evidence


class _Heard:
    """What the system's first program says, line by line as it comes, so that it may be as long as it needs to be."""

    def __init__(self, session: QemuSession, manifest: Manifest) -> None:
        self._session = session
        self._system = session.probe.system
        self._limit = size_limit(manifest)
        self._reader: AccountReader | None = None
        self._account: Account | None = None
        self.mounted: str | None = None
        self.nonce: str | None = None
        self.errors: list[str] = []

    def listen(self) -> None:
        """Take lines until the program says that it has finished.

        Raises:
            BootError: it reports a failure, or the machine ends, or the time is over.
            AccountError: the account is damaged, or text was lost.
        """
        finished = (self._system.finished_pattern or "").encode()
        for line in self._session.lines("the end of the kernel's account"):
            if self._reader is not None and self._account is None:
                if line == END:
                    self._account = self._reader.close()
                    continue
                self._reader.feed(line)
            if re.fullmatch(finished, line):
                break
            self._take(line)
        lost = self._session.machine.transcript.lost
        if lost:
            raise AccountError(f"{lost} bytes of the console were lost: they came faster than they could be read")

    def _take(self, line: bytes) -> None:
        system = self._system
        text = line.decode("utf-8", "replace")
        for pattern in (system.failed_pattern, system.panic_pattern):
            if pattern and re.search(pattern.encode(), line + b"\n"):
                raise own_failure(self._session, text)
        if line == BEGIN and self._account is None:
            self._reader = AccountReader(self._limit)
        elif system.mounted_pattern and (found := re.fullmatch(system.mounted_pattern.encode(), line)) is not None:
            self.mounted = text_of(found)
        elif (nonce := _NONCE.fullmatch(line)) is not None:
            self.nonce = nonce[1].decode("ascii")
        elif line.startswith(b"cloudboot: error ") and len(self.errors) < _SHOWN:
            self.errors.append(text)

    def account(self) -> Account:
        """The account.

        Raises:
            AccountError: there was none.
        """
        if self._account is None:
            raise AccountError(
                "the system's first program reported no account of the root",
                hint="build the image again: this version reads accounts of its own form only",
            )
        return self._account


def _unpacked(probe: Probe) -> tuple[KernelText | None, KernelFormatError | None]:
    try:
        return witness.unpack(_kernel_file(probe)), None
    except KernelFormatError as error:
        return None, error


def _kernel_file(probe: Probe) -> bytes:
    path, tree, volume = probe.system.kernel, probe.disk.tree, probe.disk.root
    if tree is not None:
        found = tree.locate(path)
        if found is None:
            raise GateFailedError(
                f"the ISO 9660 volume has no {path} to compare the machine's memory with",
                hint="build the medium with the kernel there",
            )
        return tree.read(found, MAX_PART)
    if volume is None:
        raise GateFailedError("the disk has no root file system to take the kernel from")
    return volume.read_file(path)


def _root_number(probe: Probe) -> int:
    """The number of what holds the loader's files: an ISO 9660 volume is no partition."""
    if probe.disk.tree is not None:
        return 0
    partition = probe.disk.root_partition
    if partition is None:
        raise GateFailedError("the disk has no UFS partition")
    return partition.number


def _no_root(probe: Probe) -> str | None:
    if probe.disk.root_partition is None and is_iso9660(probe.disk.storage):
        return "an ISO 9660 volume has no UFS2 root, and no manifest of what a system mounts"
    return None


def _released(session: QemuSession, evidence: Mapping[str, object]) -> Handover:
    handover = find_handover(session.negotiations(), session.probe.marks["loader"])
    if handover is None:
        raise GateFailedError(
            "the firmware's driver still holds the disk: no kernel was started, whatever was printed",
            evidence=evidence, hint=_FORGED_HINT,
        )  # fmt: skip
    return handover


def _taken(session: QemuSession, evidence: Mapping[str, object]) -> Handover:
    handover = _released(session, evidence)
    if handover.taken is None:
        raise GateFailedError(
            "no driver took the disk after the firmware gave it up: nothing was mounted, whatever was printed",
            evidence=evidence, hint=_FORGED_HINT,
        )  # fmt: skip
    return handover


def _demand_processor(session: QemuSession, text: FoundText, evidence: dict[str, object]) -> None:
    """The processor must be seen in the kernel's text, with paging on."""
    sample = session.sample_in(range(text.start, text.end))
    if sample is None:
        raise GateFailedError(
            "the processor was never seen in the kernel's text, though that is in memory",
            evidence=evidence, hint=_FORGED_HINT,
        )  # fmt: skip
    evidence["processor"] = {
        "at": round(sample.time, 2),
        "instruction": f"{sample.instruction:#x}",
        "physical": f"{sample.physical:#x}",
        "cr0": f"{sample.cr0:#x}",
        "cr3": f"{sample.cr3:#x}",
    }


def _demand_nonce(probe: Probe, nonce: str | None, evidence: Mapping[str, object]) -> None:
    if nonce != probe.nonce:
        said = "no nonce" if nonce is None else f"the nonce {nonce}"
        raise GateFailedError(
            f"the account is not of this start: the machine was given the nonce {probe.nonce} and says {said}",
            evidence=evidence, hint="build the image again with this version, whose first program repeats the nonce",
        )  # fmt: skip


STAGES = {
    "kernel-banner": stage("kernel-banner", kernel_banner, headline="{banner}"),
    "root-mounted": stage(
        "root-mounted",
        root_mounted,
        headline="{files} files, {entries} entries, {differences} differences",
        not_applicable=_no_root,
    ),
}
