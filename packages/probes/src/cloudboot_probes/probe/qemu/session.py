"""A machine that boots the image, and what is known of it at any moment."""

from __future__ import annotations

import contextlib
import math
import re
import time
from typing import TYPE_CHECKING

from cloudboot_base import GateFailedError
from cloudboot_probes.blockmap import Read
from cloudboot_probes.probe.boot import Boot, ConsoleLine
from cloudboot_qemu import Drive, ExpectTimeoutError, Machine, MachineEndedError, QemuError, negotiations

from .failures import BROKEN, Watch, ended, failure_of, timed_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cloudboot_probes.blockmap import Coverage
    from cloudboot_probes.probe.context import Probe
    from cloudboot_probes.witness.kernel import FoundText
    from cloudboot_qemu import Expected, Negotiation, Sample

_SAMPLES, _BETWEEN_SAMPLES = 60, 0.05  # looks at the processor until one is as wanted, and the seconds between two

#: The mark of a loader that printed nothing, where that is how it succeeds.
SILENT = "silent loader"


class QemuSession:
    """The machine of one probe. Times are in seconds since power-on."""

    def __init__(self, probe: Probe) -> None:
        options = probe.options
        self.probe = probe
        self.machine = Machine(
            [Drive(probe.image.fd, interface="cd" if probe.disk.is_cd else probe.system.drive)],
            architecture=options.architecture,
            accelerator=options.accelerator,
            memory=options.memory,
            shared_memory=True,
            display=not probe.system.text_console,
            # SMBIOS type 1: firmware and kernels of every architecture hand it on without a driver.
            extra=("-smbios", f"type=1,serial={probe.nonce}"),
        )
        self.screenshot: bytes | None = None
        self.kernel_text: FoundText | None = None
        version = self.machine.qmp("query-version")["qemu"]
        self.version = f"{version['major']}.{version['minor']}.{version['micro']}"
        probe.notices += self.machine.notices

    def facts(self) -> Mapping[str, object]:
        """The machine and its firmware."""
        described = self.machine.description
        return {
            "machine": f"QEMU {self.version}, {described.architecture}",
            "accelerator": described.accelerator,
            "memory": described.memory,
            "processors": described.processors,
            "firmware": str(described.firmware.executable),
            "firmware_description": described.firmware.description,
            "secure_boot": "off" if described.firmware.plain else "on",
            "tpm": "none",
        }

    def close(self) -> None:
        """Kill the machine."""
        self.machine.close()

    def boot(self) -> Boot:
        """What the machine left behind so far."""
        if self.screenshot is None:
            self.take_screenshot()
        transcript = self.machine.transcript
        return Boot(
            block_map=self.probe.block_map,
            reads=self.reads(),
            marks=dict(self.probe.marks),
            screenshot=self.screenshot,
            console=transcript.text.decode("utf-8", "replace"),
            lines=[ConsoleLine(line.time, line.text) for line in transcript.lines()],
            dropped=transcript.dropped,
            reads_dropped=self.machine.block_trace_dropped,
        )

    def take_screenshot(self) -> None:
        """Keep a picture of the screen as it is, if the machine still has one."""
        with contextlib.suppress(QemuError):
            self.screenshot = self.machine.screendump()

    def remaining(self) -> float:
        """Seconds left until the probe's timeout."""
        return max(0.0, self.probe.time_limit - self.machine.elapsed)

    def expect(self, pattern: str, awaited: str, *, failed: Sequence[str | None] = ()) -> Expected:
        """Wait for ``pattern``; what a failure looks like ends the wait at once, the system's own among them.

        Raises:
            BootError: the machine did something else.
            MachineFailedError: QEMU died.
        """
        alternatives = [f"(?P<expected_>{pattern})"]
        # A group's name can stand once in a pattern, and "evidence" is the awaited one's.
        own = [f"(?:{text.replace('(?P<evidence>', '(?:')})" for text in failed if text]
        alternatives += [f"(?P<failed_>{'|'.join(own)})"] if own else []
        alternatives.append(f"(?P<broken_>{BROKEN})")
        either = re.compile("|".join(alternatives).encode())
        try:
            seen = self.machine.expect(either, self.remaining(), awaited=awaited, watch=Watch(self, awaited))
        except ExpectTimeoutError:
            raise timed_out(self, awaited) from None
        except MachineEndedError as error:
            raise ended(self, error.reason, awaited) from None
        if seen.match["expected_"] is None:
            raise failure_of(self, seen.match, awaited)
        return seen

    def lines(self, awaited: str) -> Iterator[bytes]:
        """The console's lines as they come.

        Raises:
            BootError: no more will come, or the time is over.
        """
        try:
            yield from self.machine.lines(self.remaining(), awaited=awaited, watch=Watch(self, awaited))
        except ExpectTimeoutError:
            raise timed_out(self, awaited) from None
        except MachineEndedError as error:
            raise ended(self, error.reason, awaited) from None

    def reads(self) -> list[Read]:
        """What the machine has read from the disk so far."""
        return [
            Read(access.time, access.lba * 512, (access.lba + access.sectors) * 512)
            for access in self.machine.block_trace()
            if not access.write
        ]

    def coverage(self, since: float = 0.0, until: float = math.inf) -> dict[tuple[int, str], Coverage]:
        """What was read between two moments. A console line is seen a little after it was sent, never before."""
        return self.probe.block_map.coverage(read for read in self.reads() if since <= read.time <= until)

    def negotiations(self) -> list[Negotiation]:
        """The drivers that held the disk so far."""
        return negotiations(self.machine.driver_statuses())

    def sample_in(self, text: range) -> Sample | None:
        """A look at the processor at a moment when it is at one of these physical addresses, with paging on.

        What runs may be a user's program for a while, so there are several looks; ``None`` if none was as wanted.
        """
        for _ in range(_SAMPLES):
            try:
                sample = self.machine.sample()
            except QemuError:
                return None
            if sample is not None and sample.paging and sample.physical is not None and sample.physical in text:
                return sample
            time.sleep(_BETWEEN_SAMPLES)
        return None

    def screen(self) -> list[str]:
        """The last screenful of the serial line."""
        return self.machine.transcript.tail(4000).splitlines()[-25:]

    def mark(self, name: str, moment: float) -> float:
        """Note when a phase began."""
        self.probe.marks[name] = moment
        return round(moment, 2)

    def since_command(self, at: float) -> float:
        """Seconds from the command to ``at``."""
        return round(at + (time.monotonic() - self.machine.elapsed - self.probe.started), 1)


