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


FULL = """
import os, resource, signal, sys
from cloudboot_base import new_file, open_storage
from cloudboot_base.storage import write_all

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
if sys.argv[1] == "new":
    with new_file(sys.argv[2]) as fd:
        write_all(fd, memoryview(bytes(5000)), 0)
else:
    with open_storage(sys.argv[2], writable=True) as opened:
        opened.storage.write_at(4096, b"x")
"""


@pytest.mark.parametrize("way", ["new", "in place"])
def test_a_file_that_cannot_grow_is_named(tmp_path: Path, way: str) -> None:
    """The kernel refuses a write without saying of which file."""
    path = tmp_path / "image"
    if way == "in place":
        path.write_bytes(b"")
        os.truncate(path, 8192)
    done = subprocess.run([sys.executable, "-c", FULL, way, str(path)], check=False, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == f"OSError: [Errno 27] File too large: '{path}'"
