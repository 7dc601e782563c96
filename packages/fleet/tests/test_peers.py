"""Addresses at which something else than a scheduler listens: real sockets, and an end within the patience given."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudboot_fleet.cluster import Tls
from cloudboot_fleet.cluster.peer import find_scheduler
from cloudboot_fleet.errors import ClusterError, PeerError
from cloudboot_fleet.testing import Running, eventually
from cloudboot_oci_stream.testing import server_certificate


@contextlib.contextmanager
def served(answer: Callable[[socket.socket], object], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """``HOST:PORT`` of a listener that does ``answer`` with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                    if context is not None:
                        connection = context.wrap_socket(connection, server_side=True)
                except ssl.SSLError:
                    continue
                except OSError:
                    return
                answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def http_server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def found(address: str, tls: Tls | None = None, patience: float = 1.0) -> None:
    asyncio.run(find_scheduler(address, tls.security() if tls is not None else None, patience))


def test_an_http_server_is_named() -> None:
    with http_server() as place, pytest.raises(PeerError, match="says 'HTTP/1"):
        found(f"tcp://{place}", patience=60)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "says 'SSH-2.0-'"),
        (b"\0\x1b[31m\xff\xfe\xfd" + bytes(99), "what listens there says"),
        ((20).to_bytes(8, "little") + b"x" * 20, "is not Dask"),
    ],
)
def test_what_speaks_otherwise_is_not_a_scheduler(said: bytes, told: str) -> None:
    def says(connection: socket.socket) -> None:
        with connection:
            connection.sendall(said)

    with served(says) as place, pytest.raises(PeerError) as caught:
        found(f"tcp://{place}", patience=60)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


def test_what_says_nothing_or_closes_is_waited_for_in_vain() -> None:
    kept: list[socket.socket] = []
    with served(kept.append) as place, pytest.raises(ClusterError, match="for 1 s: no answer"):
        found(f"tcp://{place}")
    with served(socket.socket.close) as place, pytest.raises(ClusterError, match="refused or closed"):
        found(f"tcp://{place}")
    with pytest.raises(ClusterError, match="refused or closed"):
        found(f"tcp://{place}")
    with pytest.raises(ClusterError, match="no scheduler at tcp://"):
        found("tcp://scheduler.invalid:8786")
    for connection in kept:
        connection.close()


def test_a_scheduler_is_found_and_its_workers_are_none(tmp_path: Path) -> None:
    with Running("scheduler", "tcp://127.0.0.1:0", folder=tmp_path) as scheduler:
        eventually(lambda: "tcp://" in scheduler.printed)
        address = scheduler.printed.strip()
        found(address)
        with Running("worker", address, folder=tmp_path) as worker:
            eventually(lambda: "1 workers at" in worker.printed)
            nanny = asyncio.run(worker_of(address))
            with pytest.raises(PeerError, match="is Dask's Worker"):
                found(nanny, patience=60)


async def worker_of(address: str) -> str:
    from distributed import rpc

    async with rpc(address) as peer:
        return str(next(iter((await peer.identity())["workers"])))


def test_tls_that_fails_is_said_at_once(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    ours, other = server_certificate(tmp_path / "ours"), server_certificate(tmp_path / "theirs")
    tls = Tls(ours[0], *ours)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*other)
    with served(socket.socket.close, context) as place, pytest.raises(PeerError, match="certificate verify failed"):
        found(f"tls://{place}", tls, patience=60)
    with http_server() as place, pytest.raises(PeerError, match="TLS failed"):
        found(f"tls://{place}", tls, patience=60)
    context.load_cert_chain(*ours)
    with served(socket.socket.close, context) as place, pytest.raises(ClusterError, match="closed"):
        found(f"tls://{place}", tls)


@pytest.mark.parametrize("command", ["worker", "run"])
def test_a_command_that_is_pointed_at_an_http_server_ends(command: str, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('[[cells]]\nkind = "nothing"\n')
    with http_server() as place:
        address = f"tcp://{place}"
        words = ["worker", address] if command == "worker" else ["run", "m.toml", "--scheduler", address]
        with Running(*words, folder=tmp_path) as running:
            assert running.wait() == 5, running.printed
    assert f"error: no scheduler at {address}: what listens there says 'HTTP/1" in running.printed
    assert "Traceback" not in running.printed


def test_a_worker_that_is_pointed_at_a_silent_listener_ends(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with Running("worker", address, "--patience", "1", folder=tmp_path) as worker:
            assert worker.wait() == 5, worker.printed
    assert f"error: no scheduler at {address} for 1 s: no answer" in worker.printed
    assert "Traceback" not in worker.printed
