"""Every command says of an input that is none of its own: which file, and what is wrong with it."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Program -> where its main function is, and command lines; ``FILE`` stands for the input.
PROGRAMS = {
    "cloudboot": (
        "cloudboot_probes.cli.dispatch",
        [
            "image inspect FILE",
            "image boot-entries FILE --variables FILE",
            "probe demo FILE --firmware hosted",
            "doom probe --script FILE",
            "doom guest --wad FILE -o captures",
        ],
    ),
    "cloudboot-gpt": ("cloudboot_gpt.__main__", ["show FILE", "check FILE", "repair FILE", "grow FILE"]),
    "cloudboot-fat": ("cloudboot_fat.__main__", ["ls FILE", "check FILE", "mkdir FILE /x"]),
    "cloudboot-ufs2": ("cloudboot_ufs2.__main__", ["ls FILE", "check FILE", "repair FILE", "mkdir FILE /x"]),
    "cloudboot-ntfs": ("cloudboot_ntfs.commands", ["ls FILE", "check FILE", "repair FILE", "mkdir FILE /x"]),
    "cloudboot-bcd": ("cloudboot_ntfs.bcd.__main__", ["show FILE"]),
    "cloudboot-uefi-abi": ("cloudboot_uefi_abi.__main__", ["pe FILE", "variables FILE", "loadoption FILE"]),
    "cloudboot-virtio": ("cloudboot_virtio.__main__", ["replay FILE"]),
    "cloudboot-doom-oracle": (
        "cloudboot_doom_oracle.__main__",
        [
            "harvest --checkpoints 1 --script FILE",
            "harvest --checkpoints 1 --wad FILE",
            "harvest --checkpoints 1 --verify-audio-log FILE",
            "audio verify --reference FILE --capture FILE",
        ],
    ),
}
COMMANDS = [
    pytest.param(module, line.split(), id=f"{program} {line}")
    for program, (module, lines) in PROGRAMS.items()
    for line in lines
]


def _main(module: str) -> Callable[[list[str]], int]:
    found = importlib.import_module(module)
    main: Callable[[list[str]], int] = found.run if module == "cloudboot_probes.cli.dispatch" else found.main
    return main


def _files(folder: Path) -> list[str]:
    noise, short, pipe = folder / "noise", folder / "short", folder / "pipe"
    noise.write_bytes(bytes((index * 7919 >> 3) & 0xFF for index in range(70_000)))
    short.write_bytes(b"\x01")
    os.mkfifo(pipe)
    return [str(noise), str(short), str(pipe), str(folder / "missing"), "/dev/zero"]


@pytest.mark.parametrize(("module", "words"), COMMANDS)
def test_the_file_is_named(module: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = _main(module)
    for path in _files(tmp_path):
        code = main([path if word == "FILE" else word for word in words])
        shown = capsys.readouterr()
        if words[0] == "probe" and shown.out:  # a file that is stored and fetched; its gates speak of it
            assert code == 1
            assert "FAIL header" in shown.out
            continue
        assert code in {2, 3, 5}, (path, shown.err)
        assert path in shown.err.splitlines()[0], path
        assert "Traceback" not in shown.err


def test_a_missing_file_is_not_taken_for_a_registry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main = _main("cloudboot_probes.cli.dispatch")
    assert main(["image", "inspect", "build/linux.img"]) == 2
    assert "there is no file of that name" in capsys.readouterr().err
    assert main(["image", "inspect", str(tmp_path)]) == 2
    assert f"oci:{tmp_path}:TAG" in capsys.readouterr().err
