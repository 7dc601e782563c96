"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from .errors import naming_writes
from .storage import FileStorage

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTIAL = ".partial"
"""How the temporary name of a file ends that is not whole yet."""


def refuse_existing(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Raise what :func:`new_file` raises when something is already there; a dry run asks this.

    Raises:
        FileExistsError: ``path`` exists and ``force`` is false, or is not a file.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileExistsError(errno.EEXIST, "not a file that could be replaced", os.fspath(path))
    if not force and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "the file exists; --force replaces it", os.fspath(path))


def followed(path: str | os.PathLike[str]) -> str:
    """The file that an output which a user names is: that to which a symbolic link leads, which need not exist yet.

    This is what the redirection of a shell, tar and qemu-img do. What an image names must not be followed.
    """
    name = os.fspath(path)
    if os.path.islink(name) and (os.path.isfile(name) or not os.path.exists(name)):
        return os.path.realpath(name)
    return name


class UnnamedFile:
    """A file that is being written. It takes ``name`` (a path) when the block it belongs to ends well."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.name: str | None = None


@contextlib.contextmanager
def unnamed_file(
    folder: str | os.PathLike[str], *, force: bool = False, durable: bool = False
) -> Iterator[UnnamedFile]:
    """Give a file in ``folder`` that is gone again unless the block ends without an exception and sets its name.

    Until then the file has no name at all where the file system can do that (``O_TMPFILE``), so that even a killed
    process leaves nothing behind; elsewhere it has a temporary name (:data:`PARTIAL` at its end) in the same folder.
    ``durable`` syncs the bytes to the device before the name appears.

    Raises:
        FileExistsError: something has the name, and ``force`` is false. Otherwise it is replaced in one step.
    """
    place = os.fspath(folder)
    temporary: str | None = None
    try:
        fd = os.open(place, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError:
        if not os.path.isdir(place):
            raise FileNotFoundError(errno.ENOENT, "no such folder", place) from None
        temporary = _temporary(place)
        try:
            fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            error.filename = place  # the temporary name means nothing to a user
            raise
    file = UnnamedFile(fd)
    try:
        yield file
        if durable:
            os.fsync(fd)
        if file.name is None:
            return
        if temporary is None and not force:
            _link(fd, file.name)
            return
        if temporary is None:
            temporary = _temporary(place)
            _link(fd, temporary)
        if force:
            os.replace(temporary, file.name)
        else:
            try:
                os.link(temporary, file.name)
            except FileExistsError:
                raise FileExistsError(errno.EEXIST, "the file exists; --force replaces it", file.name) from None
            os.unlink(temporary)
        temporary = None
    finally:
        os.close(fd)
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


@contextlib.contextmanager
def new_file(path: str | os.PathLike[str], *, force: bool = False, durable: bool = False) -> Iterator[int]:
    """Give a descriptor to write to; ``path`` names the file once the block has ended without an exception.

    Until then it is an :func:`unnamed_file`. An existing file is replaced in one step by one with its owner and its
    permissions. What the system refuses to write in the block is an error of ``path``.

    Raises:
        FileExistsError: ``path`` exists and ``force`` is false, or is a device, a folder or a pipe, which ``force``
            must not replace by a file either.
    """
    target = os.fspath(path).rstrip("/") or "/"
    refuse_existing(target, force=force)
    with (
        naming_writes(target),
        unnamed_file(os.path.dirname(target) or os.curdir, force=force, durable=durable) as file,
    ):
        _take_over(file.fd, target)
        yield file.fd
        file.name = target


def _take_over(fd: int, path: str) -> None:
    """Give a file the owner and the permissions of the one that it will replace, where there is one."""
    try:
        old = os.stat(path, follow_symlinks=False)
    except OSError:
        return
    if not stat.S_ISREG(old.st_mode):
        return
    new = os.fstat(fd)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        with contextlib.suppress(PermissionError):  # only root gives a file away
            os.fchown(fd, old.st_uid, old.st_gid)
    os.fchmod(fd, stat.S_IMODE(old.st_mode) & 0o777)


def _temporary(folder: str) -> str:
    return os.path.join(folder, f".{os.urandom(8).hex()}{PARTIAL}")


def _link(fd: int, path: str) -> None:
    # A directory descriptor makes CPython call linkat(), the one call that follows /proc/self/fd to the file.
    parent, name = os.path.split(path)
    folder = os.open(parent or os.curdir, os.O_PATH | os.O_CLOEXEC)
    try:
        os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, "the file exists; --force replaces it", path) from None
    finally:
        os.close(folder)


@contextlib.contextmanager
def new_image(
    path: str | os.PathLike[str], size: int, *, force: bool = False, durable: bool = False
) -> Iterator[FileStorage]:
    """A sparse file of ``size`` zero bytes as storage; the same promise as :func:`new_file`, links are followed.

    Raises:
        FileExistsError: as :func:`new_file`.
        OSError: no file can be that large.
    """
    with new_file(followed(path), force=force, durable=durable) as fd:
        try:
            os.ftruncate(fd, size)
        except OverflowError:  # more than 63 bits
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), os.fspath(path)) from None
        yield FileStorage(fd, size)
