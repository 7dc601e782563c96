"""What an image is to be made of: a TOML file, flags, or both, checked before anything is built."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cloudboot_base.command import parse_size
from cloudboot_base.parser import suggestion
from cloudboot_base.storage import read_file

from .errors import RecipeError
from .manifest import PATH as MANIFEST_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

if TYPE_CHECKING:
    Part = TypeVar("Part", "Recipe", "EspRecipe", "RootRecipe", "LinuxRecipe", "WindowsRecipe")
Value = TypeVar("Value")

MIB = 1 << 20
MAX_RECIPE = 1 << 20
_SIZES = {"size", "block_size", "fragment_size", "sector_size"}
_NUMBERS = {"density", "minfree", "timestamp", "index"}
_SHARES = {"free"}
_SYSTEMS = ("custom", "demo", "freebsd", "linux", "netbsd", "openbsd", "windows")
_ARCHITECTURES = ("amd64", "arm64", "riscv64")
# What a file system's times and a GPT's GUIDs can be made of: 1970 to the end of FAT's calendar, 2107-12-31.
_LAST_TIMESTAMP = 4354819198
_PATHS = {"source", "kernel", "initrd", "grub_modules", "bcd"}
_FILES = {"files"}
_SWITCHES = {"esp_only", "stand_in"}
_TABLES = ("esp", "root", "linux", "windows")
#: 1980-01-01T00:00:00Z, the first moment a FAT directory entry can state.
DEFAULT_TIMESTAMP = 315532800


@dataclass(frozen=True, slots=True)
class EspRecipe:
    """The EFI system partition: ``files`` maps a path on it to a file of the host."""

    size: int = 16 * MIB
    label: str = "CLOUDBOOT"
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RootRecipe:
    """The UFS2 root: ``source`` is a folder or a tar; ``None`` leaves only what the system adds. Sizes are in bytes.

    Without a ``size`` the root is as large as its content needs and ``free`` percent larger.
    """

    source: Path | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    size: int | None = None
    free: int = 5
    label: str = "cloudboot"
    partition_name: str = "cloudboot-root"
    partition_type: str = "freebsd-ufs"
    block_size: int = 32768
    fragment_size: int | None = None
    density: int | None = None
    minfree: int = 8


@dataclass(frozen=True, slots=True)
class LinuxRecipe:
    """What the ``linux`` system adds: a kernel started with ``arguments``. Paths replace Debian's packages."""

    arguments: str = "console=tty0 console=ttyS0,115200 panic=-1"
    kernel: Path | None = None
    initrd: Path | None = None
    grub_modules: Path | None = None


@dataclass(frozen=True, slots=True)
class WindowsRecipe:
    """What the ``windows`` system is made from.

    ``source`` is a folder, a WIM (its image ``index``) or a disk image with an NTFS partition. ``bcd`` is a store to
    take instead of a new one; its devices are pointed at the partitions of the image. ``locale`` is by default en-US,
    or the first that the source has. ``stand_in`` takes cloudboot's stand-in for Windows' boot manager where neither
    the source nor the recipe has a loader, and a demonstration tree where there is no source.
    """

    source: Path | None = None
    index: int = 1
    bcd: Path | None = None
    locale: str | None = None
    stand_in: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe. ``seed`` fixes the GUIDs; without one they follow from the content.

    With ``esp_only`` the disk has no root. ``sources`` is what the manifest records of where the content came from; a
    file cannot state it.
    """

    name: str
    system: str = "custom"
    architecture: str = "amd64"
    sector_size: int = 512
    timestamp: int = DEFAULT_TIMESTAMP
    seed: str | None = None
    esp_only: bool = False
    sources: tuple[Mapping[str, str], ...] = ()
    esp: EspRecipe = field(default_factory=EspRecipe)
    root: RootRecipe = field(default_factory=RootRecipe)
    linux: LinuxRecipe = field(default_factory=LinuxRecipe)
    windows: WindowsRecipe = field(default_factory=WindowsRecipe)

    def as_dict(self) -> dict[str, object]:
        """What the manifest records: nothing that differs between two machines with the same input."""
        return {
            "name": self.name,
            "sector_size": self.sector_size,
            "timestamp": self.timestamp,
            "seed": self.seed,
            **({"esp_only": True} if self.esp_only else {}),
            "esp": {"size": self.esp.size, "label": self.esp.label},
            "root": {
                "label": self.root.label,
                "partition_type": self.root.partition_type,
                "block_size": self.root.block_size,
                "fragment_size": self.root.fragment_size,
                "density": self.root.density,
                "minfree": self.root.minfree,
                "free": self.root.free,
            },
        }


def builtin_names() -> list[str]:
    """The recipes this package brings."""
    files = resources.files(__package__).joinpath("recipes").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load(recipe: str) -> Recipe:
    """A recipe by the name of a built-in one or the path of a TOML file; paths in it are relative to that file.

    Raises:
        RecipeError: no such recipe, or one with unknown keys or impossible values.
    """
    if recipe in builtin_names():
        text = resources.files(__package__).joinpath("recipes", f"{recipe}.toml").read_text(encoding="utf-8")
        return parse(text, recipe, Path())
    path = Path(recipe)
    try:
        text = read_file(path, MAX_RECIPE).decode("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise RecipeError(
            f"cannot read the recipe {recipe}: {reason}",
            hint=suggestion(recipe, builtin_names()) or f"built in: {', '.join(builtin_names())}",
        ) from None
    return parse(text, path.stem, path.parent)


def parse(text: str, name: str, base: Path) -> Recipe:
    """A recipe from TOML; ``base`` is the folder its paths are relative to.

    Raises:
        RecipeError: as :func:`load`.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {name}: {error}") from None
    tables = {key: _table(document.pop(key, {}), key) for key in _TABLES}
    if "root-free" in document:
        tables["root"].setdefault("free", document.pop("root-free"))
    recipe = _fill(Recipe(name, timestamp=_default_timestamp()), document, "recipe", base)
    return dataclasses.replace(
        recipe,
        esp=_fill(recipe.esp, tables["esp"], "esp", base),
        root=_fill(recipe.root, tables["root"], "root", base),
        linux=_fill(recipe.linux, tables["linux"], "linux", base),
        windows=_fill(recipe.windows, tables["windows"], "windows", base),
    )


