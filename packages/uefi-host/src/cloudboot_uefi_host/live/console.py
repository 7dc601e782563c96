"""What programs print through ConOut, and keys typed on the serial line.

Breakpoints on the firmware's functions show every call; a call counts where it returns into an image that was started.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from cloudboot_uefi_host.core.control import AwaitingInput
from cloudboot_uefi_host.core.dialogue import Dialogue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudboot_uefi_host.core.keys import Key
    from cloudboot_uefi_host.memory import GuestMemory

WORK: Final = 3.0
"""Seconds of QEMU's processor time without output after which a program that asks for keys is taken to wait for one.
They do not depend on what else the host does; a program that polls for keys uses them up as fast as it can."""
SILENCE: Final = 30.0
"""The same in seconds of wall time, for a program that lets the processor sleep until a key comes."""
POLLS: Final = 100
"""How often a program has to ask then: one that has computed for long may ask once and go on."""
#: What EDK2's terminal driver takes for keys without a character, by scan code (UEFI 2.10 appendix B.1).
_ESCAPES: Final = {
    0x01: b"\x1b[A", 0x02: b"\x1b[B", 0x03: b"\x1b[C", 0x04: b"\x1b[D",
    0x05: b"\x1b[H", 0x06: b"\x1b[F", 0x07: b"\x1b[@", 0x08: b"\x1b[X",
    0x09: b"\x1b[?", 0x0A: b"\x1b[/", 0x17: b"\x1b",
    0x0B: b"\x1b[OP", 0x0C: b"\x1b[OQ", 0x0D: b"\x1b[OR", 0x0E: b"\x1b[OS", 0x0F: b"\x1b[OT", 0x10: b"\x1b[OU",
    0x11: b"\x1b[OV", 0x12: b"\x1b[OW", 0x13: b"\x1b[OX", 0x14: b"\x1b[OY",
}  # fmt: skip


def serial_bytes(keys: Sequence[Key]) -> bytes:
    """The bytes that a terminal sends for keys; a key that has none is left out."""
    return b"".join(
        _ESCAPES.get(key.scan, b"") if key.scan else chr(key.character).encode("utf-8", "replace") for key in keys
    )


class LiveConsole(Dialogue):
    """The console of a firmware in a machine. Times are in seconds since power on."""

    def __init__(
        self,
        memory: GuestMemory,
        seconds: Callable[[], float],
        send: Callable[[bytes], None],
        work: Callable[[], float],
    ) -> None:
        super().__init__()
        self._memory, self._seconds, self._send, self._work = memory, seconds, send, work
        self.begin()

    def output(self, image: str, text: str) -> None:
        """Take what an image printed, and type what the script answers.

        Raises:
            ExpectedTextSeen: the run is to end with this text.
        """
        self.begin()
        self.enter(image, text, self._seconds())
        self._answer()

    def output_string(self, image: str, string: int) -> None:
        """OutputString."""
        self.output(image, self._memory.text(string))

    def begin(self) -> None:
        """Silence counts from here."""
        self._spoken, self._worked, self._polls = time.monotonic(), self._work(), 0

    def _answer(self) -> None:
        keys = self.next_keys()
        if keys:
            self.begin()
            self._send(serial_bytes(keys))

    def silent(self) -> bool:
        """Whether nothing was printed or typed for so long that nothing will be."""
        return self._work() - self._worked > WORK or time.monotonic() - self._spoken > SILENCE

    def asked(self) -> None:
        """A program asks for a key.

        Raises:
            AwaitingInput: no more keys are scripted.
        """
        self._polls += 1
        if self._polls >= POLLS and self.silent():
            raise AwaitingInput
