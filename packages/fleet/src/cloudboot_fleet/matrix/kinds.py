"""The kinds of task, and the parameters of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

#: How a parameter's value is pinned: as it is, or by the digest of what it names.
Pin = Literal["value", "image", "recipe", "file", "tree", "wad"]
#: Parameters of these ways name files: ``*``, ``?`` and ``[`` in their text stand for several.
GLOBBED: frozenset[Pin] = frozenset({"image", "file", "tree"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a task.

    ``types`` are those a value may have; ``choices`` the only values, if there are any, or a function that gives them.
    ``least`` is the smallest number; a text of a parameter that takes numbers and texts may be a ``size`` (``"2G"``).
    """

    name: str
    pin: Pin = "value"
    types: tuple[type, ...] = (str,)
    choices: tuple[str | int, ...] | Callable[[], tuple[str, ...]] = ()
    least: float | None = None
    size: bool = False

    def known(self) -> tuple[str | int, ...]:
        """The only values; none where any is taken."""
        return self.choices() if callable(self.choices) else self.choices


def _systems() -> tuple[str, ...]:
    from cloudboot_probes.systems import names  # for a matrix with probes only

    return names()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of task, and the function that runs it (``module:function``).

    ``needs`` lists sets of parameters of which exactly one is given.

    ``packages`` are the distributions whose versions are part of a cell's digest, with those that they need.
    """

    name: str
    purpose: str
    runs: str
    parameters: tuple[Parameter, ...]
    needs: tuple[tuple[str, ...], ...] = ()
    packages: tuple[str, ...] = ("cloudboot-fleet", "cloudboot-probes")

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name."""
        return next((each for each in self.parameters if each.name == name), None)


_NUMBER = (int, float)
_ARCHITECTURES = ("amd64", "arm64", "riscv64", "loong64")
_ARCHITECTURE = Parameter("architecture", choices=_ARCHITECTURES)
_REPEAT = Parameter("repeat", types=(int,))
_SIZE = (int, str)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "build",
            "Build an image from a recipe, check it, and push it.",
            "cloudboot_fleet.tasks.build:run",
            (
                Parameter("recipe", "recipe"),
                _ARCHITECTURE,
                Parameter("seed", types=(str, int)),
                Parameter("sector_size", types=(int,), choices=(512, 4096)),
                Parameter("push"),
                _REPEAT,
            ),
            (("recipe",),),
        ),
        Kind(
            "probe",
            "Boot an image and prove every step.",
            "cloudboot_fleet.tasks.probe:run",
            (
                Parameter("system", choices=_systems),
                Parameter("image", "image"),
                Parameter("recipe", "recipe"),
                _ARCHITECTURE,
                Parameter("firmware", choices=("hosted", "ovmf", "qemu")),
                Parameter("transport", choices=("folder", "http", "https")),
                Parameter("accelerator", choices=("tcg", "kvm", "auto")),
                Parameter("memory", types=_SIZE, least=1 << 20, size=True),
                Parameter("policy", "file"),
                _REPEAT,
            ),
            (("system",), ("image", "recipe")),
            ("cloudboot-fleet", "cloudboot-probes", "cloudboot-uefi-host", "cloudboot-qemu"),
        ),
        Kind(
            "check",
            "Check the partition table and every file system of an image.",
            "cloudboot_fleet.tasks.check:run",
            (Parameter("image", "image"), _REPEAT),
            (("image",),),
            (
                "cloudboot-fleet",
                "cloudboot-gpt",
                "cloudboot-fat",
                "cloudboot-ntfs",
                "cloudboot-ufs2",
                "cloudboot-oci-stream",
            ),
        ),
        Kind(
            "fuzz",
            "Run a fuzz harness for a time, keep its corpus, minimise what it finds.",
            "cloudboot_fleet.tasks.fuzz:run",
            (
                Parameter("harness", "file"),
                Parameter("stateful", types=(str, bool)),
                Parameter("corpus", "tree"),
                Parameter("seconds", types=_NUMBER, least=0.01),
                Parameter("runs", types=(int,), least=1),
                Parameter("seed", types=(int,)),
                _REPEAT,
            ),
            (("harness",),),
            ("cloudboot-fleet",),
        ),
        Kind(
            "harvest",
            "Run the game and write its oracle.",
            "cloudboot_fleet.tasks.doom:harvest_oracle",
            (
                Parameter("wad", "wad"),
                Parameter("script", "file"),
                Parameter("checkpoints"),
                Parameter("seed", types=(int,)),
                _REPEAT,
            ),
            (),
            ("cloudboot-fleet", "cloudboot-doom-oracle"),
        ),
        Kind(
            "verify",
            "Run the game's gates over an oracle.",
            "cloudboot_fleet.tasks.doom:verify_oracle",
            (
                Parameter("oracle", "tree"),
                Parameter("wad", "wad"),
                Parameter("script", "file"),
                Parameter("guest", types=(bool,)),
                Parameter("ring", choices=("split", "packed")),
                _ARCHITECTURE,
                _REPEAT,
            ),
            (("oracle",),),
            ("cloudboot-fleet", "cloudboot-doom-oracle"),
        ),
        Kind(
            "nothing",
            "Do nothing: what remains is the time that the fleet itself takes.",
            "cloudboot_fleet.tasks.nothing:run",
            (_REPEAT,),
            (),
            ("cloudboot-fleet",),
        ),
    )
}