def session_of(probe: Probe) -> QemuSession:
    """The probe's session as the machine it is.

    Raises:
        GateFailedError: something else boots the image.
    """
    session = probe.session
    if not isinstance(session, QemuSession):
        raise GateFailedError("the image is not booted by a QEMU machine")
    return session


def summary(coverage: Mapping[tuple[int, str], Coverage], owners: Iterable[str]) -> dict[str, str]:
    """How much of each owner was read, in words."""
    wanted = set(owners)
    return {owner: f"{part.read} of {part.size} bytes" for (_, owner), part in coverage.items() if owner in wanted}


def demand_complete(
    coverage: Mapping[tuple[int, str], Coverage],
    partition: int,
    paths: Iterable[str],
    who: str,
    evidence: Mapping[str, object],
) -> None:
    """Every byte of ``paths`` must have been read.

    Raises:
        GateFailedError: of one of them it was not.
    """
    for path in paths:
        part = coverage.get((partition, path))
        if part is None or not part.complete:
            seen = "nothing" if part is None else f"{part.read} of {part.size} bytes"
            raise GateFailedError(f"{who} read {seen} of {path} from partition {partition}", evidence=evidence)


def text_of(found: re.Match[bytes] | None, group: str = "evidence") -> str | None:
    """A group of a match as text."""
    return None if found is None or found[group] is None else found[group].decode("utf-8", "replace")
