"""Debian packages as real input: found, fetched and verified by apt, read without installing anything."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from .errors import PackageMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})
_FIELD = re.compile(r"^(\S+): (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """A package file on this machine; ``sha256`` is the archive's, as apt's signed index states it."""

    name: str
    version: str
    sha256: str
    path: Path

    def as_dict(self) -> dict[str, str]:
        """What a manifest records about a source."""
        return {"package": self.name, "version": self.version, "sha256": self.sha256}


def cache_folder() -> Path:
    """Where fetched packages stay: ``$XDG_CACHE_HOME/cloudboot``, by default ``~/.cache/cloudboot``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cloudboot"


@contextlib.contextmanager
def _cache() -> Iterator[Path]:
    """The folder of fetched packages, for use.

    Raises:
        PackageMissingError: this user may not write there, or the file system is read-only.
    """
    folder = cache_folder()
    try:
        yield folder
    except OSError as error:
        if error.errno not in _UNWRITABLE or not isinstance(error.filename, str | os.PathLike):
            raise
        raise PackageMissingError(
            f"the folder of fetched packages cannot be used: {os.fsdecode(error.filename)}: {error.strerror}",
            hint="XDG_CACHE_HOME can name another folder to keep them in",
        ) from error


def _apt(*command: str) -> str:
    if shutil.which(command[0]) is None:
        raise PackageMissingError(
            f"{command[0]} is not here to find Debian packages with",
            hint="give the files themselves: --kernel, --initrd, --grub-modules",
        )
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    return done.stdout


_told: dict[str, dict[str, str]] = {}


def ask(*packages: str) -> None:
    """Have apt describe packages, all at once: where it keeps no cache of its own, each question takes seconds.

    Raises:
        PackageMissingError: apt is not here.
    """
    for stanza in _apt("apt-cache", "show", "--no-all-versions", *packages).split("\n\n"):
        fields = dict(_FIELD.findall(stanza))
        if "Package" in fields:
            _told[fields["Package"]] = fields


def known(packages: Iterable[str]) -> dict[str, dict[str, str]]:
    """The fields of those packages that apt knows; a name that others only provide is none.

    Raises:
        PackageMissingError: apt is not here.
    """
    names = sorted(packages)
    unknown = [name for name in names if name not in _told]
    if unknown:
        ask(*unknown)
    return {name: _told[name] for name in names if name in _told}


def candidate(package: str) -> dict[str, str]:
    """The fields of the version of ``package`` that apt would install.

    Raises:
        PackageMissingError: apt is not here, or knows no such package.
    """
    if package not in _told:
        ask(package)
    fields = _told.get(package, {})
    if "Version" not in fields:
        raise PackageMissingError(
            f"apt knows no package {package}", hint="run apt-get update, or name the files yourself"
        )
    return fields


def dependency(package: str, pattern: str) -> str:
    """The first dependency of ``package`` whose name matches ``pattern``: what a metapackage stands for.

    Raises:
        PackageMissingError: none does.
    """
    for name in re.findall(r"[a-z0-9][a-z0-9.+-]+", candidate(package).get("Depends", "")):
        if re.fullmatch(pattern, name):
            return str(name)
    raise PackageMissingError(f"{package} depends on nothing like {pattern}")


def fetch(package: str, say: Callable[[str], None] = lambda _: None) -> DebianPackage:
    """The package's archive, from the cache or fetched by apt; its SHA-256 is checked against apt's index each time.

    Raises:
        PackageMissingError: it cannot be found or fetched.
    """
    return fetch_all([package], say)[0]


def fetch_all(packages: Sequence[str], say: Callable[[str], None] = lambda _: None) -> list[DebianPackage]:
    """The archives of several packages; apt is started once for those that are not in the cache.

    Raises:
        PackageMissingError: one cannot be found or fetched.
    """
    unknown = [package for package in packages if package not in _told]
    if unknown:
        ask(*unknown)
    with _cache() as cache:
        folder = cache / "packages"
        found, missing = [], []
        for package in packages:
            fields = candidate(package)
            version, sha256 = fields["Version"], fields["SHA256"]
            path = folder / f"{package}_{version.replace(':', '%3a')}_{fields['Architecture']}.deb"
            found.append(DebianPackage(package, version, sha256, path))
            if not (path.exists() and _sha256(path) == sha256):
                missing.append(found[-1])
        if missing:
            _made(folder)
            size = sum(int(candidate(each.name)["Size"]) for each in missing) / 2**20
            one = f"{missing[0].name} {missing[0].version}"
            say(f"fetching {one if len(missing) == 1 else f'{len(missing)} packages'} ({size:.0f} MiB)")
            _download(missing, folder)
    return found


def _download(missing: Sequence[DebianPackage], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        # apt drops its privileges for the transfer where it can; it needs to reach the folder for that.
        Path(scratch).chmod(0o755)
        done = subprocess.run(
            ["apt-get", "download", "--quiet", *(f"{each.name}={each.version}" for each in missing)],
            cwd=scratch, check=False, capture_output=True, text=True,
        )  # fmt: skip
        arrived = {_sha256(path): path for path in Path(scratch).glob("*.deb")}
        for each in missing:
            if each.sha256 not in arrived:
                reason = (done.stderr.strip().splitlines() or ["no archive arrived"])[-1]
                raise PackageMissingError(
                    f"apt could not fetch {each.name} {each.version}: {reason}", hint="run apt-get update"
                )
            arrived[each.sha256].replace(each.path)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def extract(package: DebianPackage, wanted: str) -> Path:
    """A folder with those regular files of the package whose path (``usr/lib/...``) matches the regular expression.

    The folder is part of the cache: a second call finds it there.

    Raises:
        PackageMissingError: the archive cannot be read.
    """
    key = hashlib.sha256(f"{package.sha256} {wanted}".encode()).hexdigest()[:16]
    folder = cache_folder() / "unpacked" / f"{package.name}_{key}"
    if folder.is_dir():
        return folder
    if shutil.which("dpkg-deb") is None:
        raise PackageMissingError("dpkg-deb is not here to read Debian packages with")
    pattern = re.compile(wanted)
    with _cache(), tempfile.TemporaryDirectory(dir=_made(folder.parent)) as scratch:
        target = Path(scratch) / "files"
        target.mkdir()
        with (
            subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package.path], stdout=subprocess.PIPE) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as archive,
        ):
            for member in archive:
                name = PurePosixPath(member.name.removeprefix("./"))
                source = archive.extractfile(member) if pattern.fullmatch(str(name)) and member.isfile() else None
                if source is None or ".." in name.parts or name.is_absolute():
                    continue
                path = target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    shutil.copyfileobj(source, file)
        if process.returncode:
            raise PackageMissingError(
                f"dpkg-deb could not read {package.path.name}", hint="remove the file and try again"
            )
        try:
            target.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was faster
                raise
    return folder
