"""How a fake device misbehaves."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from cloudboot_base.lightdata import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


@dataclass(slots=True)
class Behaviour:
    """Probabilities from 0 to 1 per step or per answer; all zero is a prompt, orderly, honest device.

    ``late``: a step does nothing. ``reorder``: the next answer is not that of the oldest request. ``short``: an answer
    says fewer bytes than were written. ``long``: it says more than the chain has room for. ``duplicate``: a used entry
    is written twice. ``wrong_id``: it names another chain, or none. ``jump``: the used index moves too far.
    ``scribble``: random bytes of the device's part of the ring change.

    The same ``seed`` gives the same behaviour.
    """

    late: float = 0.0
    reorder: float = 0.0
    short: float = 0.0
    long: float = 0.0
    duplicate: float = 0.0
    wrong_id: float = 0.0
    jump: float = 0.0
    scribble: float = 0.0
    seed: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 -- reproducible misbehaviour, no secrets

    def happens(self, probability: float) -> bool:
        """Whether something of this probability happens now."""
        return probability > 0 and self._random.random() < probability

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit - 1``."""
        return self._random.randrange(limit)

    def pick(self, items: Sequence[T]) -> T:
        """One of ``items``."""
        return self._random.choice(items)
