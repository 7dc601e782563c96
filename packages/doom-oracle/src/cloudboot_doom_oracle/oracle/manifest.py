"""``manifest.json``: what an oracle was made from, and its checkpoints."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from cloudboot_doom_oracle.engine.protocol import HEIGHT, WIDTH
from cloudboot_doom_oracle.errors import ManifestError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_LARGEST: Final = 16 << 20
_FILE: Final = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
MOST_TIC: Final = 10_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """The first frame drawn at ``tic`` or later.

    ``frame_hash`` is the SHA-256 of the RGB bytes, ``prndindex`` and ``mrndindex`` are the indices of the play's and
    the menu's random tables (the engine's prndindex and rndindex), ``frame_count`` the frames drawn until then.
    """

    tic: int
    frame_hash: str
    frame_ppm: str
    prndindex: int
    mrndindex: int
    frame_count: int
    width: int
    height: int


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """The keys of the file, in its order. ``gore_version`` is the engine's version, whatever the engine is.

    ``tolerance_chi2`` is in the manifests of guest oracles only.
    """

    seed: int
    wad: str
    wad_bytes: int
    wad_hash: str
    script_hash: str
    gore_version: str
    checkpoints: tuple[Checkpoint, ...]
    deterministic: bool
    tolerance_chi2: float | None = None

    def to_json(self) -> str:
        """The file's text."""
        facts = dataclasses.asdict(self)
        if self.tolerance_chi2 is None:
            del facts["tolerance_chi2"]
        return json.dumps(facts, indent=2) + "\n"

    @classmethod
    def from_json(cls, data: bytes, path: str) -> Manifest:
        """Read the file's text; keys it does not know are passed over.

        Raises:
            ManifestError: it is no manifest, or a field has another type.
        """
        if len(data) > _LARGEST:
            raise _bad(path, "the manifest is too long", actual=len(data))
        try:
            facts = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _bad(path, f"not JSON: {error}") from None
        if not isinstance(facts, dict) or not isinstance(facts.get("checkpoints"), list):
            raise _bad(path, "not a manifest", field="checkpoints")
        checkpoints = tuple(
            _record(Checkpoint, entry, path, {"checkpoint": number})
            for number, entry in enumerate(facts["checkpoints"], 1)
        )
        tics = [checkpoint.tic for checkpoint in checkpoints]
        if not checkpoints or tics != sorted(set(tics)):
            raise _bad(path, "the checkpoints' tics do not rise", field="checkpoints", actual=str(tics)[:80])
        for point in checkpoints:
            where = {"tic": point.tic}
            if not 0 <= point.tic <= MOST_TIC:
                raise _bad(
                    path, f"a checkpoint is a tic from 0 to {MOST_TIC}", field="tic", actual=point.tic, where=where
                )
            if not _FILE.fullmatch(point.frame_ppm):
                raise _bad(
                    path, "a frame's file is not in the oracle", field="frame_ppm", actual=point.frame_ppm, where=where
                )
            if (point.width, point.height) != (WIDTH, HEIGHT):
                size = f"{point.width}x{point.height}"
                raise _bad(
                    path,
                    "a frame has another size",
                    field="width",
                    expected=f"{WIDTH}x{HEIGHT}",
                    actual=size,
                    where=where,
                )
        manifest: Manifest = _record(cls, {**facts, "checkpoints": checkpoints}, path)
        tolerance = manifest.tolerance_chi2
        if tolerance is not None and not 0 <= tolerance < math.inf:  # NaN is in no range
            raise _bad(path, "not a finite distance of 0 or more", field="tolerance_chi2", actual=tolerance)
        return manifest


_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "str": (str,),
    "bool": (bool,),
    "float | None": (int, float, type(None)),
    "tuple[Checkpoint, ...]": (tuple,),
}


def _record(kind: Any, facts: object, path: str, where: Mapping[str, int] = MappingProxyType({})) -> Any:
    if not isinstance(facts, dict):
        raise _bad(path, "not an object", actual=str(facts)[:40], where=dict(where))
    values = {}
    for field in dataclasses.fields(kind):
        if field.name not in facts and field.default is not dataclasses.MISSING:
            continue
        value = facts.get(field.name)
        allowed = _TYPES[str(field.type)]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise _bad(
                path, "the field is missing or has another type", field=field.name, actual=str(value)[:40],
                where=dict(where),
            )  # fmt: skip
        if field.name.endswith("_hash") and not _SHA256.fullmatch(str(value)):
            raise _bad(
                path, "not a SHA-256 in lower-case hexadecimal", field=field.name, actual=str(value)[:80],
                where=dict(where),
            )  # fmt: skip
        values[field.name] = value
    return kind(**values)


def _bad(path: str, message: str, **facts: Any) -> ManifestError:
    return ManifestError(message, structure="manifest", path=path, **facts)
