"""``--from`` of ``cloudboot image build``: a medium on this machine, or one that is downloaded first."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from cloudboot_base import UsageError
from cloudboot_probes.inputs import check_file
from cloudboot_probes.media.download import download, is_url, verify_file
from cloudboot_probes.media.prepare import SYSTEMS, prepared

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from cloudboot_probes.recipe import Recipe

    from .console import Console


@contextlib.contextmanager
def resolved(recipe: Recipe, options: argparse.Namespace, console: Console) -> Iterator[Recipe]:
    """``recipe`` with what ``--from`` brings; without that option, as it is.

    Raises:
        UsageError: the recipe needs a medium and has none, or a URL came without ``--sha256``.
        DownloadError: the medium cannot be downloaded.
    """
    source: str | None = options.medium
    if source is None:
        if options.sha256 is not None:
            raise UsageError("--sha256 is the medium's, and there is no --from")
        if recipe.system in SYSTEMS and not recipe.esp.files:
            raise UsageError(
                f"the recipe {recipe.name} needs a medium or a loader",
                hint="--from an ISO image, a disk image, a folder or a tar archive; or --loader FILE",
            )
        yield recipe
        return
    if is_url(source):
        if options.sha256 is None:
            raise UsageError("a URL needs --sha256, so that everybody builds from the same medium")
        with console.progress("downloading") as progress:
            path = download(source, options.sha256, progress=progress)
    else:
        path = Path(source)
        if not path.is_dir():
            check_file(path)
        if options.sha256 is not None:
            verify_file(path, options.sha256)
    if recipe.system == "windows":
        yield dataclasses.replace(recipe, windows=dataclasses.replace(recipe.windows, source=path))
        return
    with prepared(recipe, path, sha256=options.sha256, say=lambda text: console.say(f"cloudboot: {text}")) as made:
        yield made
