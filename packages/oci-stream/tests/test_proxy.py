"""Proxies that the environment names: which requests go through them, how, and what is said of bad ones."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.testing import judge
from cloudboot_oci_stream import Access, RetryPolicy, fetch_image, push_image
from cloudboot_oci_stream.errors import ProxyError
from cloudboot_oci_stream.http import proxy
from cloudboot_oci_stream.http.access import Origin
from cloudboot_oci_stream.http.proxy import is_exempt, proxy_for
from cloudboot_oci_stream.testing import FaultyRegistry, killed_with_us, server_certificate

DISK = bytes(range(256)) * 1000
ONCE = RetryPolicy(attempts=0)


@pytest.fixture(autouse=True)
def no_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextlib.contextmanager
def tinyproxy(folder: Path, *lines: str) -> Iterator[str]:
    """Debian's tinyproxy on a free port of 127.0.0.1: ``HOST:PORT``."""
    program = judge("tinyproxy", "tinyproxy")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "tinyproxy.conf"
    config.write_text(
        "\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", f'LogFile "{folder}/log"', *lines, ""])
    )
    with killed_with_us(program, "-d", "-c", str(config)):
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        else:
            raise RuntimeError("tinyproxy did not start")
        yield f"127.0.0.1:{port}"


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the registries of this machine for another machine's, which alone are reached through proxies."""
    monkeypatch.setattr(proxy, "is_loopback", lambda _: False)


