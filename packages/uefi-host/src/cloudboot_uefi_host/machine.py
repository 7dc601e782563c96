"""A processor with services: traps that run Python, and calls from Python into programs.

Python never runs inside the emulation. A call into a program runs the processor until a trap; the service runs when the
processor has stopped, and may call into programs again. ``Exit`` unwinds by an exception.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudboot_uefi_abi.declarations import Kind, prototype

from .cpu.architecture import TRAP_SIZE
from .cpu.processor import StopReason
from .cpu.x86 import INTERRUPT_FLAG
from .disassembly import line_at
from .errors import BudgetUsedError, GuestFaultError, GuestPointerError, HostError, Report
from .trace import CallRecord, Trace
from .watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from cloudboot_uefi_abi.declarations import Prototype, Type

    from .cpu.processor import Processor, Stop

    Failure = TypeVar("Failure", bound=HostError)

#: Open calls into programs. A program that starts itself again and again reaches it; nothing else comes near.
MAX_DEPTH = 48
#: Bytes left free below the stack pointer of an interrupted program (the red zone of the System V ABI is 128).
_RED_ZONE = 256
_ARGUMENT_SPACE = 256
SLICE = 1_000_000
"""Instructions after which a program with armed timers is stopped, so that they can notify: at the same instruction in
every run."""
MAX_HALTS = 10_000
"""Interrupts of the timer that a program may wait for without a service call: 100 seconds."""
TRAPS = 4096
MAX_ARGUMENTS = 32
_RETURNED = prototype("VOID Returned(VOID)")


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a run may use; 0 is no limit.

    ``seconds`` is wall time, ``calls`` counts service calls, ``instructions`` those between two service calls
    (the program is slower then). A program waits for keys in vain that has polled for them ``idle_polls`` times in a
    row and for ``idle_seconds`` of virtual time: menus count down from a minute and less.
    """

    seconds: float = 120.0
    calls: int = 20_000_000
    instructions: int = 0
    idle_polls: int = 3000
    idle_seconds: float = 120.0


@dataclass(slots=True)
class Service:
    """A function that programs call through a trap.

    ``function`` takes the values of the declared arguments; that of a variadic service takes an :class:`Arguments`
    after them. It gives the result register, ``None`` for 0.
    """

    name: str
    prototype: Prototype
    function: Callable[..., int | None]
    polls: bool = False
    #: The arguments that are narrower than a register: what is above them in the register is no part of them.
    narrow: tuple[tuple[int, Type], ...] = field(init=False)

    def __post_init__(self) -> None:
        self.narrow = tuple(
            (index, argument.type)
            for index, argument in enumerate(self.prototype.arguments)
            if argument.type.size < 8 or argument.type.kind is Kind.SIGNED
        )


class Arguments:
    """The undeclared arguments of a variadic call: the value in a register or on the stack by position."""

    def __init__(self, machine: Machine, registers: list[int], sp: int) -> None:
        self._machine, self._registers, self._sp = machine, registers, sp

    def __getitem__(self, index: int) -> int:
        architecture = self._machine.processor.architecture
        count = len(architecture.arguments)
        if index < count:
            return self._registers[index]
        return self._machine.memory.u64(self._sp + architecture.stack_arguments + 8 * (index - count))


class PythonArguments:
    """The same for a variadic call from Python."""

    def __init__(self, values: tuple[int, ...]) -> None:
        self._values = values

    def __getitem__(self, index: int) -> int:
        return self._values[index]


