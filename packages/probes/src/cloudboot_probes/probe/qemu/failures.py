"""What a boot that fails looks like: each kind by its own name, recognised at once, with what to try next."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Protocol

from cloudboot_probes.errors import (
    BootError,
    BootTimeoutError,
    KernelPanicError,
    LoaderCrashedError,
    LoaderFailedError,
    LoaderPromptError,
    MachineOffError,
    MachineResetError,
    MachineSilentError,
    MachineStalledError,
    NoBootOptionError,
    SystemFailedError,
)
from cloudboot_probes.witness.handover import find_handover
from cloudboot_qemu import QemuError

if TYPE_CHECKING:
    from cloudboot_probes.probe.context import Probe
    from cloudboot_qemu import Machine, Negotiation

# What EDK2 prints, whatever the architecture: its boot manager, its shell, and its handlers of exceptions
# (MdeModulePkg/Library/UefiBootManagerLib, ShellPkg, UefiCpuPkg and ArmPkg's exception handlers).
NO_BOOT = r"BdsDxe: (?:failed to (?:load|start)|No bootable option) [^\n]*\n|UEFI Interactive Shell v[^\n]*\n"
_CRASH = r"!!!! \w+ Exception Type - [^\n]*\n|(?:Synchronous|SError|IRQ) Exception at 0x[^\n]*\n"
_KINDS: tuple[tuple[str, type[BootError], str], ...] = (
    ("noboot_", NoBootOptionError, NO_BOOT),
    ("crash_", LoaderCrashedError, _CRASH),
)
#: A prompt is at the end of the text, and nothing follows it.
_PROMPTS = (b"Shell> ", b"grub> ", b"grub rescue> ")

# Seconds of a processor's time (used) are the same on a busy host; seconds of the clock (quiet) are not.
_PROMPT_AFTER = 3.0  # quiet, behind a prompt: nothing goes on from there by itself
_ERROR_AFTER = 12.0  # used, behind a loader's error; some are followed by a boot all the same
_WAITING_AFTER = 30.0  # quiet, with the processor halted at each look
_CIRCLE_AFTER = 90.0  # used, in which nothing is printed or read
_ANY_KEY = b"Press any key to continue"
_DUMP_TIME = 1.0  # seconds for the rest of an exception's dump


#: What ends any wait, for a search in the console's text.
BROKEN = "|".join(f"(?P<{group}>{text})" for group, _, text in _KINDS)


class Observed(Protocol):
    """What is seen of a boot, :class:`.session.QemuSession`."""

    @property
    def probe(self) -> Probe:
        """What is probed."""

    @property
    def machine(self) -> Machine:
        """The machine that boots it."""

    def screen(self) -> list[str]:
        """The last screenful of the serial line."""

    def negotiations(self) -> list[Negotiation]:
        """The drivers that held the disk so far."""


def failure_of(session: Observed, found: re.Match[bytes], awaited: str) -> BootError:
    """The error for a match of ``BROKEN``, or of a failure that the system's data describe."""
    text = found[0].decode("utf-8", "replace").strip()
    groups = found.groupdict()
    for group, kind, _ in _KINDS:
        if groups.get(group) is not None:
            return _crashed(session, text, awaited) if kind is LoaderCrashedError else _not_started(session, text)
    return own_failure(session, text)


def _crashed(session: Observed, text: str, awaited: str) -> BootError:
    time.sleep(_DUMP_TIME)
    return LoaderCrashedError(
        f"the processor raised an exception before {awaited}: {text.strip('! ')}",
        screen=session.screen(),
        try_next=[
            "look at the registers in the last screenful: RIP or ELR within the loader's image is the loader's fault",
            f"cloudboot image inspect {session.probe.shown}: is the loader the one that was built?",
            "give the machine more memory: --memory 2G",
        ],
    )


def _not_started(session: Observed, text: str) -> BootError:
    path = session.probe.system.loader(session.probe.options.architecture)
    return NoBootOptionError(
        f"the firmware starts nothing from this disk: {text}",
        screen=session.screen(),
        try_next=[
            f"cloudboot image inspect {session.probe.shown}: is {path} there, and for this architecture?",
            "build the image with --loader FILE",
        ],
    )


def own_failure(session: Observed, text: str) -> BootError:
    """The error for a failure that the system's data describe: a loader's error, a panic, the first program's."""
    system, reference = session.probe.system, session.probe.shown
    line = text.encode()
    screen = session.screen()
    if system.panic_pattern and re.search(system.panic_pattern.encode(), line + b"\n"):
        return KernelPanicError(
            f"the kernel gave up: {text}",
            screen=screen,
            try_next=[
                "read the last screenful upwards: the first error is the cause",
                "give the machine more memory: --memory 2G",
                f"cloudboot image inspect {reference}: are the initial RAM disk and the root those of this kernel?",
            ],
        )
    if system.failed_pattern and re.search(system.failed_pattern.encode(), line):
        return SystemFailedError(
            f"the machine says: {text}",
            screen=screen,
            try_next=[f"cloudboot image inspect {reference}", "look at the kernel's lines in the last screenful"],
        )
    return LoaderFailedError(
        f"the machine says: {text}",
        screen=screen,
        try_next=[
            f"cloudboot image inspect {reference}: are the files there that the loader asks for, under these names?",
            "compare the loader's configuration with the root's file names",
        ],
    )


