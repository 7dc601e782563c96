"""The console: Simple Text Output, and Simple Text Input with keys from a script (UEFI 2.10 chapter 12)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cloudboot_uefi_abi.device_path import DevicePath, VendorHardware
from cloudboot_uefi_abi.guids import GUIDS
from cloudboot_uefi_abi.layout.records import EFI_INPUT_KEY, EFI_KEY_DATA
from cloudboot_uefi_abi.layout.records import SIMPLE_TEXT_OUTPUT_MODE as MODE
from cloudboot_uefi_abi.protocols.console import (
    EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL,
    EFI_SIMPLE_TEXT_INPUT_PROTOCOL,
    EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL,
)
from cloudboot_uefi_abi.status import Status

from .control import AwaitingInput
from .dialogue import Dialogue
from .events import EVT_NOTIFY_WAIT, TPL_NOTIFY
from .keys import Key
from .screen import COLUMNS, ROWS, Screen

if TYPE_CHECKING:
    from cloudboot_uefi_host.machine import Machine

    from .allocator import Allocator
    from .clock import Clock
    from .events import Event, Events
    from .handles import Handles
    from .publisher import Publisher

_SHIFT_VALID, _TOGGLE_VALID = 0x80000000, 0x80
_WHITE: Final = 0x07
PATH: Final = DevicePath.of(VendorHardware(UUID("d3b36f2c-d551-11d4-9a46-0090273fc14d"))).pack()
"""The console's device path, by the GUID that EDK2 marks console devices with.

