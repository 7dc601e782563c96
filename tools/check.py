"""Run nox sessions side by side, one per processor, and say how each ended.

``python tools/check.py layers lint types`` runs every session of those names. The output of a session is printed when
it ends, so that two do not mix. The exit code is 0 when all of them passed, and 130 when the run was interrupted.

``--set-up`` installs the system programs that the tests need; meanwhile the sessions run that need none.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOX = Path(sys.executable).with_name("nox")
#: Seconds of one processor, roughly: what takes long starts first, so that nothing waits for it at the end.
LONG = {"tests": 60, "types": 20, "docs": 60, "wheel": 10, "layers": 5, "lint": 1}
#: Sessions that run Python programs only.
WITHOUT_SYSTEM = ("layers", "lint", "types")
LONGEST = ("probes", "ufs2", "oci-stream", "ntfs", "uefi-host", "virtio", "doom-oracle")
DISK_GIB = 8
PASSED = re.compile(r"^(?:=+ )?(?:(\d+) failed, )?(\d+) passed", re.MULTILINE)


def kind_of(session: str) -> str:
    """``"tests(gpt)"`` -> ``"tests"``."""
    return session.partition("(")[0]


@dataclass
class Outcome:
    """How one session ended; ``output`` is everything it printed."""

    session: str
    code: int
    seconds: float
    output: str


class Runner:
    """The sessions under way, so that an interruption can end them."""

    def __init__(self, posargs: list[str], *, ready: bool) -> None:
        self._posargs = posargs
        self._ready = threading.Event()  # the system programs are there
        if ready:
            self._ready.set()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def set_up(self) -> Outcome:
        """Install the system programs, which sessions wait for; without them nothing more is run."""
        outcome = self._run("set-up", [sys.executable, str(ROOT / "tools" / "setup.py"), "system"])
        if outcome.code:
            self.stop()
        self._ready.set()
        return outcome

    def run(self, session: str) -> Outcome:
        """Run one session to its end."""
        if kind_of(session) not in WITHOUT_SYSTEM:
            self._ready.wait()
        command = [str(NOX), "--session", session, *(["--", *self._posargs] if self._posargs else [])]
        return self._run(session, command)

    def _run(self, session: str, command: list[str]) -> Outcome:
        start = time.monotonic()
        with tempfile.TemporaryFile() as output:
            with self._lock:
                if self._stopped:
                    return Outcome(session, 130, 0.0, "")
                process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
                self._processes.add(process)
            code = process.wait()
            with self._lock:
                self._processes.discard(process)
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        return Outcome(session, code, time.monotonic() - start, text)

    def stop(self) -> None:
        """Interrupt what runs; start nothing more."""
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.terminate()
        self._ready.set()


def sessions(names: list[str]) -> list[str]:
    """Every session with one of these names, ``tests`` or ``tests(gpt)``, those that take long first.

    Raises:
        SystemExit: A name that no session has.
    """
    listed = subprocess.run(
        [NOX, "--list", "--json", "--session", *names], check=False, cwd=ROOT, stdout=subprocess.PIPE
    )
    if listed.returncode:
        sys.exit(listed.returncode)  # nox has said which name it does not know
    known = [(entry["name"], entry["session"]) for entry in json.loads(listed.stdout)]
    if missing := [name for name in names if not any(name in entry for entry in known)]:
        sys.exit(f"check: no nox session is named {', '.join(missing)}; 'nox --list' shows them")
    found = [entry for entry in known if any(name in entry for name in names)]

    def weight(entry: tuple[str, str]) -> float:
        name, session = entry
        package = session.partition("(")[2].rstrip(")")
        return LONG.get(name, 10) * (3 if package in LONGEST else 1)

    return [session for _, session in sorted(found, key=weight, reverse=True)]


def main() -> int:
    """Run the sessions and print a table of how they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help="names of nox sessions, all packages (tests) or one ('tests(gpt)')")
    parser.add_argument("--set-up", action="store_true", help="install the system programs of the tests")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many run at the same time")
    known, posargs = parser.parse_known_args()
    posargs = [word for word in posargs if word != "--"]
    chosen = sessions(known.names)
    free = shutil.disk_usage(ROOT).free >> 30
    print(
        f"check: {len(chosen)} sessions, {known.jobs} at a time; on two idle cores about half an hour, and up to "
        f"{DISK_GIB} GiB in .nox and .cache ({free} GiB are free)",
        file=sys.stderr, flush=True,
    )  # fmt: skip
    runner = Runner(posargs, ready=not known.set_up)
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(known.jobs) as pool:
        futures = [first.submit(runner.set_up)] if known.set_up else []
        if known.set_up:
            chosen.sort(key=lambda session: kind_of(session) not in WITHOUT_SYSTEM)
        futures += [pool.submit(runner.run, session) for session in chosen]
        try:
            for future in as_completed(futures):
                outcome = future.result()
                outcomes.append(outcome)
                state = "passed" if outcome.code == 0 else f"FAILED ({outcome.code})"
                print(f"\n=== {outcome.session}: {state} in {outcome.seconds:.0f} s", flush=True)
                print(outcome.output.rstrip(), flush=True)
        except KeyboardInterrupt:
            runner.stop()
            print("check: interrupted", file=sys.stderr)
            return 130
    failed = [outcome for outcome in outcomes if outcome.code]
    print("\n" + "\n".join(f"{o.seconds:7.0f} s  {o.session}" for o in sorted(outcomes, key=lambda o: -o.seconds)[:20]))
    for outcome in failed:
        print(f"FAILED {outcome.session}")
    tests = sum(int(found[2]) for outcome in outcomes for found in PASSED.finditer(outcome.output))
    bad = sum(int(found[1] or 0) for outcome in outcomes for found in PASSED.finditer(outcome.output))
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} sessions passed")
    print(f"{tests} passed, {bad} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