def timed_out(session: Observed, awaited: str) -> BootError:
    """The error where the time is over."""
    seconds = session.probe.time_limit
    if not session.machine.transcript.length:
        return _silent(session, f"within {seconds:g} s")
    return BootTimeoutError(
        f"{awaited} did not come within {seconds:g} s of power-on",
        screen=session.screen(),
        try_next=[f"--timeout {2 * seconds:g}", "--accelerator auto: KVM is ten times faster where it works"],
    )


def ended(session: Observed, reason: str, awaited: str) -> BootError:
    """The error where the guest ended the machine."""
    screen = session.screen()
    if reason in {"guest-reset", "subsystem-reset"}:
        return MachineResetError(
            f"the machine was reset before {awaited}; it would be again with each start",
            screen=screen,
            try_next=[
                "read the last screenful: what comes last ran last",
                "build with --arguments 'console=ttyS0,115200': without panic=-1 a kernel that panics halts",
            ],
        )
    return MachineOffError(
        f"the machine was switched off ({reason}) before {awaited}",
        screen=screen,
        try_next=["read the last screenful: what comes last ran last"],
    )


def _silent(session: Observed, when: str) -> BootError:
    tries = ["--accelerator tcg: KVM may not run guest code on this host"]
    if session.machine.description.accelerator != "kvm":
        tries = [
            "cloudboot-qemu firmware: is the firmware one of this architecture?",
            "look at the screen in --report FILE",
        ]
    return MachineSilentError(f"the machine printed nothing at all {when}", screen=[], try_next=tries)


class Watch:
    """Called once a second during a wait: raises when the machine makes no progress any more."""

    def __init__(self, session: Observed, awaited: str) -> None:
        self._session = session
        self._awaited = awaited
        self._prompts = {*_PROMPTS, *(prompt.encode() for prompt in session.probe.system.prompts)}
        self._seen = (-1, -1)
        self._since = 0.0
        self._spent = 0.0
        self._halted = True

    def __call__(self) -> None:
        """Look.

        Raises:
            BootError: a prompt waits for input, or nothing happens any more.
        """
        machine = self._session.machine
        seen = (machine.transcript.length, machine.block_count)
        now, spent = time.monotonic(), machine.cpu_seconds()
        if seen != self._seen:
            self._seen, self._since, self._spent, self._halted = seen, now, spent, True
            return
        quiet, used = now - self._since, spent - self._spent
        tail = machine.transcript.tail(4000).encode()
        if quiet >= _PROMPT_AFTER:
            self._look_for_prompt(tail)
        if _ANY_KEY in tail[tail.rfind(b"\n", 0, -1) :] or used >= _ERROR_AFTER:
            self._look_for_error(tail)
        # A processor that is halted at every look waits; one that the host gives no time to does not.
        self._halted = self._halted and self._is_halted()
        if quiet >= _WAITING_AFTER and self._halted:
            raise self._stalled(f"it has printed and read nothing for {quiet:.0f} s, and its processor is halted")
        if used >= _CIRCLE_AFTER:
            raise self._stalled(f"its processor ran for {used:.0f} s without printing or reading anything")

    def _is_halted(self) -> bool:
        try:
            sample = self._session.machine.sample()
        except QemuError:
            return False
        return sample is not None and sample.halted

    def _look_for_error(self, tail: bytes) -> None:
        pattern = self._session.probe.system.loader_failed_pattern
        if not pattern or ("loader" in self._session.probe.marks and self._released()):
            return
        found = re.search(pattern.encode(), tail)
        if found is not None:
            raise own_failure(self._session, found[0].decode("utf-8", "replace").strip())

    def _released(self) -> bool:
        """Whether a kernel has taken over: its own silence says nothing of a loader's error before it."""
        return find_handover(self._session.negotiations(), self._session.probe.marks["loader"]) is not None

    def _look_for_prompt(self, tail: bytes) -> None:
        line = tail[tail.rfind(b"\n") + 1 :]
        if line in self._prompts:
            self._look_for_error(tail)
            name = line.decode().strip()
            raise LoaderPromptError(
                f"a prompt waits for input before {self._awaited}: {name}",
                screen=self._session.screen(),
                try_next=[
                    "the lines above the prompt say what was not found",
                    f"cloudboot image inspect {self._session.probe.shown}",
                ],
            )

    def _stalled(self, what: str) -> BootError:
        if not self._session.machine.transcript.length:
            return _silent(self._session, f"and {what}")
        return MachineStalledError(
            f"the machine is stalled before {self._awaited}: {what}",
            screen=self._session.screen(),
            evidence={"processor": self._processor()},
            try_next=["read the last screenful: what comes last ran last", "give the machine more memory: --memory 2G"],
        )

    def _processor(self) -> object:
        try:
            sample = self._session.machine.sample()
        except QemuError as error:
            return error.message
        return None if sample is None else sample.as_dict()
