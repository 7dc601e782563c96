"""Slow is not dead: what takes its time gets it, and what has stopped does not."""

from __future__ import annotations

import contextlib
import functools
import http.client
import http.server
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cloudboot_oci_stream import Access, Policy, RetryPolicy, fetch_image, push_image
from cloudboot_oci_stream.errors import (
    KeyFileError,
    NotAnImageError,
    NotFoundError,
    PolicyError,
    TransferTimeoutError,
    TransportError,
)
from cloudboot_oci_stream.testing import FaultyRegistry

DISK = bytes(range(256)) * 1000
ONCE = RetryPolicy(attempts=0)


class _Front:
    """Stands before a registry and does something of its own with uploads (PUT of a blob)."""

    def __init__(self, registry: FaultyRegistry, act: Any) -> None:
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Not on the terminal."""

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                front.seen.append((self.command, self.path, len(body)))
                answer = functools.partial(front.forward, self, body)
                if self.command == "PUT" and "/uploads/" in self.path:
                    act(self, answer)
                else:
                    answer()

            do_POST = do_PUT = do_PATCH = do_HEAD = do_GET  # noqa: N815 - http.server's names

        self.seen: list[tuple[str, str, int]] = []
        self.registry = registry
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"

    def forward(self, handler: http.server.BaseHTTPRequestHandler, body: bytes, *, is_answered: bool = True) -> None:
        connection = http.client.HTTPConnection(self.registry.host)
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "host"}
        connection.request(handler.command, handler.path, body, headers)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        if not is_answered:
            return
        handler.close_connection = True
        handler.send_response(response.status)
        for name, value in response.headers.items():
            if name.lower() not in {"content-length", "connection", "date", "server"}:
                handler.send_header(name, value)
        length = response.headers["Content-Length"] if handler.command == "HEAD" else str(len(data))
        handler.send_header("Content-Length", length or "0")
        handler.send_header("Connection", "close")
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    @property
    def uploads(self) -> list[int]:
        return [size for method, path, size in self.seen if method == "PUT" and "/uploads/" in path and size > 100]


@contextlib.contextmanager
def front(registry: FaultyRegistry, act: Any) -> Iterator[_Front]:
    registry.faults.locations = "relative"
    found = _Front(registry, act)
    threading.Thread(target=found.server.serve_forever, args=(0.02,), daemon=True).start()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_a_registry_that_takes_its_time_to_store(registry: FaultyRegistry) -> None:
    """The answer comes after four times as long as a connection may be silent."""

    def act(_: Any, answer: Any) -> None:
        time.sleep(2)
        answer()

    with front(registry, act) as before:
        push_image(DISK, f"{before.host}/team/disk:v1", access=Access(stall=0.5))
        assert before.uploads == [len(DISK)]
    assert DISK in registry.blobs.values()


def test_a_connection_that_breaks_while_the_blob_is_stored(registry: FaultyRegistry) -> None:
    """A proxy gives up; the registry behind it does not. The blob is looked for, and not sent again."""

    def act(handler: Any, answer: Any) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True
        time.sleep(1.0)
        answer(is_answered=False)

    with front(registry, act) as before:
        push_image(DISK, f"{before.host}/team/disk:v1")
        assert before.uploads == [len(DISK)]


def test_an_answer_that_never_comes(registry: FaultyRegistry) -> None:
    ended = threading.Event()

    def act(handler: Any, answer: Any) -> None:
        del handler, answer
        ended.wait(20)

    with front(registry, act) as before:
        access = Access(stall=0.3, answer=1.0)
        with pytest.raises(TransferTimeoutError):
            push_image(DISK, f"{before.host}/team/disk:v1", access=access, retry=ONCE)
        ended.set()


class _Sink(threading.Thread):
    """Takes an upload at a rate, from a receive buffer as small as it gets, and answers as a registry would."""

    rate: ClassVar[int] = 20_000

    def __init__(self, *, stops_at: int | None = None) -> None:
        super().__init__(daemon=True)
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.size, self.stops_at = 0, stops_at
        self.ended = threading.Event()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                with sock:
                    self.serve(sock)

    def serve(self, sock: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        method = head.split(b" ")[0]
        if method == b"PUT" and b"/uploads/" in head:
            left = self.size = int(head.partition(b"Content-Length: ")[2].split(b"\r")[0])
            while left:
                if self.stops_at is not None and self.size - left >= self.stops_at:
                    self.ended.wait(30)
                    return
                data = sock.recv(min(left, self.rate // 10))
                if not data:
                    return
                left -= len(data)
                time.sleep(0.1)
        status = {b"HEAD": b"404 No", b"POST": b"202 Accepted"}.get(method, b"201 Created")
        location = b"Location: /v2/team/disk/blobs/uploads/1\r\n" if method == b"POST" else b""
        sock.sendall(b"HTTP/1.1 %b\r\n%bContent-Length: 0\r\nConnection: close\r\n\r\n" % (status, location))


def test_a_send_buffer_that_drains_slowly() -> None:
    """All of it fits into the kernel's buffers, and the peer takes longer than the limit to take it from there."""
    sink = _Sink()
    sink.start()
    push_image(b"x" * 60_000, f"{sink.host}/team/disk:v1", access=Access(stall=1.5, answer=1.5), retry=ONCE)
    sink.listener.close()


