"""What can go wrong between a WAD and a verdict.

    OracleError                   anything this package raises
    +-- WadError                  a file is no IWAD, or is damaged (a FormatError)
    +-- ScriptError               a line of an input script cannot be used (a UsageError)
    +-- ManifestError             an oracle is damaged, or was made from something else (a FormatError)
    +-- WavError                  a sound file is damaged, or has another format (a FormatError)
    +-- EngineError               the engine did not start, died, or hung: exit code and last words
    +-- GuestError                a device or its machine failed while frames or sounds went through it

Exit codes: 1 a gate failed, 3 damaged input, 30 in general, 31 the engine, 32 the machine, 33 an oracle of another WAD,
34 no verdict because the host was too busy.
"""

from __future__ import annotations

from cloudboot_base import Error, FormatError, UsageError


class OracleError(Error):
    """The base of the tree."""

    exit_code = 30


class WadError(OracleError, FormatError):
    """A file is no IWAD, or is damaged."""

    exit_code = FormatError.exit_code


class ScriptError(OracleError, UsageError):
    """A line of an input script cannot be used; ``where`` names the line."""

    exit_code = UsageError.exit_code


class ManifestError(OracleError, FormatError):
    """An oracle is damaged."""

    exit_code = FormatError.exit_code


class OtherWadError(ManifestError):
    """An oracle was made from another WAD, script or seed."""

    exit_code = 33


class WavError(OracleError, FormatError):
    """A sound file is damaged, or has another format."""

    exit_code = FormatError.exit_code


class EngineError(OracleError):
    """The engine did not start, died, or hung.

    ``status`` is its exit code (negative: the signal), ``None`` while it still ran; ``tic`` is the last that it told.
    """

    exit_code = 31

    def __init__(
        self, message: str, *, tic: int, status: int | None, output: str = "", hint: str | None = None
    ) -> None:
        self.tic = tic
        self.status = status
        last = " | ".join(line for line in output.splitlines()[-3:] if line)
        super().__init__(f"{message}: {last}" if last else message, where={"tic": tic}, hint=hint)


class GuestError(OracleError):
    """A device or its machine failed while frames or sounds went through it."""

    exit_code = 32
