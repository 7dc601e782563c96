"""What reports are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudboot_fleet.campaign import CampaignFolder, Tally
    from cloudboot_fleet.matrix import Matrix


@dataclass(frozen=True)
class Summary:
    """A campaign that came to an end, or was ended. ``seconds`` is its wall time; its cells are in the journal."""

    matrix: Matrix
    tally: Tally
    folder: CampaignFolder
    seconds: float
