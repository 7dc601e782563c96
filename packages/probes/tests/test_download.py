"""Media from URLs: real servers on this machine, one of them of the standard library, the others hostile."""

from __future__ import annotations

import contextlib
import hashlib
import ssl
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_probes.cli.dispatch import run as cloudboot
from cloudboot_probes.media.download import download, is_url
from cloudboot_probes.media.errors import ChecksumError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "cache/cloudboot/media"


@contextlib.contextmanager
def served(handler: Callable[..., BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server on the loopback interface; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(BaseHTTPRequestHandler):
    """A handler that prints nothing and remembers the headers of requests."""

    seen: list[dict[str, str]]

    def log_message(self, *_: object) -> None:
        """Nothing."""


def answering(answer: Callable[[Quiet], None]) -> type[Quiet]:
    """A handler whose GET is ``answer``."""

    class Handler(Quiet):
        seen: list[dict[str, str]] = []  # noqa: RUF012 -- shared by the requests of one server

        def do_GET(self) -> None:
            self.seen.append(dict(self.headers))
            answer(self)

    return Handler


def send(handler: Quiet, data: bytes, status: int = 200, **headers: str) -> None:
    """An answer with a body."""
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(data)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    with contextlib.suppress(ConnectionError):
        handler.wfile.write(data)


def test_a_medium_is_downloaded_once(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www/medium.iso").write_bytes(DATA)
    told: list[tuple[int, int]] = []
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    with served(handler) as host:
        url = f"http://{host}/medium.iso"
        path = download(url, SHA256, progress=lambda done, total: told.append((done, total)))
        assert path.read_bytes() == DATA
        (tmp_path / "www/medium.iso").unlink()
        assert download(url, SHA256) == path
    assert told[-1] == (len(DATA), len(DATA))
    assert {each.name for each in cache.iterdir()} == {SHA256, f"{SHA256}.lock"}


def test_other_bytes_get_no_name(cache: Path) -> None:
    with (
        served(answering(lambda handler: send(handler, DATA[:-1] + b"x"))) as host,
        pytest.raises(ChecksumError, match=f"not {SHA256}"),
    ):
        download(f"http://{host}/x", SHA256)
    assert {each.name for each in cache.iterdir()} == {f"{SHA256}.lock"}


def test_damage_in_the_cache_is_noticed(cache: Path) -> None:
    with served(answering(lambda handler: send(handler, DATA))) as host:
        path = download(f"http://{host}/x", SHA256)
        path.write_bytes(DATA[:-1] + b"x")
        assert download(f"http://{host}/x", SHA256).read_bytes() == DATA
    assert (cache / SHA256).exists()


@pytest.mark.parametrize("can_go_on", [True, False])
def test_a_download_that_broke_goes_on_where_the_server_can(can_go_on: bool, cache: Path) -> None:
    def answer(handler: Quiet) -> None:
        wanted = handler.headers["Range"]
        if len(handler.seen) == 1:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(DATA)))
            handler.end_headers()
            handler.wfile.write(DATA[:1_500_000])
        elif can_go_on and wanted is not None:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            send(handler, DATA[start:], 206, Content_Range=f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        else:
            send(handler, DATA)

    handler = answering(answer)
    with served(handler) as host:
        with pytest.raises(DownloadError, match="ended after"):
            download(f"http://{host}/x", SHA256)
        assert (cache / f"{SHA256}.part").stat().st_size == 1_500_000
        assert not (cache / SHA256).exists()
        assert download(f"http://{host}/x", SHA256).read_bytes() == DATA
    assert handler.seen[1]["Range"] == "bytes=1500000-"


def test_an_account_goes_to_its_own_server_alone() -> None:
    last = answering(lambda handler: send(handler, DATA))
    with served(last) as target:
        first = answering(lambda handler: send(handler, b"", 302, Location=f"http://{target}/medium"))
        with served(first) as host:
            path = download(f"http://user:se%40cret@{host}/x", SHA256)
    assert path.read_bytes() == DATA
    assert first.seen[0]["Authorization"] == "Basic dXNlcjpzZUBjcmV0"
    assert "Authorization" not in last.seen[0]


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"])
def test_redirects_lead_to_http_alone(place: str) -> None:
    with (
        served(answering(lambda handler: send(handler, b"", 302, Location=place))) as host,
        pytest.raises(DownloadError, match="is not a URL of https or http"),
    ):
        download(f"http://{host}/x", SHA256)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's certificate for 127.0.0.1, made by openssl, and trusted by this process."""
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    run(
        judge("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", key, "-out", chain, "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
        "subjectAltName=IP:127.0.0.1",
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


def test_https_is_verified_and_not_left(certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(handler: Quiet) -> None:
        if handler.path == "/away":
            send(handler, b"", 302, Location="http://127.0.0.1:1/medium")
        else:
            send(handler, DATA)

    with served(answering(answer), certificate) as host:
        assert download(f"https://{host}/medium", SHA256).read_bytes() == DATA
        with pytest.raises(DownloadError, match="redirected from https to http"):
            download(f"https://{host}/away", hashlib.sha256(b"other").hexdigest())
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
            download(f"https://{host}/medium", hashlib.sha256(b"third").hexdigest())


def test_redirects_have_an_end() -> None:
    handler = answering(lambda handler: send(handler, b"", 302, Location="/again"))
    with served(handler) as host, pytest.raises(DownloadError, match="redirected more than 10 times"):
        download(f"http://{host}/x", SHA256)
    assert len(handler.seen) == 11


def test_a_refusal_is_told_without_the_account() -> None:
    with (
        served(answering(lambda handler: send(handler, b"no", 404))) as host,
        pytest.raises(DownloadError, match="404") as caught,
    ):
        download(f"http://user:secret@{host}/x?token=secret", SHA256)
    assert "secret" not in str(caught.value)


def test_nobody_there_is_told() -> None:
    with served(answering(lambda handler: send(handler, b""))) as host:
        pass
    with pytest.raises(DownloadError, match="refused"):
        download(f"http://{host}/x", SHA256)


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "http://", "http://host:0/", "http://a b/"])
def test_urls_of_other_kinds_are_refused(url: str) -> None:
    assert is_url(url)
    with pytest.raises(DownloadError, match="is not a URL of https or http"):
        download(url, SHA256)


def test_the_command_needs_the_digest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cloudboot(["image", "build", "freebsd", "--from", "http://127.0.0.1/x", "-o", "/nonexistent/x"]) == 2
    assert "a URL needs --sha256" in capsys.readouterr().err


def test_a_file_is_held_against_the_digest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "medium").write_bytes(b"something")
    command = ["image", "build", "freebsd", "--from", str(tmp_path / "medium"), "-o", str(tmp_path / "x")]
    assert cloudboot([*command, "--sha256", SHA256]) == 3
    assert "has the SHA-256" in capsys.readouterr().err
