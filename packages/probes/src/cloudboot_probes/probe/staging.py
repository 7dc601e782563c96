"""From a function to a stage: its docstring is the claim, and what the claim leaves open."""

from __future__ import annotations

import inspect
import traceback
from typing import TYPE_CHECKING

from cloudboot_base import Error
from cloudboot_base.errors import interrupted
from cloudboot_base.gates import Stage
from cloudboot_probes.errors import DefectError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .context import Probe

_TRACE = 5  # frames of a defect's traceback that a report shows
_OPEN = "Leaves open: "


def stage(
    name: str,
    run: Callable[[Probe], Mapping[str, object]],
    *,
    headline: str | None = None,
    not_applicable: Callable[[Probe], str | None] | None = None,
) -> Stage[Probe]:
    """The stage ``name`` that calls ``run``.

    The first paragraph of ``run``'s docstring is the claim that passing proves; a paragraph that begins with "Leaves
    open: " what it does not. ``headline`` is a format string over the evidence.

    Whatever goes wrong in a stage is its gate's: an exception that is no Error of this project becomes a
    :class:`~cloudboot_probes.errors.DefectError`, so that a run that meets a defect of this program still has all of
    its gates and reports.
    """
    paragraphs = [" ".join(part.split()) for part in inspect.cleandoc(run.__doc__ or "").split("\n\n")]
    leaves_open = next((part.removeprefix(_OPEN) for part in paragraphs if part.startswith(_OPEN)), None)

    def guarded(probe: Probe) -> Mapping[str, object]:
        try:
            return run(probe)
        except (Error, OSError):
            raise
        except Exception as error:
            if interrupted(error):
                raise  # the run ends with it
            raise DefectError(error, traceback.format_exception(error)[-_TRACE:]) from error

    return Stage(
        name,
        paragraphs[0],
        guarded,
        not_applicable=not_applicable,
        headline=None if headline is None else lambda evidence: _filled(headline, evidence),
        leaves_open=leaves_open,
    )


def _filled(headline: str, evidence: Mapping[str, object]) -> str | None:
    """``headline`` with the evidence in it, lists with commas; ``None`` where a failed gate lacks some of it."""
    words = {name: ", ".join(map(str, each)) if isinstance(each, list) else each for name, each in evidence.items()}
    try:
        return headline.format_map(words)
    except (KeyError, IndexError, AttributeError, TypeError, ValueError):
        return None
