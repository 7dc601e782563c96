"""What remains of a fuzz campaign: one corpus for each harness, one crash for each cause."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_base.command import counted

from .running import fuzz_command, run

if TYPE_CHECKING:
    from collections.abc import Iterable

_MERGE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a harness. ``corpus`` counts inputs, ``before`` those of all cells, ``causes`` crashes."""

    harness: str
    folder: str
    before: int
    corpus: int
    causes: list[str]
    examples: int

    def __str__(self) -> str:
        """One line for people."""
        told = f"{Path(self.harness).name}: {self.before} inputs merged into {self.corpus}"
        told += f", {counted(len(self.causes), 'cause')} of crashes" if self.causes else ""
        return f"{told}, in {self.folder}"


def merge_campaign(results: Iterable[dict[str, Any]], cells: Path, target: Path) -> list[Merged]:
    """Merge what the cells of kind ``fuzz`` left below ``cells`` into ``target``, one folder for each harness.

    The corpus is what libFuzzer keeps of all of them: the smallest inputs that together cover as much.
    """
    by_harness: dict[str, list[Path]] = {}
    for result in results:
        folder = cells / result["key"][:2] / result["key"]
        if result["kind"] == "fuzz" and (folder / "result.json").is_file():
            inputs = json.loads((folder / "result.json").read_bytes())["inputs"]
            by_harness.setdefault(inputs["harness"], []).append(folder)
    return [_merge(Path(harness), folders, target) for harness, folders in sorted(by_harness.items())]


def _merge(harness: Path, folders: list[Path], target: Path) -> Merged:
    place = target / f"{harness.stem}-{hashlib.sha256(str(harness).encode()).hexdigest()[:8]}"
    corpora = [folder / "corpus" for folder in folders if (folder / "corpus").is_dir()]
    before = sum(1 for corpus in corpora for _ in corpus.iterdir())
    corpus = place / "corpus"
    if corpora and harness.is_file():
        with tempfile.TemporaryDirectory(prefix="cloudboot-fleet-merge-") as name:
            merged = Path(name) / "merged"
            merged.mkdir()
            known = [str(corpus)] if corpus.is_dir() else []
            command = fuzz_command(harness, Path(name), "-merge=1", str(merged), *known, *map(str, corpora))
            run(command, seconds=_MERGE_SECONDS, folder=Path(name))
            if any(merged.iterdir()):  # else the merge failed, and what there is stays
                shutil.rmtree(corpus, ignore_errors=True)
                shutil.copytree(merged, corpus)
    causes = _crashes(folders, place / "crashes")
    examples = _examples(folders, place / "examples")
    kept = sum(1 for _ in corpus.iterdir()) if corpus.is_dir() else 0
    return Merged(str(harness), str(place), before, kept, causes, examples)


def _crashes(folders: list[Path], target: Path) -> list[str]:
    """Of each cause the smallest input."""
    best: dict[str, Path] = {}
    for crash in sorted(each for folder in folders for each in folder.glob("crashes/*")):
        size = (crash / "input").stat().st_size
        if crash.name not in best or size < (best[crash.name] / "input").stat().st_size:
            best[crash.name] = crash
    for name, crash in best.items():
        shutil.copytree(crash, target / name, dirs_exist_ok=True)
    return sorted((crash / "cause.txt").read_text().strip() for crash in best.values())


def _examples(folders: list[Path], target: Path) -> int:
    """The union of Hypothesis's databases, which name each example by its digest."""
    for folder in folders:
        if (folder / "examples").is_dir():
            shutil.copytree(folder / "examples", target, dirs_exist_ok=True)
    return sum(path.is_file() for path in target.rglob("*")) if target.is_dir() else 0
