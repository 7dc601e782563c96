"""The command: results on stdout, stories on stderr, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudboot_ufs2.__main__ import main
from cloudboot_ufs2.testing import Editor


@pytest.fixture
def image(tree: Path, tmp_path: Path) -> str:
    assert main(["build", str(tmp_path / "image"), str(tree), "--label", "root", "-b", "16k", "--size", "32M"]) == 0
    return str(tmp_path / "image")


def test_build_says_what_it_made(image: str, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["build", image, str(tree)]) == 5
    assert "--force" in capsys.readouterr().err
    assert main(["build", image, str(tree), "--force", "--json", "--owner", "0:0"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["size"] == Path(image).stat().st_size
    assert facts["block_size"] == 32768


def test_too_small(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(tmp_path / "small"), str(tree), "--size", "2M"]) == 4
    assert "bytes" in capsys.readouterr().err
    assert not (tmp_path / "small").exists()


def test_ls(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["ls", image, "/etc"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("inline -> ../boot/loader.conf") and line.startswith("lrwxrwxrwx") for line in lines)
    assert main(["ls", image, "-R", "--json"]) == 0
    rows = {row["path"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["/short"]["mode"] == "-rw-------"
    assert rows["/etc/hard"]["links"] == 2
    assert main(["ls", image, "/short"]) == 0
    assert main(["ls", image, "/missing"]) == 3


def test_cat(image: str, tree: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    capfdbinary.readouterr()
    assert main(["cat", image, "/boot/kernel/module.ko"]) == 0
    assert capfdbinary.readouterr().out == (tree / "boot/kernel/module.ko").read_bytes()
    assert main(["cat", image, "/boot"]) == 3
    assert main(["cat", image, "/tail", "--json"]) == 0
    assert sum(extent["length"] for extent in json.loads(capfdbinary.readouterr().out)["extents"]) == 40_000


def test_info_and_check(image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["info", image]) == 0
    assert "label: root" in capsys.readouterr().out
    assert main(["info", image, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["block_size"] == 16384
    assert main(["check", image]) == 0
    assert capsys.readouterr().out.endswith("clean\n")
    editor = Editor(Path(image).read_bytes())
    editor.change_inode(editor.find("/short"), di_nlink=3)
    (tmp_path / "bad").write_bytes(editor.data)
    assert main(["check", str(tmp_path / "bad")]) == 1
    assert "inode-links" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "bad"), "--json"]) == 1
    assert [finding["kind"] for finding in json.loads(capsys.readouterr().out)] == ["inode-links"]


def test_newfs_in_a_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(40 << 20))
    place = ["--offset", "8M", "--size", "32M"]
    assert main(["newfs", str(disk), *place]) == 5
    assert main(["newfs", str(disk), *place, "--force", "--no-snap", "--timestamp", "5", "-U", "--big-endian"]) == 0
    assert main(["check", str(disk), *place]) == 0
    capsys.readouterr()
    assert main(["info", str(disk), *place, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["byte_order"], facts["flags"], facts["time"]) == ("big", "0x202", 5)


@pytest.mark.parametrize(
    "arguments", [[], ["build"], ["newfs", "x", "--size", "many"], ["build", "a", "b", "--owner", "me"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