It names no hardware: a serial port or an adapter in it would make FreeBSD's loader drive that instead.
"""


class Console(Dialogue):
    """The console of one machine.

    Times are virtual. ``screen`` is what is on the screen.
    """

    def __init__(
        self,
        machine: Machine,
        allocator: Allocator,
        publisher: Publisher,
        events: Events,
        handles: Handles,
        clock: Clock,
    ) -> None:
        super().__init__()
        self._machine, self._memory, self._events = machine, machine.memory, events
        self._allocator, self._clock = allocator, clock
        self.screen = Screen()
        self._keys: deque[Key] = deque()
        self._notifications: dict[int, tuple[Key, int]] = {}
        self._idle_polls, self._idle_since = 0, 0
        self._mode = allocator.place(
            MODE(MaxMode=1, Mode=0, Attribute=_WHITE, CursorColumn=0, CursorRow=0, CursorVisible=1).pack()
        )
        self._publish(publisher, handles)

    def _publish(self, publisher: Publisher, handles: Handles) -> None:
        self.output = publisher.publish(
            EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL,
            {
                "Reset": self._reset_output,
                "OutputString": self._output_string,
                "TestString": lambda _this, _string: Status.SUCCESS,
                "QueryMode": self._query_mode,
                "SetMode": self._set_mode,
                "SetAttribute": self._set_attribute,
                "ClearScreen": self._clear_screen,
                "SetCursorPosition": self._set_cursor_position,
                "EnableCursor": self._enable_cursor,
            },
            {"Mode": self._mode},
        )
        wait = self._events.create(EVT_NOTIFY_WAIT, TPL_NOTIFY, self._check_keys)
        self.input = publisher.publish(
            EFI_SIMPLE_TEXT_INPUT_PROTOCOL,
            {"Reset": self._reset_input, "ReadKeyStroke": self._read_key_stroke},
            {"WaitForKey": wait.address},
        )
        wait = self._events.create(EVT_NOTIFY_WAIT, TPL_NOTIFY, self._check_keys)
        self.input_ex = publisher.publish(
            EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL,
            {
                "Reset": self._reset_input,
                "ReadKeyStrokeEx": self._read_key_stroke_ex,
                "SetState": self._set_state,
                "RegisterKeyNotify": self._register_key_notify,
                "UnregisterKeyNotify": self._unregister_key_notify,
            },
            {"WaitForKeyEx": wait.address},
        )
        self.handle = handles.create()
        for name, pointer in (
            ("EFI_DEVICE_PATH_PROTOCOL", self._allocator.place(PATH)),
            ("EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL", self.output),
            ("EFI_SIMPLE_TEXT_INPUT_PROTOCOL", self.input),
            ("EFI_SIMPLE_TEXT_INPUT_EX_PROTOCOL", self.input_ex),
        ):
            handles.install(self.handle, GUIDS[name].bytes_le, pointer)

    # The script

    def _has_key(self) -> bool:
        """Whether a key can be read; types the next keys if the console shows what the script waits for."""
        if not self._keys and (keys := self.next_keys()):
            self._keys.extend(keys)
            self._idle_polls = 0
        if self._keys:
            return True
        if not self._idle_polls:
            self._idle_since = self._clock.now
        self._idle_polls += 1
        budget = self._machine.budget
        waited = (self._clock.now - self._idle_since) / 10_000_000
        if budget.idle_polls and self._idle_polls > budget.idle_polls and waited >= budget.idle_seconds:
            raise AwaitingInput
        return False

    def _print(self, text: str) -> None:
        self._idle_polls = 0
        self.enter(self._machine.caller, text, self._clock.seconds())

    # Output

    def _sync(self) -> None:
        self._memory.put32(self._mode + MODE.LAYOUT.offsets["CursorColumn"], self.screen.column)
        self._memory.put32(self._mode + MODE.LAYOUT.offsets["CursorRow"], self.screen.row)

    def _reset_output(self, _this: int, _extended: int) -> int:
        self._set_attribute(_this, _WHITE)
        return self._clear_screen(_this)

    def _output_string(self, _this: int, string: int) -> int:
        if not string:
            return Status.INVALID_PARAMETER
        text = self._memory.text(string)
        self.screen.write(text)
        self._sync()
        self._print(text)
        return Status.SUCCESS

    def _query_mode(self, _this: int, mode: int, columns: int, rows: int) -> int:
        if mode != 0:
            return Status.UNSUPPORTED
        self._memory.put64(columns, COLUMNS)
        self._memory.put64(rows, ROWS)
        return Status.SUCCESS

    def _set_mode(self, this: int, mode: int) -> int:
        return self._clear_screen(this) if mode == 0 else Status.UNSUPPORTED

    def _set_attribute(self, _this: int, attribute: int) -> int:
        if attribute > 0x7F:
            return Status.UNSUPPORTED
        self._memory.put32(self._mode + MODE.LAYOUT.offsets["Attribute"], attribute)
        return Status.SUCCESS

    def _clear_screen(self, _this: int) -> int:
        self.screen.clear()
        self._sync()
        self._print("\n")
        return Status.SUCCESS

    def _set_cursor_position(self, _this: int, column: int, row: int) -> int:
        before = self.screen.row
        if not self.screen.move(column, row):
            return Status.UNSUPPORTED
        self._sync()
        if row != before:  # in the running text, a move to another row starts a line
            self._print("\n")
        return Status.SUCCESS

    def _enable_cursor(self, _this: int, visible: int) -> int:
        self._memory.put8(self._mode + MODE.LAYOUT.offsets["CursorVisible"], visible)
        return Status.SUCCESS

    # Input

    def _check_keys(self, event: Event) -> None:
        if self._has_key():
            self._events.signal(event)

    def _reset_input(self, _this: int, _extended: int) -> int:
        self._keys.clear()
        return Status.SUCCESS

    def _next_key(self) -> Key | None:
        if not self._has_key():
            return None
        key = self._keys.popleft()
        for wanted, function in list(self._notifications.values()):
            if wanted == key:
                data = self._allocator.place(self._key_data(key))
                self._machine.call(function, data)
        return key

    @staticmethod
    def _key_data(key: Key) -> bytes:
        record = EFI_INPUT_KEY(ScanCode=key.scan, UnicodeChar=key.character)
        return EFI_KEY_DATA(Key=record, KeyShiftState=_SHIFT_VALID, KeyToggleState=_TOGGLE_VALID).pack()

    def _read_key_stroke(self, _this: int, key: int) -> int:
        if not key:
            return Status.INVALID_PARAMETER
        found = self._next_key()
        if found is None:
            return Status.NOT_READY
        self._memory.write(key, EFI_INPUT_KEY(ScanCode=found.scan, UnicodeChar=found.character).pack())
        return Status.SUCCESS

    def _read_key_stroke_ex(self, _this: int, data: int) -> int:
        if not data:
            return Status.INVALID_PARAMETER
        found = self._next_key()
        if found is None:
            self._memory.fill(data, EFI_KEY_DATA.SIZE)
            return Status.NOT_READY
        self._memory.write(data, self._key_data(found))
        return Status.SUCCESS

    def _set_state(self, _this: int, state: int) -> int:
        """Lights of a keyboard that there is not; a state that does not say that it is one is refused."""
        if not state:
            return Status.INVALID_PARAMETER
        return Status.SUCCESS if self._memory.u8(state) & _TOGGLE_VALID else Status.UNSUPPORTED

    def _register_key_notify(self, _this: int, data: int, function: int, handle: int) -> int:
        if not data or not function or not handle:
            return Status.INVALID_PARAMETER
        record = EFI_KEY_DATA.unpack_from(self._memory.read(data, EFI_KEY_DATA.SIZE))
        token = self._allocator.place(bytes(16))
        self._notifications[token] = Key(record.Key.ScanCode, record.Key.UnicodeChar), function
        self._memory.put64(handle, token)
        return Status.SUCCESS

    def _unregister_key_notify(self, _this: int, handle: int) -> int:
        found = self._notifications.pop(handle, None)
        return Status.INVALID_PARAMETER if found is None else Status.SUCCESS
