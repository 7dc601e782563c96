"""Weight: what a package takes on disk and to import, alone in a clean environment, beside its peers.

``python benchmarks/startup.py`` prints a table. For every subject it makes an environment with nothing but that
distribution and what it depends on (ours as wheels built from this tree, the others from the package index), and adds
up the files that came with it. Then every subject is imported in turn, ``--rounds`` times, by a fresh interpreter; the
table gives the fewest milliseconds of CPU, user and system, of the whole process and without those of an interpreter
that imports nothing. A subject that is a command prints its help instead. The limits of a subject, where it has any,
are in the last column: of a library for the import alone, of a command for the whole process.
"""

from __future__ import annotations

import argparse
import compileall
import os
import resource
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

from _targets import Targets

ROOT = Path(__file__).parents[1]
PACKAGES = ROOT / "packages"
MB = 1_000_000


@dataclass(frozen=True)
class Subject:
    """A distribution and what importing it means; limits in MB and in milliseconds of CPU.

    With ``arguments`` the module's ``main`` is called with them, and the limit is one of the whole process.
    """

    distribution: str
    module: str
    megabytes: float | None = None
    milliseconds: float | None = None
    arguments: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """What an interpreter runs."""
        if not self.arguments:
            return f"import {self.module}"
        return f"from {self.module} import main; main({list(self.arguments)!r})"

    @property
    def is_ours(self) -> bool:
        return self.distribution.startswith("cloudboot-")


SUBJECTS = [
    Subject("cloudboot-base", "cloudboot_base"),
    Subject("cloudboot-gpt", "cloudboot_gpt", 4, 60),
    Subject("cloudboot-fat", "cloudboot_fat", 4, 60),
    Subject("cloudboot-ufs2", "cloudboot_ufs2", 6),
    *(
        Subject("cloudboot-fleet", "cloudboot_probes.cli", None, 150, words)
        for words in (("--help",), ("--version",), ("--completion", "bash"), ("fleet", "run", "--help"))
    ),
    Subject("gpt-image", "gpt_image"),
    Subject("dissect.fat", "dissect.fat"),
    Subject("dissect.ffs", "dissect.ffs"),
    Subject("oras", "oras.client"),
]


def run(*words: str | Path) -> None:
    done = subprocess.run(
        [os.fspath(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout}")


def build_wheels(folder: Path) -> None:
    """Wheels of every package of this tree."""
    for manifest in sorted(PACKAGES.glob("*/pyproject.toml")):
        run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, manifest.parent)


def files_in(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_size for path in folder.rglob("*") if path.is_file()}


def environment(folder: Path, subject: Subject, wheels: Path) -> tuple[Path, int]:
    """The interpreter of an environment with one subject, and the bytes that came with it, compiled files included."""
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    before = files_in(folder)
    run(python, "-m", "pip", "install", "-q", "--no-compile", "--find-links", wheels, subject.distribution)
    site = next(folder.glob("lib/python*/site-packages"))
    compileall.compile_dir(site, quiet=2, workers=1)
    added = {path: size for path, size in files_in(folder).items() if path not in before}
    return python, sum(size for path, size in added.items() if not {"pip", "setuptools"} & set(path.parts))


def cpu(python: Path, code: str) -> float:
    """Milliseconds of CPU of one run of an interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-I", "-c", code], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="Imports of every subject (default: 15).")
    parser.add_argument("--only", nargs="*", metavar="DISTRIBUTION", help="Measure these alone.")
    options = parser.parse_args()
    subjects = [each for each in SUBJECTS if not options.only or each.distribution in options.only]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_wheels(folder / "wheels")
        made = {each.distribution: each for each in subjects}
        places = {name: environment(folder / name, each, folder / "wheels") for name, each in made.items()}
        found = {each: places[each.distribution] for each in subjects}
        bare: list[float] = []
        times: dict[Subject, list[float]] = {each: [] for each in subjects}
        for _ in range(options.rounds):
            bare.append(cpu(found[subjects[0]][0], "pass"))
            for each in subjects:
                times[each].append(cpu(found[each][0], each.code))
    print(f"python {sys.version.split()[0]}, {options.rounds} rounds; an interpreter alone: {min(bare):.0f} ms of CPU")
    print(f"{'distribution':16} {'installed MB':>12} {'CPU ms':>8} {'of it import':>13}  {'limits':12}  {'':6} command")
    targets = Targets()
    for each, (_, size) in found.items():
        best = min(times[each])
        limits, reached = [], True
        if each.megabytes is not None:
            limits.append(f"{each.megabytes:g} MB")
            reached = reached and size <= each.megabytes * MB
        if each.milliseconds is not None:
            limits.append(f"{each.milliseconds:g} ms")
            reached = reached and best - (0 if each.arguments else min(bare)) <= each.milliseconds
        row = f"{each.distribution:16} {size / MB:12.1f} {best:8.0f} {best - min(bare):13.0f}  {', '.join(limits):12}"
        verdict = targets.met(reached) if limits else ""
        print(f"{row}  {verdict:6} {' '.join(each.arguments)}".rstrip())
    return targets.exit_code


if __name__ == "__main__":
    sys.exit(main())
