"""Recipes: what is understood, and what is refused with a word about what would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudboot_probes import recipe, systems
from cloudboot_probes.errors import RecipeError


def test_the_built_in_recipes_parse() -> None:
    assert recipe.builtin_names() == ["custom", "demo", "freebsd", "linux", "netbsd", "openbsd", "windows"]
    assert recipe.load("linux").system == "linux"
    assert recipe.load("custom").system == "custom"


def test_a_file_gives_sizes_and_paths(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'system = "custom"\nsector-size = 4096\ntimestamp = 7\nseed = "s"\n'
        '[esp]\nsize = "64M"\nfiles = { "EFI/BOOT/BOOTX64.EFI" = "loader.efi" }\n'
        '[root]\nsource = "tree"\nblock-size = "8K"\nlabel = "r"\n'
    )
    made = recipe.load(str(path))
    assert (made.name, made.sector_size, made.timestamp, made.seed) == ("mine", 4096, 7, "s")
    assert made.esp.size == 64 << 20
    assert made.esp.files == {"/EFI/BOOT/BOOTX64.EFI": tmp_path / "loader.efi"}
    assert (made.root.source, made.root.block_size) == (tmp_path / "tree", 8192)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("system = ", "recipe x: "),
        ("sytem = 'linux'", "no key sytem"),
        ("[esp]\nsize = '16 megs'", "is not a size"),
        ("[esp]\nsize = true", "is not a size"),
        ("[root]\ndensity = '7'", "is not a whole number"),
        ("[root]\nesp = 1", "no key esp"),
        ("esp = 7", "is a table"),
        ("[esp]\nfiles = 7", "is not a table of paths"),
        ("[esp]\nfiles = { a = 7 }", "is not a path"),
        ("seed = 7", "is not text"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe.parse(text, "x", Path())


def test_a_missing_file_names_the_built_in_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.load(str(tmp_path / "none.toml"))
    assert caught.value.hint == "built in: custom, demo, freebsd, linux, netbsd, openbsd, windows"


def test_source_date_epoch_dates_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert recipe.load("custom").timestamp == 1_700_000_000
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(RecipeError, match="SOURCE_DATE_EPOCH"):
        recipe.load("custom")
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert recipe.load("custom").timestamp == recipe.DEFAULT_TIMESTAMP


def test_systems_are_data() -> None:
    assert systems.names() == ("demo", "freebsd", "linux", "netbsd", "openbsd", "windows")
    for name in systems.names():
        system = systems.load(name)
        assert all(path.startswith("/EFI/") for paths in system.loaders.values() for path in paths)
    linux = systems.load("linux")
    assert linux.loader("amd64") == "/EFI/BOOT/BOOTX64.EFI"
    with pytest.raises(RecipeError, match="no linux loader is known for vax"):
        linux.loader("vax")
    with pytest.raises(RecipeError, match="no operating system is called 'plan9'"):
        systems.load("plan9")