class Machine:
    """The processor, its memory, its services, and what a run may use.

    ``image_at`` names the image at an address, for traces and reports; ``after_service`` runs after each service
    (timers, notifications), ``on_slice`` after each slice of a program that waits for a timer without service calls,
    ``on_halt`` when a program waits for an interrupt, ``on_watched`` in front of an instruction that the processor was
    told to watch.
    """

    def __init__(self, processor: Processor, *, budget: Budget, trace: Trace) -> None:
        self.processor, self.memory = processor, processor.memory
        self.architecture = processor.architecture
        self.budget, self.trace = budget, trace
        self.services: list[Service] = []
        self.trap_base = 0
        self.depth = 0
        #: The image on whose behalf services run now; empty for the firmware itself.
        self.caller = ""
        self.image_at: Callable[[int], str] = lambda _address: ""
        self.after_service: Callable[[Service], None] = lambda _service: None
        self.on_slice: Callable[[], None] = lambda: None
        self.on_halt: Callable[[], None] = lambda: None
        self.on_watched: Callable[[int], None] = lambda _address: None
        #: Stop programs every :data:`SLICE` instructions. Once a timer was armed it stays so.
        self.sliced = False
        architecture = processor.architecture
        self._entry = (*architecture.arguments, architecture.sp, *([architecture.link] if architecture.link else []))
        self._deadline: float | None = None
        self._call_site: int | None = None
        self._watchdog = Watchdog(processor)

    # Services

    def place_traps(self, address: int) -> None:
        """Put the table of traps at ``address``: ``TRAPS * TRAP_SIZE`` bytes of whole pages.

        A call from Python returns to the first trap.
        """
        self.trap_base = address
        self.processor.place_traps(address, TRAPS * TRAP_SIZE)
        self.add_service("return", _RETURNED, lambda: 0)

    def add_service(
        self, name: str, prototype: Prototype, function: Callable[..., int | None], *, polls: bool = False
    ) -> int:
        """Publish a function, and give its address.

        Raises:
            HostError: the table is full.
        """
        if len(self.services) >= TRAPS - 1:  # a back end may need the last one
            raise HostError(f"more than {TRAPS} services are published")
        self.services.append(Service(name, prototype, function, polls))
        return self.trap_base + (len(self.services) - 1) * TRAP_SIZE

    def service_at(self, address: int) -> Service | None:
        """The service whose trap is at ``address``."""
        index, rest = divmod(address - self.trap_base, TRAP_SIZE)
        return self.services[index] if rest == 0 and 0 <= index < len(self.services) else None

    # Calls

    @contextmanager
    def limits(self, budget: Budget | None = None) -> Iterator[None]:
        """Run with a budget: the wall time counts from here."""
        if self._deadline is not None:
            yield
            return
        if budget is not None:
            self.budget = budget
        self._deadline = time.monotonic() + self.budget.seconds if self.budget.seconds else float("inf")
        try:
            with self._watchdog.watch(self._deadline):
                yield
        finally:
            self._deadline = None

    def call(self, function: int, *arguments: int) -> int:
        """Call a function of a program, or a published service, with integers and pointers.

        Raises:
            GuestError: the program failed.
            BudgetUsedError: a budget is used up.
        """
        service = self.service_at(function)
        if service is not None:
            return self._serve(service, arguments[: len(service.prototype.arguments)], PythonArguments(arguments), "")
        if self.depth >= MAX_DEPTH:
            raise self._with_report(BudgetUsedError(f"{MAX_DEPTH} calls into programs are open: endless recursion"))
        processor, architecture = self.processor, self.architecture
        sp = processor.read(architecture.sp)
        self._place_arguments(arguments, sp)
        self.depth += 1
        site = self._call_site
        try:
            with self.limits():
                self._run(function, self.trap_base)
            return processor.read(architecture.result)
        finally:
            self.depth -= 1
            self._call_site = site
            processor.write(architecture.sp, sp)

    def interrupt_call(self, function: Callable[[], None]) -> None:
        """Run ``function`` between two instructions of a program: every register is as before afterwards."""
        state = self.processor.save()
        function()
        self.processor.restore(state)

    def mask_interrupts(self, *, masked: bool) -> None:
        """Disable or enable interrupts; only amd64 has programs that look at it."""
        if self.architecture.name == "amd64":
            flags = self.processor.read("rflags") & ~INTERRUPT_FLAG
            self.processor.write("rflags", flags if masked else flags | INTERRUPT_FLAG)

    def _place_arguments(self, arguments: tuple[int, ...], sp: int) -> None:
        """Arguments, return address and an aligned stack, as the calling convention has it."""
        processor, architecture = self.processor, self.architecture
        count = len(architecture.arguments)
        sp = (sp - _RED_ZONE - _ARGUMENT_SPACE) & ~15
        for register, value in zip(architecture.arguments, arguments, strict=False):
            processor.write(register, value)
        # At the entry the return address lies at sp where there is no link register; the call has pushed it.
        top = sp - 8 if architecture.link is None else sp
        for index, value in enumerate(arguments[count:]):
            self.memory.put64(top + architecture.stack_arguments + 8 * index, value)
        if architecture.link is None:
            self.memory.put64(top, self.trap_base)
        else:
            processor.write(architecture.link, self.trap_base)
        processor.write(architecture.sp, top)

    def _run(self, pc: int, end: int) -> None:
        """Run until the trap ``end``, serving every other trap."""
        processor, limit, used, halts = self.processor, self.budget.instructions, 0, 0
        while True:
            step = min(SLICE, limit - used) if limit else SLICE if self.sliced else 0
            stop = processor.run(pc, step)
            if stop.reason is StopReason.TRAP:
                if stop.pc == end:
                    return
                pc, used, halts = self._trapped(stop.pc), 0, 0
            elif stop.reason is StopReason.HALTED and halts < MAX_HALTS:
                halts += 1
                self._check_time()
                self.interrupt_call(self.on_halt)
                pc = stop.pc
            elif stop.reason is StopReason.WATCHED:
                self.on_watched(stop.pc)
                pc = stop.pc
            elif stop.reason is StopReason.INSTRUCTIONS and not (limit and used + step >= limit):
                used += step
                self._check_time()
                self.interrupt_call(self.on_slice)
                pc = stop.pc
            else:
                raise self._stopped(stop)

    def _trapped(self, trap: int) -> int:
        """Serve a trap, and give the address to go on at."""
        service = self.service_at(trap)
        if service is None:
            raise self._with_report(GuestFaultError("a call went to a service that does not exist", where={"pc": trap}))
        processor, architecture = self.processor, self.architecture
        values = processor.read_many(self._entry)
        count = len(architecture.arguments)
        more = Arguments(self, values, values[count])
        link = values[count + 1] if architecture.link else 0
        wanted = len(service.prototype.arguments)
        arguments = tuple(values[:wanted]) if wanted <= count else tuple(more[index] for index in range(wanted))
        caller = link or self.memory.u64(values[count])
        before, self._call_site = self._call_site, caller
        result = self._serve(service, arguments, more, self.image_at(caller))
        self._call_site = before
        processor.write(architecture.result, result)
        return link or trap + architecture.trap_size

    def _serve(self, service: Service, registers: tuple[int, ...], more: Any, image: str) -> int:
        prototype, trace = service.prototype, self.trace
        arguments = registers
        if service.narrow:
            values = list(registers)
            for index, kind in service.narrow:
                values[index] = kind.value(registers[index])
            arguments = tuple(values)
        trace.number += 1
        number, depth = trace.number, self.depth
        trace.counts[service.name] += 1
        if number > self.budget.calls:
            raise self._with_report(BudgetUsedError(f"{self.budget.calls} service calls are used up"))
        if not number & 0x3FF:
            self._check_time()
        before = self.caller
        if image:
            self.caller = image
        try:
            answer = service.function(*arguments, more) if prototype.variadic else service.function(*arguments)
        except BaseException as error:
            trace.add(CallRecord(number, depth, image, service.name, prototype, arguments, None))
            if isinstance(error, GuestPointerError):
                error.where.setdefault("service", service.name)
                self._with_report(error)
            raise
        finally:
            self.caller = before
        result = answer or 0
        trace.add(CallRecord(number, depth, image, service.name, prototype, arguments, result))
        self.after_service(service)
        return result

    # Ends

    def _check_time(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise self._with_report(BudgetUsedError(f"{self.budget.seconds:g} seconds are used up"))

    def _stopped(self, stop: Stop) -> HostError:
        pc: dict[str, int | str] = {"pc": stop.pc}
        if stop.reason is StopReason.HALTED:
            message = f"the processor was halted {MAX_HALTS} times without a service call"
            return self._with_report(GuestFaultError(message, where=pc), stop.pc)
        if stop.reason is StopReason.INSTRUCTIONS:
            count = self.budget.instructions
            return self._with_report(BudgetUsedError(f"{count} instructions without a service call", where=pc), stop.pc)
        if stop.reason is StopReason.INTERRUPTED:
            return self._with_report(BudgetUsedError(f"{self.budget.seconds:g} seconds are used up", where=pc), stop.pc)
        if stop.address is not None:
            pc["address"] = stop.address
        return self._with_report(GuestFaultError(stop.detail, where=pc), stop.pc)

    def _with_report(self, error: Failure, pc: int | None = None) -> Failure:
        if error.report is None:
            error.report = self.report(self._call_site if pc is None else pc)
        return error

    def report(self, pc: int | None = None) -> Report:
        """The state of the machine; its line is the instruction at ``pc``, by default at the program counter."""
        registers = {name: self.processor.read(name) for name in self.architecture.registers}
        at = registers[self.architecture.pc] if pc is None else pc
        return Report(
            registers,
            tuple(map(str, self.trace.last())),
            line_at(self.memory, self.architecture.name, at),
            self.image_at(at),
        )

    def close(self) -> None:
        """Give the processor back."""
        self._watchdog.close()
        self.processor.close()