@pytest.mark.usefixtures("far")
def test_plain_http_through_a_proxy(registry: FaultyRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tinyproxy(tmp_path, "BasicAuth joe secret") as where:
        monkeypatch.setenv("http_proxy", f"http://joe:s%65cret@{where}/")
        push_image(DISK, f"{registry.host}/team/disk:v1")
        push_image(DISK[1:], f"{registry.host}/team/disk:v2", chunk=100_000)
        with fetch_image(f"{registry.host}/team/disk:v1") as image:
            assert image.view[: image.descriptor.size] == DISK
    assert registry.seen
    assert all("via" in seen.headers for seen in registry.seen), "tinyproxy says that it was there"
    assert not [seen for seen in registry.seen if "proxy-authorization" in seen.headers]


@pytest.mark.usefixtures("far")
def test_tls_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = server_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with FaultyRegistry(tls=context) as registry, tinyproxy(tmp_path, "BasicAuth joe secret") as where:
        monkeypatch.setenv("HTTPS_PROXY", f"joe:secret@{where}")
        access = Access(ca_file=certificate)
        push_image(DISK, f"{registry.host}/team/disk:v1", access=access)
        with fetch_image(f"{registry.host}/team/disk:v1", access=access) as image:
            assert image.view[: image.descriptor.size] == DISK
        assert "CONNECT" in (tmp_path / "log").read_text()
        monkeypatch.setenv("HTTPS_PROXY", f"joe:wrong@{where}")
        with pytest.raises(ProxyError, match=r"answers 40[17]"):
            fetch_image(f"{registry.host}/team/disk:v1", access=access)


@pytest.mark.usefixtures("far")
def test_a_proxy_that_wants_a_password(
    registry: FaultyRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tinyproxy(tmp_path, "BasicAuth joe secret") as where:
        monkeypatch.setenv("http_proxy", f"http://{where}")
        with pytest.raises(ProxyError) as caught:
            fetch_image(f"{registry.host}/team/disk:v1")
    assert caught.value.status == 407
    assert "USER:PASSWORD" in (caught.value.hint or "")
    assert not registry.seen


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "the connection ended before an answer"),
        (b"\x05\xff", "the answer is not HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "too many header fields"),
        (None, "it says nothing"),
    ],
)
def test_what_is_no_proxy(said: bytes | None, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers where a proxy should be is named as that, and is not taken for the registry."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                if said is None:
                    peer.recv(1)
                else:
                    peer.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        where = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", f"http://joe:s3cret@{where}")
        with pytest.raises(ProxyError, match=words) as caught:
            fetch_image("registry.example/team/disk:v1", access=Access(stall=0.3), deadline=20)
        thread.join()
    assert f"no connection through the proxy http://{where}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.usefixtures("far")
def test_no_proxy_there(registry: FaultyRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://joe:secret@127.0.0.1:1")
    with pytest.raises(ProxyError, match=r"no connection to the proxy http://127\.0\.0\.1:1"):
        fetch_image(f"{registry.host}/team/disk:v1", retry=ONCE)


@pytest.mark.parametrize(
    "value",
    [
        "http://joe:s3cr3t@host:port",
        "http://joe:s3cr3t@[::1",
        "http://joe:s3cr3t",
        "http://joe:12345#s3cr3t@host:3128",
        "http://joe:12345/s3cr3t@host:3128",
        "http:/joe:s3cr3t@host:3128",
        "socks5://joe:s3cr3t@host:1080",
        "socks://joe:s3cr3t@host:1080",
        "https://joe:s3cr3t@host:3128",
        "joe:s3cr3t@:3128",
        "s3cr3t://joe:s3cr3t@host:3128 ",
    ],
)
@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY"])
def test_a_bad_proxy_is_named_and_its_password_is_not(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ProxyError) as caught:
        fetch_image("registry.example/team/disk:v1")
    told = f"{caught.value} {caught.value.hint} {json.dumps(caught.value.as_dict())} {caught.value!r}"
    assert name in told
    assert "joe" not in told
    assert "s3cr3t" not in told.replace("found s3cr3t)", "").replace('"actual": "s3cr3t"', ""), "but as a scheme"
    assert "12345" not in told


@pytest.mark.parametrize(
    ("url", "exemptions", "expected"),
    [
        ("https://192.0.2.10:5000", "192.0.2.10", True),
        ("https://192.0.2.10:5000", "192.0.2.10:5000", True),
        ("https://192.0.2.10:5000", "192.0.2.10:5001", False),
        ("https://192.0.2.10:5000", "192.0.2.1", False),
        ("https://192.0.2.10:5000", "localhost,192.0.2.0/24", True),
        ("https://192.0.2.10:5000", "192.0.3.0/24", False),
        ("https://192.0.2.10:5000", "2.10", False),
        ("https://reg.corp.example", "*.corp.example", True),
        ("https://corp.example", "*.corp.example", False),
        ("https://reg.corp.example", ".corp.example", True),
        ("https://reg.corp.example", "localhost, corp.example", True),
        ("https://reg.corp.example", "CORP.example.", True),
        ("https://reg.corp.example", "orp.example", False),
        ("https://reg.corp.example:8443", "corp.example:8443", True),
        ("https://reg.corp.example", "corp.example:8443", False),
        ("https://[2001:db8::1]:5000", "2001:db8::1", True),
        ("https://[2001:db8::1]:5000", "2001:db8:0::/32", True),
        ("https://[2001:db8::1]:5000", "[2001:db8::1]:5000", True),
        ("https://[2001:db8::1]:5000", "[2001:db8::1]:5001", False),
        ("https://reg.example", "*", True),
        ("https://reg.example", "", False),
        ("https://reg.example", ", ,a:b:c,[x],999.0.0.0/8", False),
        ("https://0xc0000201:5000", "192.0.2.0/24", True),
        ("https://[::ffff:192.0.2.1]:5000", "192.0.2.1", True),
    ],
)
def test_exemptions(url: str, exemptions: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_exempt(Origin.of(url), exemptions) is expected
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", exemptions)
    assert (proxy_for(Origin.of(url)) is None) is expected


@given(st.text(max_size=60))
def test_any_text_exempts_or_does_not(exemptions: str) -> None:
    for url in ("https://reg.example", "https://192.0.2.1:5000", "https://[2001:db8::1]"):
        assert is_exempt(Origin.of(url), exemptions) in {True, False}


def test_the_proxy_for_the_scheme_goes_before_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:1080/")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    found = proxy_for(Origin.of("https://reg.example"))
    assert found is not None
    assert str(found.origin) == "http://proxy.example:3128"
    assert proxy_for(Origin.of("http://localhost:5000")) is None
    monkeypatch.setenv("HTTP_PROXY", "http://client.example")
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.delenv("all_proxy")
    assert proxy_for(Origin.of("http://reg.example")) is None
    assert os.environ["HTTP_PROXY"]
