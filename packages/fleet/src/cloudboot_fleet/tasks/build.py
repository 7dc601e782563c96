"""Building an image as a cell: planned, built, checked, pushed."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_base import GateFailedError, Stage, run_stages
from cloudboot_base.command import counted
from cloudboot_disk_image import open_disk
from cloudboot_oci_stream import push_image
from cloudboot_probes import demo, image, recipe
from cloudboot_probes.describe import describe
from cloudboot_probes.disk import Disk

from .result import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping


def built(inputs: Mapping[str, Any], folder: Path) -> Path:
    """The image of the inputs' recipe, in ``folder``."""
    architecture = inputs.get("architecture", "amd64")
    if inputs["recipe"] == "demo":
        return demo.build(architecture, folder)
    made = recipe.load(inputs["recipe"])
    given = {name: inputs[name] for name in ("architecture", "sector_size") if name in inputs}
    if "seed" in inputs:
        given["seed"] = str(inputs["seed"])
    target = folder / "disk.img"
    image.build(image.plan(dataclasses.replace(made, **given)), target, force=True)
    return target


@dataclasses.dataclass
class _Build:
    inputs: Mapping[str, Any]
    folder: Path
    image: Path | None = None
    digest: str = ""


def _built(build: _Build) -> Mapping[str, object]:
    build.image = built(build.inputs, build.folder)
    with build.image.open("rb") as file:
        build.digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    return {"image": build.digest, "size": build.image.stat().st_size}


def _checked(build: _Build) -> Mapping[str, object]:
    with open_disk(str(build.image)) as disk:
        found = describe(Disk.open(disk.storage)).findings
    if found:
        raise GateFailedError(f"{counted(len(found), 'defect')} in the image: {found[0]}", evidence={"findings": found})
    return {"findings": 0}


def _pushed(build: _Build) -> Mapping[str, object]:
    pushed = push_image(str(build.image), build.inputs["push"])
    return {"reference": build.inputs["push"], "manifest": pushed.digest}


def _unpushed(build: _Build) -> str | None:
    return None if "push" in build.inputs else "no place to push it to is given"


STAGES = (
    Stage("build", "The recipe makes an image.", _built),
    Stage("check", "The checkers of its partition table and file systems find nothing.", _checked),
    Stage("push", "The place it is pushed to has it.", _pushed, _unpushed),
)


def run(cell: dict[str, Any], _folder: Path) -> Outcome:
    """Build, check and push an image; the image itself is not kept."""
    build = _Build(cell["inputs"], Path.cwd())
    gates = list(run_stages(STAGES, build))
    return Outcome.of_gates(gates, image=build.digest)
