"""What the tests of every package need: judges, damaged copies of good images, and checks of documents and help texts.

A *judge* is a program of another project. Where one is missing a test is skipped and says which package to
install; where ``CI`` is set the same absence fails, because there a skip would hide a missing proof.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .errors import UsageError
from .storage import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from typing_extensions import Buffer

    from .program import Program

#: Where ``tools/system.py`` unpacks Debian packages whose files are read and never run on this machine.
FOREIGN: Final = Path("/usr/local/lib/cloudboot-foreign")
_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/games"])


def judge(program: str, package: str) -> str:
    """The path of ``program``, which the Debian package ``package`` brings; skips (or fails in CI) without it."""
    import pytest

    path = shutil.which(program, path=_SEARCH_PATH)
    if path is None:
        message = f"{program} is not installed (Debian package {package})"
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse(message)
    return path


def judge_file(path: Path, package: str) -> Path:
    """``path``, which the Debian package ``package`` brings; skips (or fails in CI) without it."""
    import pytest

    if not path.exists():
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse(f"{path} is not installed (Debian package {package}; tools/system.py unpacks it)")
    return path


@contextlib.contextmanager
def loop_device(path: str | os.PathLike[str], sector_size: int = 512) -> Iterator[str]:
    """A block device that holds the file ``path``; skips where the caller may not attach one."""
    import pytest

    losetup = judge("losetup", "mount")
    command = [losetup, "--find", "--show", "--sector-size", str(sector_size), os.fspath(path)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop device can be attached, which needs root: {made.stderr.strip()}")
    try:
        yield made.stdout.strip()
    finally:
        subprocess.run([losetup, "--detach", made.stdout.strip()], check=True)


def run(
    *command: str | os.PathLike[str], stdin: bytes | None = None, timeout: float = 300, codes: Sequence[int] = (0,)
) -> str:
    """Run a judge and give what it printed, stdout and stderr together; another exit code than ``codes`` fails."""
    done = subprocess.run(
        command,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "PATH": _SEARCH_PATH},
    )
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode not in codes:
        words = " ".join(os.fspath(word) for word in command)
        raise AssertionError(f"{words} exited with {done.returncode}:\n{output}")
    return output


def ovmf(
    folder: Path,
    disk: Path,
    until: Callable[[str], bool],
    *,
    variables: bytes | None = None,
    secure: bool = False,
    seconds: float = 300,
) -> str:
    """What Debian's OVMF and its programs say on the serial line of a QEMU machine that starts from ``disk``.

    The machine is stopped as soon as ``until`` holds of the text, or if it turns itself off. Escape sequences are left
    out.

    Args:
        folder: where the variable store and the text are written.
        disk: an image, which is not written to; its device path is ``PciRoot(0x0)/Pci(0x2,0x0)``.
        until: whether the text is complete.
        variables: the variable store's bytes, whose boot order counts; Debian's empty store if ``None``.
        secure: use the build for Secure Boot, which wants system management mode.
        seconds: how long the machine may take.

    Raises:
        AssertionError: the time is over, or the machine ended before.
    """
    qemu = judge("qemu-system-x86_64", "qemu-system-x86")
    code = judge_file(Path(f"/usr/share/OVMF/OVMF_CODE_4M{'.secboot' if secure else ''}.fd"), "ovmf")
    flash, serial = folder / "ovmf.vars", folder / "ovmf.serial"
    flash.write_bytes(code.with_name("OVMF_VARS_4M.fd").read_bytes() if variables is None else variables)
    serial.unlink(missing_ok=True)
    protected = ["-global", "driver=cfi.pflash01,property=secure,value=on"] if secure else []
    machine = subprocess.Popen(
        [
            qemu, "-machine", f"q35,smm={'on' if secure else 'off'}", "-m", "512", "-accel", "tcg", "-nodefaults",
            "-display", "none", "-no-reboot", *protected,
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}",
            "-drive", f"if=pflash,format=raw,unit=1,file={flash}",
            "-drive", f"if=none,id=disk,format=raw,readonly=on,file={disk}",
            "-device", f"virtio-blk-pci,drive=disk,addr=2{'' if variables else ',bootindex=1'}",
            "-serial", f"file:{serial}",
        ],
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    text, end = "", time.monotonic() + seconds
    try:
        while True:
            ended = machine.poll() is not None  # asked before the text is read, which is then all of it
            text = _CONTROLS.sub("", serial.read_text("utf-8", "replace")) if serial.exists() else ""
            if until(text):
                return text
            if ended or time.monotonic() > end:
                raise AssertionError(f"OVMF did not come to the end: {text[-500:]}")
            time.sleep(0.1)
    finally:
        machine.kill()
        machine.wait()


_CONTROLS = re.compile(r"\x1b\[[0-9;=?]*[A-Za-z]")


def truncations(data: bytes, step: int) -> Iterator[bytes]:
    """``data`` cut short at every multiple of ``step``."""
    for size in range(0, len(data), step):
        yield data[:size]


def flipped(data: bytes, offset: int, mask: int = 0xFF) -> bytes:
    """``data`` with the bits of ``mask`` inverted in the byte at ``offset``."""
    changed = bytearray(data)
    changed[offset] ^= mask
    return bytes(changed)


_EXAMPLE = re.compile(
    r"^```(python|console)\n(.*?)^```\n(?:\n(?:((?:    [^\n]*\n)+)|```text\n(.*?)^```\n))?", re.DOTALL | re.MULTILINE
)


def run_examples(
    document: str, folder: Path, *, shape: Callable[[str], str] = str, before: str = "", warnings: str = "error"
) -> int:
    """Run every example of a Markdown document in ``folder``, in order, and compare with what it says is printed.

    A ``python`` block is a program; what it prints follows, indented or as a ``text`` block. A ``console`` block has
    lines after ``$``, with ``python`` for this interpreter, and what each prints, stderr included; they may fail, if
    what they say then is in the document, too.

    Args:
        document: the text.
        folder: where the programs run.
        shape: takes from both sides what differs between runs.
        before: a program that every Python example begins with.
        warnings: what Python examples do about warnings (``-W``); those of other people's packages may want ``ignore``.

    Returns:
        how many examples ran.
    """
    examples = list(_EXAMPLE.finditer(document))
    for found in examples:
        language, text, indented, fenced = found.groups(default="")
        if language == "python":
            expected = textwrap.dedent(indented) or fenced
            printed = _printed([sys.executable, "-W", warnings, "-c", before + text], folder, codes=(0,))
        else:
            expected, printed = text, ""
            # A line that ends in a backslash goes on in the next.
            for line in re.findall(r"^\$ ((?:.*\\\n)*.*)$", text, re.MULTILINE):
                printed += f"$ {line}\n" + _printed(["/bin/sh", "-c", line], folder)
        if shape(printed) != shape(expected):
            raise AssertionError(f"the document says\n{expected}\nand this was printed\n{printed}")
    return len(examples)


def help_defects(program: Program) -> list[str]:
    """What the help of a program lacks: one line for each argument or example at fault.

    Every command has at least a purpose. Every argument has a help text of whole sentences that names its default, if
    it has one. Every example is a command line of the program; files that it reads need not exist.
    """
    found = []
    for name, parser in program.commands.items():
        for action in parser._actions:  # noqa: SLF001 -- argparse shows them nowhere else
            text = action.help
            heading = f"{program.name} {name} {'/'.join(action.option_strings) or action.metavar or action.dest}"
            if not text:
                found.append(f"{heading}: no help")
            elif not (text[0].isupper() and text.endswith(".")):
                found.append(f"{heading}: the help is not a sentence: {text}")
            elif action.nargs != 0 and action.default not in _NO_DEFAULT and "default" not in text:
                found.append(f"{heading}: the help does not name the default {action.default!r}")
    for words in program.examples:
        name = max((each for each in program.commands if f"{words} ".startswith(f"{each} ")), key=len, default="")
        try:
            program.commands[name].read(shlex.split(words.removeprefix(name)))
        except (KeyError, UsageError) as error:
            found.append(f"{program.name} {words}: {error}")
    return found


_NO_DEFAULT: Final[tuple[object, ...]] = (None, False, argparse.SUPPRESS, [], {}, "")


def _printed(command: Sequence[str], folder: Path, *, codes: Sequence[int] | None = None) -> str:
    """What a command prints that finds this interpreter as ``python`` and beside it what is installed with it."""
    programs = folder / ".programs"
    programs.mkdir(exist_ok=True)
    python = programs / "python"
    if not python.exists():
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), _SEARCH_PATH])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        check=False,
    )
    printed = done.stdout.decode("utf-8", "replace")
    if codes is not None and done.returncode not in codes:
        raise AssertionError(f"{command[-1]}\nexited with {done.returncode}:\n{printed}")
    return printed


def loaded_modules(program: str, *words: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """The modules that an interpreter of its own has loaded after running ``program``, with ``words`` as arguments.

    What measures coverage loads modules too, so it is kept away from that interpreter.
    """
    told = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS")}
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint('', *sys.modules)", *words],
        env={**told, **(environment or {})},
        stdout=subprocess.PIPE,
        timeout=300,
        check=True,
    )
    return set(done.stdout.decode().splitlines()[-1].split())


class Journal(MemoryStorage):
    """Memory that remembers what was written to it, so that a test can cut it off after any write."""

    def __init__(self, buffer: bytearray) -> None:
        super().__init__(buffer)
        self.writes: list[tuple[int, bytes]] = []

    def write_at(self, offset: int, data: Buffer) -> None:
        """Write, and remember."""
        self.writes.append((offset, bytes(data)))
        super().write_at(offset, data)
