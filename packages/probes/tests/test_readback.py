"""A disk that does not hold what went into it gets no name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cloudboot_base import WritableStorage
from cloudboot_base.testing import judge
from cloudboot_gpt import Table
from cloudboot_probes import image, recipe
from cloudboot_probes.disk_plan import Plan
from cloudboot_probes.errors import ReadBackError
from cloudboot_probes.standin import LOADER_CONF, loader

Change = tuple[bytes, bytes]


@dataclasses.dataclass(frozen=True)
class Damaged(Plan):
    """A plan whose disk is changed after it was written: the first bytes by the second ones, of the same length."""

    change: Change = (b"", b"")

    def fill(self, storage: WritableStorage, progress: object = None) -> Table:
        """Write the disk, and damage it."""
        table = super().fill(storage)
        data, (old, new) = storage.read_at(0, storage.size), self.change
        assert len(old) == len(new)
        at = data.rindex(old)
        storage.write_at(at, new)
        return table


def damaged(change: Change) -> Damaged:
    """The ``demo`` recipe's plan with a damage."""
    planned = image.plan(recipe.load("demo"))
    return Damaged(planned.recipe, planned.contents, planned.table, planned.specs, change)


CONF = LOADER_CONF.encode()
CHANGES: dict[str, tuple[Change, str]] = {
    "root": ((CONF, CONF.replace(b'"3"', b'"4"')), "/boot/loader.conf of the root has other bytes"),
    "esp": ((loader("amd64")[:256], loader("amd64")[:255] + b"?"), "/EFI/BOOT/BOOTX64.EFI of the ESP has other bytes"),
    "manifest": ((b'"system": "demo"', b'"system": "dema"'), "is not the manifest"),
    "table": ((b"EFI PART", b"EFI PARS"), "cannot be read back"),
    "name": ((b"\x04boot\0", b"\x04boat\0"), "breaks its format|which is not among the files of the build|lacks"),
}


@pytest.mark.parametrize("place", CHANGES)
def test_a_damaged_disk_gets_no_name(place: str, tmp_path: Path) -> None:
    change, told = CHANGES[place]
    with pytest.raises(ReadBackError, match=told):
        image.build(damaged(change), tmp_path / "disk.img")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", ["grub-fstest", "tsk_recover"])
def test_a_reader_that_disagrees_leaves_no_disk(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that is installed reads nothing of the disk: here it is one that does nothing."""
    programs, output = tmp_path / "bin", tmp_path / "output"
    programs.mkdir()
    output.mkdir()
    (programs / program).write_text("#!/bin/sh\nexit 0\n")
    (programs / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    with pytest.raises(ReadBackError, match=r"GRUB|Sleuth Kit"):
        image.build(image.plan(recipe.load("demo")), output / "disk.img")
    assert list(output.iterdir()) == []


def test_without_room_for_the_other_readers_the_hint_names_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge("tsk_recover", "sleuthkit")
    planned = image.plan(recipe.load("demo"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0})())
    with pytest.raises(ReadBackError) as caught:
        image.build(planned, tmp_path / "disk.img")
    assert caught.value.hint is not None
    assert "TMPDIR" in caught.value.hint