def test_a_peer_that_stops_taking() -> None:
    sink = _Sink(stops_at=100_000)
    sink.start()
    with pytest.raises(TransferTimeoutError):
        push_image(b"x" * (40 << 20), f"{sink.host}/team/disk:v1", access=Access(stall=0.5), retry=ONCE)
    sink.ended.set()
    sink.listener.close()


def test_a_registry_that_is_gone_for_a_while(registry: FaultyRegistry) -> None:
    """It refuses connections between two halves of a blob, for longer than a few quick attempts last."""
    push_image(DISK, f"{registry.host}/team/disk:v1")
    port = registry._servers[0].server_address[1]
    relay = socket.create_server(("127.0.0.1", 0))
    host = f"127.0.0.1:{relay.getsockname()[1]}"
    away = threading.Event()

    def serve() -> None:
        nonlocal relay
        number = 0
        while True:
            try:
                client, _ = relay.accept()
            except OSError:
                return
            number += 1
            with client, socket.create_connection(("127.0.0.1", port)) as server:
                if number == 2:
                    registry.faults.cuts = [100_000]
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()
                _pump(server, client)
            if number == 2:
                address = relay.getsockname()
                relay.close()
                away.set()
                time.sleep(4)
                relay = socket.create_server(address)

    threading.Thread(target=serve, daemon=True).start()
    with fetch_image(f"{host}/team/disk:v1") as image:
        assert image.view[: image.descriptor.size] == DISK
    assert away.is_set()
    relay.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_a_registry_that_was_never_there_is_given_up_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(TransportError) as caught:
        fetch_image(f"127.0.0.1:{port}/team/disk:v1", deadline=10)
    assert caught.value.is_first_contact


# Pipes


def test_a_policy_from_a_pipe_that_nobody_writes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TransferTimeoutError):
        Policy.load(tmp_path / "pipe", deadline=0.3)


def test_a_policy_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        with open(tmp_path / "pipe", "wb") as file:
            time.sleep(0.2)
            file.write(b'version = 1\ndefault = "accept"\n')

    threading.Thread(target=write).start()
    assert Policy.load(tmp_path / "pipe", deadline=20).default == "accept"
    # As a shell's <(...) gives it: the writer has come and gone.
    read, written = os.pipe()
    os.write(written, b'version = 1\ndefault = "refuse"\n')
    os.close(written)
    assert Policy.load(f"/dev/fd/{read}", deadline=20).default == "refuse"
    with pytest.raises(PolicyError):
        Policy.load(f"/proc/self/fd/{read}", deadline=20)
    os.close(read)


@pytest.mark.parametrize("path", ["/dev/zero", "/"])
def test_policies_and_keys_of_the_wrong_kind(path: str) -> None:
    with pytest.raises((PolicyError, OSError)):
        Policy.load(path)
    with pytest.raises((KeyFileError, OSError)):
        Policy.of_one_rule(keys=[path])


def test_a_push_from_a_pipe_is_under_the_deadline(registry: FaultyRegistry, tmp_path: Path) -> None:
    read, written = os.pipe()
    os.write(written, b"x" * 100)
    with pytest.raises(TransferTimeoutError):
        push_image(read, f"{registry.host}/team/disk:v1", deadline=0.5)
    os.close(written)
    with pytest.raises(NotAnImageError, match="empty"):  # the first attempt took what there was
        push_image(read, f"{registry.host}/team/disk:v1", deadline=20)
    os.close(read)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TransferTimeoutError):
        push_image(tmp_path / "pipe", f"{registry.host}/team/disk:v1", deadline=0.3)


def test_a_missing_repository_is_not_asked_for_again(registry: FaultyRegistry) -> None:
    with pytest.raises(NotFoundError):
        fetch_image(f"{registry.host}/team/disk:v1")
    assert len(registry.seen) == 1
