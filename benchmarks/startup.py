"""Weight: what a package takes on disk and to import, alone in a clean environment, beside its peers.

``python benchmarks/startup.py`` prints a table. For every subject it makes an environment with nothing but that
distribution and what it depends on (ours as wheels built from this tree, the others from the package index), and adds
up the files that came with it. Then every subject is imported in turn, ``--rounds`` times, by a fresh interpreter; the
table gives the fewest milliseconds of CPU, user and system, of the whole process and without those of an interpreter
that imports nothing. A subject that is a command prints its help instead. Others list the root directory of a
UFS2 image: the installed ``cloudboot-ufs2 ls``, with and without google-crc32c, and as its peer a script that prints
the same with dissect.ffs. The limits of a subject, where it has any, are in the last column: of a library for the
import alone, of a command for the whole process.
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

    With ``arguments`` the module's ``main`` is called with them, ``script`` is run in its place, and ``command`` is an
    installed command; the limit is then one of the whole process. ``IMAGE`` in them is the UFS2 image.
    """

    distribution: str
    module: str
    megabytes: float | None = None
    milliseconds: float | None = None
    arguments: tuple[str, ...] = ()
    script: str = ""
    command: tuple[str, ...] = ()

    @property
    def is_process(self) -> bool:
        """Whether the whole process is the subject, and not an import."""
        return bool(self.arguments or self.script or self.command)

    @property
    def label(self) -> str:
        return " ".join(self.arguments or self.command) or ("the same list" if self.script else "")

    def words(self, python: Path, image: Path) -> list[str]:
        """The command line of one run."""
        if self.command:
            program, *rest = self.command
            return [str(python.with_name(program)), *(str(image) if word == "IMAGE" else word for word in rest)]
        if self.script:
            return [str(python), "-I", "-c", self.script, str(image)]
        code = f"import {self.module}"
        if self.arguments:
            code = f"from {self.module} import main; main({list(self.arguments)!r})"
        return [str(python), "-I", "-c", code]

    @property
    def is_ours(self) -> bool:
        return self.distribution.startswith("cloudboot-")


LIST_WITH_DISSECT = """
import stat, sys, time
from dissect.ffs import FFS
with open(sys.argv[1], "rb") as file:
    for node in FFS(file).get("/").iterdir():
        found = node.inode
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(found.di_mtime))
        print(stat.filemode(found.di_mode), found.di_nlink, found.di_uid, found.di_gid, node.size, when, node.name)
"""
LS = ("cloudboot-ufs2", "ls", "IMAGE")

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
    Subject("cloudboot-ufs2", "cloudboot_ufs2", None, 90, command=LS),
    Subject("cloudboot-ufs2[fast]", "cloudboot_ufs2", None, 90, command=LS),
    Subject("dissect.ffs", "dissect.ffs", script=LIST_WITH_DISSECT),
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


def make_image(python: Path, folder: Path) -> Path:
    """A UFS2 image whose root holds forty files and a directory."""
    tree = folder / "tree"
    (tree / "directory").mkdir(parents=True)
    for number in range(40):
        (tree / f"file{number}").write_bytes(bytes(1000 * number))
    image = folder / "image.ufs"
    run(python.with_name("cloudboot-ufs2"), "build", image, tree)
    return image


def cpu(words: list[str]) -> float:
    """Milliseconds of CPU of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
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
        builder = next((found[each][0] for each in subjects if each.command), None)
        image = folder / "none" if builder is None else make_image(builder, folder)
        bare: list[float] = []
        times: dict[Subject, list[float]] = {each: [] for each in subjects}
        for _ in range(options.rounds):
            bare.append(cpu([str(found[subjects[0]][0]), "-I", "-c", "pass"]))
            for each in subjects:
                times[each].append(cpu(each.words(found[each][0], image)))
    print(f"python {sys.version.split()[0]}, {options.rounds} rounds; an interpreter alone: {min(bare):.0f} ms of CPU")
    print(f"{'distribution':20} {'installed MB':>12} {'CPU ms':>8} {'of it import':>13}  {'limits':12}  {'':6} command")
    targets = Targets()
    for each, (_, size) in found.items():
        best = min(times[each])
        limits, reached = [], True
        if each.megabytes is not None:
            limits.append(f"{each.megabytes:g} MB")
            reached = reached and size <= each.megabytes * MB
        if each.milliseconds is not None:
            limits.append(f"{each.milliseconds:g} ms")
            reached = reached and best - (0 if each.is_process else min(bare)) <= each.milliseconds
        row = f"{each.distribution:20} {size / MB:12.1f} {best:8.0f} {best - min(bare):13.0f}  {', '.join(limits):12}"
        verdict = targets.met(reached) if limits else ""
        print(f"{row}  {verdict:6} {each.label}".rstrip())
    return targets.exit_code


if __name__ == "__main__":
    sys.exit(main())