def _default_timestamp() -> int:
    """``SOURCE_DATE_EPOCH`` where it is set: reproducible-builds.org's way to date an output by its input."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise RecipeError(f"SOURCE_DATE_EPOCH is {text!r}, not seconds since 1970")
    return int(text) if text else DEFAULT_TIMESTAMP


def check(recipe: Recipe) -> None:
    """Values that only make sense or not as a whole recipe's, whether they came from a file or from flags.

    Raises:
        RecipeError: one of them cannot be built.
    """
    for key, value, known in (
        ("system", recipe.system, _SYSTEMS),
        ("architecture", recipe.architecture, _ARCHITECTURES),
    ):
        if value not in known:
            hint = suggestion(value, known) or f"there are: {', '.join(known)}"
            raise RecipeError(f"no {key} is called {value!r}", hint=hint)
    if not 0 <= recipe.timestamp <= _LAST_TIMESTAMP:
        raise RecipeError(
            f"the timestamp {recipe.timestamp} is not a time between 1970 and 2107", hint="give seconds since 1970"
        )
    if not 0 <= recipe.root.free <= 10_000:
        raise RecipeError(f"the root's free room is 0 to 10000 percent, not {recipe.root.free}")
    for path in recipe.esp.files:
        if path.casefold() == MANIFEST_PATH.casefold():
            raise RecipeError(f"{path} is where the build's own manifest goes", hint="choose another path on the ESP")
    if recipe.system == "linux":
        reserved = {"/boot/vmlinuz", "/boot/initrd.img", "/boot/grub/grub.cfg", "/vmlinuz", "/initrd.img"}
        for path in reserved & {f"/{path.strip('/')}" for path in recipe.root.files}:
            raise RecipeError(
                f"{path} is made by the linux system itself",
                hint='use --kernel, --initrd and --arguments, or system = "custom"',
            )


def _table(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RecipeError(f"[{name}] is a table", hint=f"write [{name}] on a line of its own")
    return value


def _fill(part: Part, values: Mapping[str, Any], where: str, base: Path) -> Part:
    """``part`` with the values of one table of the recipe."""
    known = {item.name for item in dataclasses.fields(part)} - {*_TABLES, "sources"}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            wanted = ", ".join(sorted(item.replace("_", "-") for item in known))
            near = suggestion(key, sorted(item.replace("_", "-") for item in known))
            raise RecipeError(f"[{where}] has no key {key}", hint=near or f"there are: {wanted}")
        try:
            changes[name] = _converted(name, value, base)
        except (ValueError, TypeError) as error:
            raise RecipeError(f"[{where}] {key}: {error}") from None
    return dataclasses.replace(part, **changes)


def _converted(name: str, value: object, base: Path) -> object:
    """A value of a recipe as its field holds it: sizes in bytes, paths from ``base``."""
    if name in _SIZES:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return parse_size(_expected(value, str, "a size"))
    if name in _NUMBERS:
        return _expected(value, int, "a whole number")
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise TypeError(f"{value!r} is not true or false")
        return value
    if name in _SHARES:
        text = value.removesuffix("%").strip() if isinstance(value, str) else value
        if isinstance(text, str) and text.isascii() and text.isdigit():
            return int(text)
        return _expected(text, int, "a percentage")
    if name in _PATHS:
        return base / _expected(value, str, "a path")
    if name in _FILES:
        files = _expected(value, dict, "a table of paths")
        return {f"/{path.strip('/')}": base / _expected(source, str, "a path") for path, source in files.items()}
    return _expected(value, str, "text")


def _expected(value: object, kind: type[Value], what: str) -> Value:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not {what}")
    return value
