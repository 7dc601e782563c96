"""A medium from a URL: downloaded once, verified before it has its name in the cache, verified again at each use.

Only ``https`` and ``http`` are followed. What is in a URL before ``@`` is sent to that server alone: a redirect to
another host, port or scheme drops it. A download that was interrupted goes on where it stopped, if the server can.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Final

from cloudboot_probes.debian import cache_folder

from .errors import ChecksumError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

SCHEMES: Final = ("https", "http")
MAX_MEDIUM: Final = 64 << 30
_PIECE: Final = 1 << 20
_STALL: Final = 60.0
_MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_AGAIN: Final = "run the command again: it goes on where it stopped"


def is_url(text: str) -> bool:
    """Whether a source is a URL and not a path: a scheme, then ``://``."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.isascii() and scheme.replace("+", "").isalnum()


def verify_file(path: Path, sha256: str) -> None:
    """Hash a file of this machine.

    Raises:
        ChecksumError: it has another SHA-256.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != sha256:
        raise ChecksumError(f"{path} has the SHA-256 {actual}, not {sha256}")


def download(url: str, sha256: str, *, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Path:
    """The file at ``url``, from the cache or the network; ``progress`` is told bytes done and in all (0: unknown).

    Raises:
        DownloadError: the URL is not one of http, or the server does not give the file.
        ChecksumError: what came has another SHA-256; it is removed.
        OSError: there is no room in the cache.
    """
    _parts(url)
    folder = cache_folder() / "media"
    folder.mkdir(parents=True, exist_ok=True)
    path, partial = folder / sha256, folder / f"{sha256}.part"
    # One download of a medium at a time; a second command waits and finds it there.
    with (folder / f"{sha256}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            with contextlib.suppress(ChecksumError):
                verify_file(path, sha256)
                return path
            path.unlink()
        with partial.open("a+b") as file:
            _receive(url, file, progress)
        try:
            verify_file(partial, sha256)
        except ChecksumError as error:
            partial.unlink()
            raise ChecksumError(
                f"{_shown(url)} {error.message.partition(' ')[2]}", hint="compare with what its publisher states"
            ) from None
        partial.replace(path)
    return path


def _receive(url: str, file: IO[bytes], progress: Callable[[int, int], None]) -> None:
    """Append what is missing to ``file``."""
    start = file.seek(0, os.SEEK_END)
    with _open(url, start) as answer:
        if start and (
            answer.status != 206 or not (answer.headers["Content-Range"] or "").startswith(f"bytes {start}-")
        ):
            file.truncate(0)
            start = 0
        if answer.status == 416:  # there is nothing behind what is here already
            return
        length = answer.headers["Content-Length"] or ""
        total = start + int(length) if length.isascii() and length.isdigit() else 0
        done = start
        try:
            while piece := answer.read(_PIECE):
                done += len(piece)
                if done > MAX_MEDIUM:
                    raise DownloadError(f"{_shown(url)} is larger than {MAX_MEDIUM} bytes")
                file.write(piece)
                progress(done, total)
        except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise _failed(url, error) from None
        if total and done != total:
            raise DownloadError(
                f"{_shown(url)} ended after {done} of {total} bytes",
                hint="run the command again: it goes on from there",
            )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects are followed by :func:`_open`, which decides what the next request may carry."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """No request of its own."""


def _open(url: str, start: int) -> http.client.HTTPResponse:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor(), _NoRedirects(),
    ):  # fmt: skip
        opener.add_handler(handler)
    first = _parts(url)
    current = first
    for _ in range(_MAX_REDIRECTS + 1):
        request = urllib.request.Request(  # noqa: S310 -- _parts has let http and https alone through
            _without_account(current), headers={"User-Agent": "cloudboot"}
        )
        if start:
            request.add_header("Range", f"bytes={start}-")
        if first.username is not None and _origin(current) == _origin(first):
            account = f"{urllib.parse.unquote(first.username)}:{urllib.parse.unquote(first.password or '')}"
            request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(account.encode()).decode()}")
        try:
            answer: http.client.HTTPResponse = opener.open(request, timeout=_STALL)
        except urllib.error.HTTPError as error:
            if error.code == 416 and start:
                return error  # type: ignore[return-value]  # it has the status, headers and body of an answer
            error.close()
            if error.code not in _REDIRECTS or not error.headers.get("Location"):
                raise DownloadError(f"{_shown(url)}: {error.code} {error.reason}") from None
            place = urllib.parse.urljoin(_without_account(current), error.headers["Location"])
            following = _parts(place)
            if current.scheme == "https" and following.scheme != "https":
                raise DownloadError(f"{_shown(url)} is redirected from https to {following.scheme}") from None
            current = following
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, OSError) as error:
            raise _failed(url, error) from None
        else:
            return answer
    raise DownloadError(f"{_shown(url)} is redirected more than {_MAX_REDIRECTS} times")


def _failed(url: str, error: Exception) -> DownloadError:
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    return DownloadError(f"{_shown(url)}: {reason}", hint=_AGAIN)


def _parts(url: str) -> urllib.parse.SplitResult:
    wrong = DownloadError(f"{_shown(url)} is not a URL of https or http")
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in SCHEMES or not parts.hostname or port == 0 or any(letter <= " " for letter in url):
        raise wrong
    return parts


def _origin(parts: urllib.parse.SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _without_account(parts: urllib.parse.SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def _shown(url: str) -> str:
    """The URL without its account and its query, either of which may be a secret."""
    head, separator, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    path = rest.partition("/")[2].partition("?")[0].partition("#")[0]
    return f"{head}{separator}{host}" + (f"/{path}" if path else "")
