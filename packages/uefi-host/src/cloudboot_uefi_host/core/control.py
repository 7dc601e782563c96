"""How a run leaves nested calls: exceptions that are no errors.

Unwind
+-- ImageExited         Exit was called: unwinds to the StartImage of that image
+-- RunEnded            ends the whole run
+-- MachineReset        ResetSystem was called
+-- BootServicesExited  ExitBootServices succeeded, and the run ends there
+-- AwaitingInput       the program waits for keys, and the script has no more
+-- ExpectedTextSeen    the text that the run was to reach has been printed
"""

from __future__ import annotations


class Unwind(Exception):  # noqa: N818 -- not an error
    """Leaves calls into programs."""


class ImageExited(Unwind):
    """An image called Exit."""

    def __init__(self, handle: int, status: int, data: str) -> None:
        super().__init__(handle, status)
        self.handle, self.status, self.data = handle, status, data


class RunEnded(Unwind):
    """The run is over."""


class MachineReset(RunEnded):
    """The program reset the machine: ``kind`` is EFI_RESET_TYPE."""

    def __init__(self, kind: int, status: int, data: bytes) -> None:
        super().__init__(kind, status)
        self.kind, self.status, self.data = kind, status, data


class BootServicesExited(RunEnded):
    """The program took the machine over."""

    def __init__(self, image: int) -> None:
        super().__init__(image)
        self.image = image


class AwaitingInput(RunEnded):
    """The program polls for keys that are not scripted."""


class ExpectedTextSeen(RunEnded):
    """The console shows what the run was to reach."""
