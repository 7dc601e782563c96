"""The processor over Unicorn: amd64, arm64 and riscv64 in this process.

Unicorn's library is GPL-2.0, so it is an extra that a user installs, and nothing outside this module imports it.

The general registers and the start of the emulation go to the library directly, with values that need no conversion:
through the binding, five registers take 16 microseconds, directly 0.8 (``benchmarks/uefi.py``). Only the emulation
gives up the interpreter's lock, so that another thread can end it.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import TYPE_CHECKING, Any, cast

import unicorn
from unicorn import arm64_const, riscv_const, x86_const
from unicorn.unicorn_py3 import unicorn as binding

from cloudboot_uefi_host.errors import BackEndError
from cloudboot_uefi_host.memory import GuestMemory

from . import arm64, x86
from .architecture import TRAP_SIZE
from .counters import RDMSR, riscv_counter, riscv_counters, x86_counters
from .exceptions import Exceptions, X86Exception
from .io_apic import IO_APIC, IO_APIC_SIZE, IoApic
from .local_apic import LOCAL_APIC, LOCAL_APIC_SIZE, LocalApic
from .ports import Ports
from .processor import Stop, StopReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .architecture import Architecture
    from .processor import CounterSource

#: Bytes at the end of RAM that are a mapping of their own. Traps and stack guards are there: Unicorn protects pages by
#: mapping the whole of the mapping around them again, page by page (130 ms for 512 MiB on arm64).
_TOP: int = 4 << 20
_OK, _INVALID = unicorn.UC_ERR_OK, unicorn.UC_ERR_INSN_INVALID
_LIBRARY, _OPENED = binding.uclib._name, binding.uclib._handle  # noqa: SLF001 -- the library that the binding has opened
_EMULATE = ctypes.CDLL(_LIBRARY, handle=_OPENED).uc_emu_start
_LOCKED = ctypes.PyDLL(_LIBRARY, handle=_OPENED)
_READ, _WRITE, _READ_MANY = _LOCKED.uc_reg_read, _LOCKED.uc_reg_write, _LOCKED.uc_reg_read_batch
_KINDS = {
    "amd64": (unicorn.UC_ARCH_X86, unicorn.UC_MODE_64, x86_const, "UC_X86_REG_"),
    "arm64": (unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM, arm64_const, "UC_ARM64_REG_"),
    "riscv64": (unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64, riscv_const, "UC_RISCV_REG_"),
}
#: The NS16550 of QEMU's virt machine for riscv64; the line status says that it can transmit.
_UART, _UART_SIZE, _LINE_STATUS, _TRANSMITTER_EMPTY = 0x1000_0000, 0x1000, 5, 0x60
_MAX_SERIAL = 1 << 20
#: Where emulation would end by itself, until there is a trap that no service uses: no address a program reaches.
_NOWHERE = 0xFFFF_FFFF_FFFF_F000
_ZERO = ctypes.c_uint64(0)
_WIDE = ("xmm", "ymm", "v", "q")
_PAGE = 4096
_MSTATUS_FS_INITIAL = 1 << 13
_RISCV_ILLEGAL = 2
#: The instructions that wait for an interrupt: the processor stops behind them.
_WAITS = {"amd64": b"\xf4", "arm64": bytes.fromhex("7f2003d5"), "riscv64": bytes.fromhex("73005010")}
#: Exceptions of arm64, as QEMU numbers them: prefetch abort and data abort.
_ABORTS = frozenset({3, 4})
_UD2, _CLD = b"\x0f\x0b", b"\xfc"
#: Nehalem has what UEFI and its loaders ask for, and neither RDRAND nor RDSEED, whose results would not repeat.
_X86_MODEL = x86_const.UC_CPU_X86_NEHALEM
#: Error codes of page faults, for pages that the firmware protects itself.
_PROTECTED = {
    unicorn.UC_MEM_READ_PROT: 0,
    unicorn.UC_MEM_WRITE_PROT: x86.PAGE_WRITE,
    unicorn.UC_MEM_FETCH_PROT: x86.PAGE_FETCH,
}
_ACCESS = {
    unicorn.UC_MEM_READ_UNMAPPED: "read of unmapped memory",
    unicorn.UC_MEM_WRITE_UNMAPPED: "write to unmapped memory",
    unicorn.UC_MEM_FETCH_UNMAPPED: "execution of unmapped memory",
    unicorn.UC_MEM_READ_PROT: "read of protected memory",
    unicorn.UC_MEM_WRITE_PROT: "write to protected memory",
    unicorn.UC_MEM_FETCH_PROT: "execution of protected memory",
}


class UnicornProcessor:
    """A processor of Unicorn with its RAM.

    Raises:
        BackEndError: the library refused the memory or a setting.
    """

    name = "unicorn"

    def __init__(self, architecture: Architecture, memory_size: int, counter: CounterSource) -> None:
        self.architecture = architecture
        self._counter = counter
        kind, mode, self._names, self._prefix = _KINDS[architecture.name]
        self._uc = unicorn.Uc(kind, mode)
        self._handle = self._uc._uch  # noqa: SLF001 -- see the module
        self._ids: dict[str, int] = {}
        self._batches: dict[tuple[str, ...], tuple[Any, Any, Any, int]] = {}
        self._value = ctypes.c_uint64()
        self._value_at = ctypes.byref(self._value)
        self._pc = self._id(architecture.pc)
        self._wait = _WAITS[architecture.name]
        self._traps = range(0)
        self._fault: tuple[str, int | None] | None = None
        self._interrupt: int | None = None
        self._exception: X86Exception | None = None
        self._interrupted = False
        self._start, self._count = ctypes.c_uint64(), ctypes.c_uint64()
        self._end = ctypes.c_uint64(_NOWHERE)
        self._hooked: set[int] = set()
        self._counters: list[tuple[int, int]] = []
        #: Where emulation started: blocks that the hook is not called for. ``None``: nothing has to be searched.
        self._searched: set[int] | None = None
        #: The blocks of amd64 whose last byte is that of HLT: their starts, by their ends.
        self._halting: dict[int, int] = {}
        self._ports = Ports(counter, architecture.counter_frequency)
        #: What programs wrote to the serial port.
        self.serial = self._ports.serial.sent
        self._buffer = mmap.mmap(-1, memory_size)
        self._pin = (ctypes.c_char * memory_size).from_buffer(self._buffer)
        self.memory = GuestMemory(memoryview(self._buffer), architecture.ram_base)
        try:
            self._set_up()
        except unicorn.UcError as error:
            raise BackEndError(f"Unicorn refused the machine: {error}") from error

    def _set_up(self) -> None:
        if self.architecture.name == "amd64":
            self._uc.ctl_set_cpu_model(_X86_MODEL)
        base, address = self.architecture.ram_base, ctypes.addressof(self._pin)
        below = max(self.memory.size - _TOP, self.memory.size // 2) // _PAGE * _PAGE
        for offset, size in ((0, below), (below, self.memory.size - below)):
            self._uc.mem_map_ptr(base + offset, size, unicorn.UC_PROT_ALL, address + offset)
        self._uc.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED | unicorn.UC_HOOK_MEM_PROT, self._on_access)
        self._uc.hook_add(unicorn.UC_HOOK_INTR, self._on_interrupt)
        {"amd64": self._set_up_amd64, "arm64": self._set_up_arm64, "riscv64": self._set_up_riscv64}[
            self.architecture.name
        ]()

    def _set_up_amd64(self) -> None:
        """Paging and segments: the tables are in the first 64 KiB, which the firmware keeps reserved."""
        uc = self._uc
        gigabytes = max(4, -(-self.memory.end // (1 << 30)))
        self._exceptions = Exceptions(uc, self.memory)
        for address, content in (
            (x86.GDT, x86.gdt()),
            (x86.HANDLERS.start, x86.handlers()),
            (x86.IDT, x86.idt()),
            (x86.PAGE_TABLES, x86.page_tables(x86.PAGE_TABLES, gigabytes)),
        ):
            self.memory.write(address, content)
        uc.reg_write(x86_const.UC_X86_REG_GDTR, (0, x86.GDT, len(x86.gdt()) - 1, 0))
        uc.reg_write(x86_const.UC_X86_REG_IDTR, (0, x86.IDT, len(x86.idt()) - 1, 0))
        uc.reg_write(x86_const.UC_X86_REG_CR4, x86.CR4)
        uc.reg_write(x86_const.UC_X86_REG_CR3, x86.PAGE_TABLES)
        uc.reg_write(x86_const.UC_X86_REG_CR0, x86.CR0)
        for register in x86.MODEL_REGISTERS:
            uc.reg_write(x86_const.UC_X86_REG_MSR, register)
        for name in ("DS", "ES", "FS", "GS", "SS"):
            uc.reg_write(getattr(x86_const, f"UC_X86_REG_{name}"), x86.DATA_SELECTOR)
        uc.reg_write(x86_const.UC_X86_REG_CS, x86.CODE_SELECTOR)
        uc.reg_write(x86_const.UC_X86_REG_RFLAGS, x86.FLAGS)
        uc.reg_write(x86_const.UC_X86_REG_MXCSR, x86.MXCSR)
        uc.reg_write(x86_const.UC_X86_REG_FPCW, x86.FPU_CONTROL)
        uc.hook_add(unicorn.UC_HOOK_INSN, self._on_in, None, 1, 0, x86_const.UC_X86_INS_IN)
        uc.hook_add(unicorn.UC_HOOK_INSN, self._on_out, None, 1, 0, x86_const.UC_X86_INS_OUT)
        local, shared = LocalApic(self._counter, self.architecture.counter_frequency), IoApic()
        for address, size, device in ((LOCAL_APIC, LOCAL_APIC_SIZE, local), (IO_APIC, IO_APIC_SIZE, shared)):
            if self.memory.end <= address:
                uc.mmio_map(address, size, self._on_device_read, device, self._on_device_write, device)

    def _set_up_arm64(self) -> None:
        """The MMU: the table is the last page of RAM, which the firmware keeps reserved."""
        uc = self._uc
        table = self.memory.end - arm64.TABLE_SIZE
        self.memory.write(table, arm64.translation_table(self.memory.base))
        for register, value in (*arm64.LOWER_IS_AARCH64, *arm64.registers(table)):
            self._set_system_register(register, value)
        self._set_system_register(arm64.SCTLR, arm64.enabled(self._system_register(arm64.SCTLR)))
        uc.hook_add(unicorn.UC_HOOK_INSN, self._on_mrs, None, 1, 0, arm64_const.UC_ARM64_INS_MRS)

    def _system_register(self, register: arm64.SystemRegister) -> int:
        op0, op1, crn, crm, op2 = register
        return int(self._uc.reg_read(arm64_const.UC_ARM64_REG_CP_REG, (crn, crm, op0, op1, op2)))

    def _set_system_register(self, register: arm64.SystemRegister, value: int) -> None:
        op0, op1, crn, crm, op2 = register
        self._uc.reg_write(arm64_const.UC_ARM64_REG_CP_REG, (crn, crm, op0, op1, op2, value))

    def _set_up_riscv64(self) -> None:
        status = self._uc.reg_read(riscv_const.UC_RISCV_REG_MSTATUS)
        self._uc.reg_write(riscv_const.UC_RISCV_REG_MSTATUS, status | _MSTATUS_FS_INITIAL)
        # Modules of EDK2 that were built for QEMU's virt machine print debug text to its serial port.
        self._uc.mmio_map(_UART, _UART_SIZE, self._on_uart_read, None, self._on_uart_write, None)

    # Registers

    def _id(self, register: str) -> int:
        found = self._ids.get(register)
        if found is None:
            found = self._ids[register] = int(getattr(self._names, self._prefix + register.upper()))
        return found

    def read(self, register: str) -> int:
        """The value of a register."""
        if register.startswith(_WIDE):
            return int(self._uc.reg_read(self._id(register)))
        self._value.value = 0
        _READ(self._handle, self._id(register), self._value_at)
        return self._value.value

    def write(self, register: str, value: int) -> None:
        """Set a register."""
        if register.startswith(_WIDE):
            self._uc.reg_write(self._id(register), value)
            return
        self._value.value = value
        _WRITE(self._handle, self._id(register), self._value_at)

    def read_many(self, registers: Sequence[str]) -> list[int]:
        """The values of several general registers."""
        key = tuple(registers)
        batch = self._batches.get(key)
        if batch is None:
            count = len(key)
            values = (ctypes.c_uint64 * count)()
            places = (ctypes.c_void_p * count)(*(ctypes.addressof(values) + 8 * index for index in range(count)))
            batch = (ctypes.c_int * count)(*map(self._id, key)), places, values, count
            self._batches[key] = batch
        numbers, places, values, count = batch
        _READ_MANY(self._handle, numbers, places, count)
        return cast("list[int]", values[:])

    def save(self) -> object:
        """All registers."""
        return self._uc.context_save()

    def restore(self, state: object) -> None:
        """Set all registers."""
        self._uc.context_restore(state)

    # Memory and code

    def place_traps(self, address: int, size: int) -> None:
        """Fill the table with trap code and protect it."""
        # Waiting for an interrupt ends the emulation in half the time that a hook takes.
        trap = (self._wait + self.architecture.trap_code[self.architecture.trap_size :]).ljust(TRAP_SIZE, b"\0")
        self.memory.write(address, trap * (size // TRAP_SIZE))
        self._uc.mem_protect(address, size, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._traps = range(address, address + size)
        self._end.value = self._traps[-TRAP_SIZE]
        if self.architecture.name != "arm64":  # the counters of arm64 have a hook of their own
            self._uc.hook_add(unicorn.UC_HOOK_EDGE_GENERATED, self._on_code)
            self._searched = set()

    def guard(self, address: int, size: int) -> None:
        """Make accesses to these pages faults."""
        self._uc.mem_protect(address, size, unicorn.UC_PROT_NONE)

    def load_code(self, address: int, size: int) -> None:
        """Forget translations of this range."""
        self._uc.ctl_remove_cache(address, address + size)
        if self._searched is not None:
            self._searched.clear()

    def _search_start(self, pc: int, searched: set[int]) -> None:
        """Look for time counters in the block that emulation starts with, which is no longer than a page."""
        searched.add(pc)
        self._search(pc, min(_PAGE, self.memory.end - pc))
        self._hook_counters()

    def _search(self, address: int, size: int) -> None:
        code = self._bytes(address, size)
        found = x86_counters(code) if self.architecture.name == "amd64" else riscv_counters(code)
        self._counters += [(address + at, width) for at, width in found if address + at not in self._hooked]

    def _hook_counters(self) -> None:
        """Hook the time counters that are new; code that was translated with them is translated again."""
        function = self._on_rdtsc if self.architecture.name == "amd64" else self._on_rdtime
        for address, size in self._counters:  # a hook stays when its code is replaced: it looks at the bytes
            self._hooked.add(address)
            self._uc.hook_add(unicorn.UC_HOOK_CODE, function, size, address, address)
            self._uc.ctl_remove_cache(address, address + size)
        self._counters.clear()

    # Execution

    def run(self, pc: int, instructions: int = 0) -> Stop:
        """Execute from ``pc`` until something stops it."""
        if instructions and not self._count.value:
            self._uc.ctl_flush_tb()  # what was translated before does not count its instructions
        self._count.value = instructions
        while True:
            self._fault = self._interrupt = self._exception = None
            self._interrupted = False
            if self._searched is not None and pc not in self._searched:
                self._search_start(pc, self._searched)
            self._start.value = pc
            code = _EMULATE(self._handle, self._start, self._end, _ZERO, self._count)
            _READ(self._handle, self._pc, self._value_at)
            at = self._value.value
            if code == _OK and self._interrupt is None and self._fault is None:
                trap = at - len(self._wait)
                if trap in self._traps and (trap - self._traps.start) % TRAP_SIZE == 0:
                    return Stop(StopReason.TRAP, trap)
            if self._counters:
                self._hook_counters()
                pc = at
                continue
            after = self._go_on(at, code)
            if after is None:
                return self._stop(at, code, instructions)
            pc = after

    def _go_on(self, at: int, code: int) -> int | None:
        """Where the program goes on after an exception that is not the end of it; ``None`` where it is."""
        name = self.architecture.name
        if name == "riscv64" and self._interrupt == _RISCV_ILLEGAL:
            return self._read_time_register(at)
        if name != "amd64":
            return None
        exception = self._exception
        if code == _INVALID or (code == _OK and self._interrupt is None and self._bytes(at, 2) == _UD2):
            exception = X86Exception(x86.UNDEFINED)
        return None if exception is None else self._exceptions.deliver(exception, at)

    def _stop(self, at: int, code: int, instructions: int) -> Stop:
        """A stop that is no trap."""
        if self.architecture.name == "arm64" and self._interrupt in _ABORTS:
            self._find_access(at)
        if self._fault is not None:
            return Stop(StopReason.FAULT, at, *self._fault)
        if self._interrupt is not None:
            return self._unhandled(at)
        if code != _OK:
            return Stop(StopReason.FAULT, at, str(unicorn.UcError(code)))
        if self._interrupted:
            return Stop(StopReason.INTERRUPTED, at)
        halt = at - len(self._wait)
        if self._bytes(halt, len(self._wait)) == self._wait and not (instructions and self._ends_another(halt)):
            return self._halted(at, halt)
        if instructions:
            return Stop(StopReason.INSTRUCTIONS, at)
        return Stop(StopReason.FAULT, at, "the processor stopped at an instruction it cannot execute")

    def _ends_another(self, halt: int) -> bool:
        """Whether the byte of HLT at ``halt`` is the end of another instruction, such as ``mov r12, rsi`` (49 89 F4).

        Emulation that ends after a number of instructions may end behind either. HLT ends the block that it is in, so
        Unicorn is asked where the block ends, and where it would end with CLD in the place of HLT: that block is longer
        if HLT is an instruction. As an operand (ModRM, SIB, displacement, immediate) the two make the same length.
        """
        if self.architecture.name != "amd64" or halt in x86.HANDLERS:
            return False
        end = halt + 1
        starts = [self._halting[end]] if end in self._halting else []
        # The hook for new blocks is not called for the first block of each emulation.
        starts += sorted(pc for pc in self._searched or () if end - _PAGE < pc <= halt)[-1:]
        start = next((pc for pc in starts if self._block_end(pc) == end), None)
        if start is None:
            return True
        self.memory.write(halt, _CLD)
        self._uc.ctl_remove_cache(start, end)
        longer = self._block_end(start) > end
        self.memory.write(halt, self._wait)
        self._uc.ctl_remove_cache(start, end)
        return not longer and end % _PAGE != 0

    def _block_end(self, start: int) -> int:
        _, _, size = self._uc.ctl_request_cache(start)
        return start + int(size)

    def _find_access(self, at: int) -> None:
        """Which access the translation table does not allow: Unicorn does not say.

        The instruction runs again with addresses as they are; memory that no table maps is not there either.
        """
        control = self._system_register(arm64.SCTLR)
        (secure, mode), _ = arm64.LOWER_IS_AARCH64
        self._set_system_register(secure, 0)
        self._set_system_register(arm64.SCTLR, control & ~arm64.MMU)
        self._start.value = at
        _EMULATE(self._handle, self._start, self._end, _ZERO, ctypes.c_uint64(1))
        self._set_system_register(arm64.SCTLR, control)
        self._set_system_register(secure, mode)

    def _halted(self, after: int, at: int) -> Stop:
        if self.architecture.name == "amd64":
            if at in x86.HANDLERS:
                number = at - x86.HANDLERS.start
                return Stop(StopReason.FAULT, at, f"exception {number} was passed on to the firmware's handler")
            if not self.read("rflags") & x86.INTERRUPT_FLAG:
                return Stop(StopReason.FAULT, at, "the processor was halted with interrupts that never come")
        return Stop(StopReason.HALTED, after)

    def _unhandled(self, at: int) -> Stop:
        """An exception that the program has no handler for."""
        exception = self._exception
        if exception is None:
            return Stop(StopReason.FAULT, at, f"exception {self._interrupt}")
        self._exceptions.forget()
        if exception.number == x86.PAGE_FAULT:
            return Stop(StopReason.FAULT, at, "page fault", exception.address)
        return Stop(StopReason.FAULT, at, f"exception {exception.number}")

    def _bytes(self, address: int, count: int) -> bytes:
        """What is at an address; nothing where that is outside memory."""
        offset = address - self.memory.base
        return bytes(self.memory.view[offset : offset + count]) if 0 <= offset <= self.memory.size - count else b""

    def interrupt(self) -> None:
        """Stop the emulation from another thread."""
        self._interrupted = True
        self._uc.emu_stop()

    def close(self) -> None:
        """Drop the machine; the memory goes with its last user."""
        self._batches.clear()

    # What the emulation calls

    def _on_code(self, _uc: object, block: Any, _before: object, _data: object) -> None:
        """Look for time counters in a block of code that was translated and has not run; stop in front of it."""
        self._search(block.pc, block.size)
        end = block.pc + block.size
        if self._bytes(end - 1, 1) == self._wait:
            self._halting[end] = block.pc
        if self._counters:
            self._uc.emu_stop()

    def _on_access(self, _uc: object, access: int, address: int, _size: int, _value: int, _data: object) -> bool:
        address &= (1 << 64) - 1
        self._fault = _ACCESS.get(access, f"memory access {access}"), address
        if self.architecture.name == "amd64" and access in _PROTECTED:  # what the program's own handler is told
            present = x86.PAGE_PRESENT if address in self._traps else 0
            self._exception = X86Exception(x86.PAGE_FAULT, _PROTECTED[access] | present, address)
        return False

    def _on_interrupt(self, _uc: object, number: int, _data: object) -> None:
        if self._interrupt is None:  # a fault on the way to a handler that is not there follows the first
            self._interrupt = number
            if self.architecture.name == "amd64":
                self._exception = self._exceptions.seen(number)
        self._uc.emu_stop()

    def _on_in(self, _uc: object, port: int, size: int, _data: object) -> int:
        return self._ports.read(port, size)

    def _on_out(self, _uc: object, port: int, size: int, value: int, _data: object) -> None:
        self._ports.write(port, size, value)

    def _on_mrs(self, _uc: object, register: int, system: Any, _data: object) -> bool:
        """CNTPCT_EL0, CNTVCT_EL0 and their self-synchronised forms come from the counter source."""
        place = (system.op0, system.op1, system.crn, system.crm)
        if place != (3, 3, 14, 0) or system.op2 not in {1, 2, 5, 6}:
            return False
        self._uc.reg_write(register, self._counter.counter())
        return True

    def _on_device_read(self, _uc: object, offset: int, size: int, device: LocalApic | IoApic) -> int:
        return device.read(offset, size)

    def _on_device_write(self, _uc: object, offset: int, _size: int, value: int, device: LocalApic | IoApic) -> None:
        device.write(offset, value)

    def _on_uart_read(self, _uc: object, offset: int, _size: int, _data: object) -> int:
        return _TRANSMITTER_EMPTY if offset == _LINE_STATUS else 0

    def _on_uart_write(self, _uc: object, offset: int, _size: int, value: int, _data: object) -> None:
        if offset == 0 and len(self.serial) < _MAX_SERIAL:
            self.serial.append(value & 0xFF)

    def _on_rdtsc(self, _uc: object, address: int, _size: int, width: int) -> None:
        code = self.memory.read(address, width)
        if next(x86_counters(code), None) != (0, width):
            return  # the program has written something else there
        if code == RDMSR and (register := self.read("rcx") & 0xFFFFFFFF) != x86.TIME_STAMP:
            if register != x86.APIC_BASE:
                return  # the processor has it
            value = x86.APIC_ENABLED
        else:
            value = self._counter.counter()
        self.write("rax", value & 0xFFFFFFFF)
        self.write("rdx", value >> 32)
        if width == 3:
            self.write("rcx", 0)
        self.write("rip", address + width)

    def _on_rdtime(self, _uc: object, address: int, _size: int, _width: int) -> None:
        if self._read_counter(address):
            self.write("pc", address + 4)

    def _read_counter(self, address: int) -> bool:
        """Execute the instruction at ``address`` if it reads a counter of riscv64."""
        register = riscv_counter(self._bytes(address, 4))
        if register:
            self.write(f"x{register}", self._counter.counter())
        return register is not None

    def _read_time_register(self, at: int) -> int | None:
        """Unicorn has no ``time`` register: reading it where no hook is is an illegal instruction.

        Unicorn reports the address after the instruction. Gives the address to go on at, or ``None``.
        """
        for address in (at - 4, at):
            if self._read_counter(address):
                return address + 4
        return None
