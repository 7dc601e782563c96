"""Exceptions on Unicorn's amd64: found with what the processor pushes for them, and given to a program's own handlers.

Unicorn reports an exception and executes no handler. The error code and the exception in progress have no register
name; they stand at fixed distances from the debug registers in the saved state of the processor. An exception counts as
in progress until its handler was entered, which Unicorn never sees, so that it makes a double fault of the next one.
"""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from unicorn import x86_const

from cloudboot_uefi_host.errors import GuestPointerError

from . import x86

if TYPE_CHECKING:
    from cloudboot_uefi_host.memory import GuestMemory

#: DR6 and DR7 after a reset, at 48 bytes from DR0; in front of DR0 the error code, a flag and the next address.
_RESET: bytes = struct.pack("<QQ", 0xFFFF0FF0, 0x400)
_ERROR_CODE, _IN_PROGRESS = -48 - 16, 16 + 4 * 8
_NONE = -1
_INT: int = 0xCD


class X86Exception(NamedTuple):
    """One exception: its vector, its error code, and what CR2 holds."""

    number: int
    error: int = 0
    address: int = 0


class Exceptions:
    """The exceptions of one processor; ``engine`` is Unicorn's, which has not executed anything yet."""

    def __init__(self, engine: Any, memory: GuestMemory) -> None:
        self._engine, self._memory = engine, memory
        self._place: int | None = None
        content = self._content(engine.context_save())
        if content.count(_RESET) == 1:
            self._place = content.index(_RESET)

    @staticmethod
    def _content(context: Any) -> bytes:
        return ctypes.string_at(context.context, context.size)

    def seen(self, number: int) -> X86Exception:
        """The exception that Unicorn reports now."""
        error = 0
        if self._place is not None and number in x86.WITH_ERROR_CODE:
            (error,) = struct.unpack_from("<i", self._content(self._engine.context_save()), self._place + _ERROR_CODE)
        return X86Exception(number, error, int(self._engine.reg_read(x86_const.UC_X86_REG_CR2)))

    def forget(self) -> None:
        """Let the next exception be one of its own, and not the second of a double fault."""
        if self._place is None:
            return
        state = self._engine.context_save()
        address = cast("int", state.context.value) + self._place + _IN_PROGRESS
        ctypes.memmove(address, struct.pack("<i", _NONE), 4)
        self._engine.context_restore(state)

    def deliver(self, exception: X86Exception, at: int) -> int | None:
        """Enter the program's handler of an exception at ``at``; its address, or ``None`` where it has none.

        A vector without a gate is a general protection fault with the vector in its error code.
        """
        entry = self._enter(exception, at)
        if entry is None and exception.number not in {x86.DOUBLE_FAULT, x86.GENERAL_PROTECTION}:
            at = self._start_of(exception.number, at)
            missing = X86Exception(x86.GENERAL_PROTECTION, exception.number << 3 | 2, exception.address)
            entry = self._enter(missing, at)
        if entry is None:
            return None
        engine = self._engine
        self.forget()
        if exception.number == x86.PAGE_FAULT:
            engine.reg_write(x86_const.UC_X86_REG_CR2, exception.address)
        if entry.cs != engine.reg_read(x86_const.UC_X86_REG_CS):
            engine.reg_write(x86_const.UC_X86_REG_CS, entry.cs)
        engine.reg_write(x86_const.UC_X86_REG_RFLAGS, entry.flags)
        engine.reg_write(x86_const.UC_X86_REG_RSP, entry.sp)
        return entry.ip

    def _start_of(self, number: int, at: int) -> int:
        """The address of the instruction: Unicorn reports the one after ``int``."""
        before = at - 2
        try:
            is_int = self._memory.read(before, 2) == bytes((_INT, number))
        except GuestPointerError:
            return at
        return before if is_int else at

    def _enter(self, exception: X86Exception, at: int) -> x86.Entry | None:
        read = self._engine.reg_read
        _, base, limit, _ = read(x86_const.UC_X86_REG_IDTR)
        _, task, _, _ = read(x86_const.UC_X86_REG_TR)
        names = (
            x86_const.UC_X86_REG_CS, x86_const.UC_X86_REG_RFLAGS, x86_const.UC_X86_REG_RSP, x86_const.UC_X86_REG_SS,
        )  # fmt: skip
        frame = x86.Frame(at, *map(read, names))
        try:
            entry = x86.deliver(self._memory, (exception.number, exception.error), (base, limit), task, frame)
        except GuestPointerError:
            return None
        return None if entry is None or entry.ip in x86.HANDLERS else entry
