"""What keeps a campaign from its end is said before its first cell."""

from __future__ import annotations

from pathlib import Path

from cloudboot_fleet.testing import Running, journal
from cloudboot_oci_stream.testing import docker_registry


def matrix(folder: Path, cells: int) -> Path:
    path = folder / "matrix.toml"
    path.write_text(f'[[cells]]\nkind = "nothing"\n[cells.axes]\nrepeat = {{from = 1, to = {cells}}}\n')
    return path


def test_a_registry_that_takes_no_pushes_is_an_error_before_the_first_cell(tmp_path: Path) -> None:
    with docker_registry() as registry, docker_registry(store=registry.folder, read_only=True) as closed:
        words: list[str | Path] = ["run", matrix(tmp_path, 2), "--workers", "1"]
        with Running(*words, "--results", f"{closed.host}/r", "--folder", "refused", folder=tmp_path) as refused:
            assert refused.wait() == 7, refused.printed
        lines = refused.printed.splitlines()
        assert [line for line in lines if "takes no results" in line and "405" in line]
        assert [line for line in lines if "hint:" in line and "--results PLACE" in line]
        assert "Traceback" not in refused.printed
        assert journal(tmp_path / "refused") == {}
        assert not list(registry.folder.rglob("_manifests"))
        with Running(*words, "--results", f"{registry.host}/r", "--folder", "stored", folder=tmp_path) as stored:
            assert stored.wait() == 0, stored.printed
        with Running(*words, "--results", f"{closed.host}/r", "--folder", "read", folder=tmp_path) as read:
            assert read.wait() == 0, read.printed
        assert "2 were there before" in read.printed
        # Of a campaign with one more cell those that are there are reported all the same.
        words[1] = matrix(tmp_path, 3)
        with Running(*words, "--results", f"{closed.host}/r", "--folder", "more", folder=tmp_path) as more:
            assert more.wait() == 7, more.printed
        assert {cell["status"] for cell in journal(tmp_path / "more").values()} == {"passed"}
        assert len(journal(tmp_path / "more")) == 2
        assert (tmp_path / "more" / "report.html").is_file()


def test_a_refused_login_is_an_error_before_the_first_cell(tmp_path: Path) -> None:
    with docker_registry(users={"user": "secret"}) as registry:
        words: list[str | Path] = ["run", matrix(tmp_path, 1), "--workers", "1", "--results", f"{registry.host}/r"]
        with Running(*words, "--folder", "run", folder=tmp_path) as refused:
            assert refused.wait() == 7, refused.printed
    assert "login" in refused.printed
    assert journal(tmp_path / "run") == {}
