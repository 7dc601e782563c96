"""A file has its name only when it is whole, even if the process is killed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudboot_base import new_file, new_image


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "image"
    with new_image(path, 4096) as storage:
        storage.write_at(1, b"x")
        assert not path.exists()
    assert path.read_bytes() == b"\0x" + bytes(4094)
    assert os.listdir(tmp_path) == ["image"]


def test_nothing_appears_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_image(tmp_path / "image", 4096):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


def test_an_existing_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="--force"), new_file(path):
        pytest.fail("the block must not run")
    assert path.read_text() == "precious"
    with pytest.raises(KeyboardInterrupt), new_file(path, force=True) as fd:
        os.write(fd, b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "precious"
    with new_file(path, force=True, durable=True) as fd:
        os.write(fd, b"new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["image"]


def test_a_name_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "image"
    with pytest.raises(FileExistsError), new_file(path) as fd:
        os.write(fd, b"ours")
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["image"]


def test_without_anonymous_files_a_temporary_name_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # opening a folder for writing fails, as on such a file system
    path = tmp_path / "image"
    with new_file(path) as fd:
        os.write(fd, b"whole")
        assert [name for name in os.listdir(tmp_path) if name.endswith(".partial")]
    assert path.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["image"]
    with pytest.raises(ZeroDivisionError), new_file(path, force=True):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["image"]


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with new_file(tmp_path / "image"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "image").stat().st_mode & 0o777 == 0o640


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, new_file(tmp_path / "none" / "image"):
        pytest.fail("the block must not run")
    assert caught.value.filename == str(tmp_path / "none")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_force_replaces_nothing_but_a_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "image"
    make(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(FileExistsError, match="not a file"), new_file(name, force=True):
            pytest.fail("the block must not run")
    assert not path.is_file()
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["image", "link"]


@pytest.mark.parametrize("size", [1 << 63, 1 << 80])
def test_a_size_no_file_can_have_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(OSError, match="too large") as caught, new_image(tmp_path / "image", size):
        pytest.fail("the block must not run")
    assert caught.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == []


def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom cloudboot_base import new_image\n"
        "with new_image(sys.argv[1], 1 << 20) as storage:\n"
        "    storage.write_at(0, b'half')\n    print('ready', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "image")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert os.listdir(tmp_path) == []


def layout(folder: Path) -> dict[str, str]:
    """What is in a folder: files by their mode and owner, links by their target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        shown = os.readlink(path) if path.is_symlink() else f"{status.st_mode:o} {status.st_uid}:{status.st_gid}"
        found[str(path.relative_to(folder))] = shown
    return found


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_is_followed_as_the_shell_follows_it(tmp_path: Path, *, exists: bool, absolute: bool) -> None:
    for name in ("ours", "theirs"):
        real = tmp_path / name / "real"
        real.mkdir(parents=True)
        (tmp_path / name / "link").symlink_to(real / "image" if absolute else "real/image")
        if exists:
            (real / "image").write_bytes(b"old")
            (real / "image").chmod(0o640)
    subprocess.run(["sh", "-c", "printf new > link"], cwd=tmp_path / "theirs", check=True)
    with new_image(tmp_path / "ours" / "link", 3, force=exists) as storage:
        storage.write_at(0, b"new")
    ours, theirs = (layout(tmp_path / name) for name in ("ours", "theirs"))
    assert {**ours, "link": ""} == {**theirs, "link": ""}
    assert (tmp_path / "ours" / "link").is_symlink()
    assert (tmp_path / "ours" / "real" / "image").read_bytes() == b"new"


def test_a_link_that_an_image_may_have_made_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"old")
    (tmp_path / "link").symlink_to("precious")
    with new_file(tmp_path / "link", force=True) as fd:
        os.write(fd, b"new")
    assert (tmp_path / "precious").read_bytes() == b"old"
    assert (tmp_path / "link").read_bytes() == b"new"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_what_replaces_a_file_has_its_mode_and_owner_as_with_the_shell(tmp_path: Path, mode: int) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).write_bytes(b"old")
        (tmp_path / name).chmod(mode)
        if os.geteuid() == 0:
            os.chown(tmp_path / name, 1234, 2345)
    subprocess.run(["sh", "-c", "printf new > theirs"], cwd=tmp_path, check=True)
    with new_file(tmp_path / "ours", force=True) as fd:
        os.write(fd, b"new")
    found = layout(tmp_path)
    assert found["ours"] == found["theirs"]


def test_a_write_that_fails_names_the_file(tmp_path: Path) -> None:
    code = (
        "import os, resource, signal, sys\nfrom cloudboot_base import new_image, open_storage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try:\n"
        "    with new_image(sys.argv[1], 1 << 20) as storage:\n        os.pwrite(storage.fileno(), b'x', 1 << 20)\n"
        "except OSError as error:\n    print(error.filename)\n"
        "try:\n"
        "    with open_storage(sys.argv[2], writable=True) as opened:\n"
        "        opened.storage.write_at(1 << 20, b'x')\n"
        "except OSError as error:\n    print(error.filename)\n"
    )
    old = tmp_path / "old"
    with open(old, "wb") as file:
        file.truncate(2 << 20)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "image"), str(old)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(tmp_path / "image"), str(old)]
    assert os.listdir(tmp_path) == ["old"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Not the temporary name, which means nothing to a user; /proc refuses root, too."""
    del tmp_path
    with pytest.raises(OSError, match="/proc/self") as caught, new_file("/proc/self/image"):
        pytest.fail("the block must not run")
    assert caught.value.filename == "/proc/self"


@pytest.mark.parametrize("named", [False, True])
def test_a_name_that_was_taken_meanwhile_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    if named:
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # as on a file system without it
    path = tmp_path / "image"
    with pytest.raises(FileExistsError, match="--force replaces it") as caught, new_file(path):
        path.write_bytes(b"theirs")
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == ["image"]
    assert path.read_bytes() == b"theirs"
