"""The receive path against every fault: verified bytes, or a typed error and a buffer of zeros."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudboot_oci_stream import (
    Access,
    Descriptor,
    OciError,
    RetryPolicy,
    fetch_blob_to_buffer,
    fetch_blob_to_file,
    iter_blob,
)
from cloudboot_oci_stream.download.receive import wipe
from cloudboot_oci_stream.errors import (
    BodyOverflowError,
    BufferTooSmallError,
    ContentEncodingError,
    ContentRangeError,
    DescriptorError,
    DigestMismatchError,
    InsecureError,
    NoRoomError,
    NotFoundError,
    RateLimitedError,
    RedirectLoopError,
    RedirectSchemeError,
    RedirectWithoutLocationError,
    ShortBodyError,
    SizeMismatchError,
    SlowPeerError,
    StatusError,
    TransferTimeoutError,
    TransportError,
)
from cloudboot_oci_stream.spec.descriptor import digest_of
from cloudboot_oci_stream.testing import FaultyRegistry

DATA = random.Random(2).randbytes(900_001)
SIZE = len(DATA)
QUICK = RetryPolicy(attempts=2, pause=0.001)
IMPATIENT = Access(stall=0.25)
UNTOUCHED = 0xAA


def descriptor(data: bytes = DATA, algorithm: str = "sha256") -> Descriptor:
    return Descriptor(media_type="application/x-test", digest=digest_of(data, algorithm), size=len(data))


def fetch(registry: FaultyRegistry, wanted: Descriptor | None = None, **options: Any) -> bytearray:
    buffer = bytearray([UNTOUCHED]) * (SIZE + 100)
    options = {"retry": QUICK, "access": IMPATIENT, **options}
    source = f"{registry.host}/team/disk"
    assert fetch_blob_to_buffer(wanted or descriptor(), buffer, source, **options) == SIZE
    return buffer


def assert_fetched(buffer: bytearray, data: bytes = DATA) -> None:
    assert buffer[: len(data)] == data
    assert set(buffer[len(data) :]) == {UNTOUCHED}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob(registry: FaultyRegistry, algorithm: str) -> None:
    registry.add_blob(DATA, algorithm)
    seen: list[tuple[int, int]] = []
    buffer = fetch(registry, descriptor(algorithm=algorithm), progress=lambda done, total: seen.append((done, total)))
    assert_fetched(buffer)
    assert seen == sorted(set(seen))
    assert seen[-1] == (SIZE, SIZE)
    # Nothing but one plain request: no HEAD, no range, no credentials.
    (request,) = registry.seen
    assert request.headers.keys() == {"host", "user-agent", "accept-encoding"}
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "make",
    [bytearray, lambda size: mmap.mmap(-1, size), lambda size: memoryview(bytearray(size * 2)).cast("H")],
    ids=["bytearray", "mmap", "shorts"],
)
def test_any_writable_buffer(registry: FaultyRegistry, make: Any) -> None:
    registry.add_blob(DATA)
    buffer = make(SIZE + 7)
    fetch_blob_to_buffer(descriptor().as_json(), buffer, f"{registry.host}/team/disk")
    assert bytes(memoryview(buffer).cast("B")[:SIZE]) == DATA


FAULTS: list[tuple[str, dict[str, Any], type[OciError]]] = [
    ("first bit", {"flip": 0}, DigestMismatchError),
    ("middle bit", {"flip": SIZE // 2}, DigestMismatchError),
    ("last bit", {"flip": SIZE - 1}, DigestMismatchError),
    ("longer by announcement", {"announce": SIZE + 1}, BodyOverflowError),
    ("shorter by announcement", {"announce": SIZE - 1}, SizeMismatchError),
    ("announced as nothing", {"announce": 0}, SizeMismatchError),
    ("surplus in chunks", {"framing": "chunked", "surplus": b"x"}, BodyOverflowError),
    ("surplus before the close", {"framing": "close", "surplus": b"x" * 70_000}, BodyOverflowError),
    ("cut at every try", {"cuts": [0] * 9}, ShortBodyError),
    ("reset at every try", {"cuts": [0] * 9, "reset": True}, TransportError),
    ("cut without a length", {"framing": "close", "cuts": [10, 11, 12, 13]}, ShortBodyError),
    ("cut chunks", {"framing": "chunked", "cuts": [10] * 9}, OciError),
    ("silent at every try", {"stalls": [5] * 9}, TransferTimeoutError),
    ("trickle", {"trickle": 0.002}, SlowPeerError),
    ("compressed", {"encoding": "gzip"}, ContentEncodingError),
    ("redirect in a circle", {"redirect": "loop"}, RedirectLoopError),
    ("redirects without end", {"redirect": "endless"}, RedirectLoopError),
    ("redirect to nowhere", {"redirect": "nowhere"}, RedirectWithoutLocationError),
    ("redirect to a file", {"redirect": "file:///etc/passwd"}, RedirectSchemeError),
    ("redirect to plain HTTP elsewhere", {"redirect": "http://registry.example/disk"}, InsecureError),
    ("redirect to a bad port", {"redirect": "http://127.0.0.1:99999/"}, OciError),
    ("redirect to a bad host", {"redirect": "http://[::zz]/"}, OciError),
    ("redirect to spaces", {"redirect": "/v2/ team/disk/ä"}, NotFoundError),
    ("shifted range", {"cuts": [200_000], "ranges": "shift"}, ContentRangeError),
    ("garbled range", {"cuts": [200_000], "ranges": "garble"}, ContentRangeError),
    ("several ranges", {"cuts": [200_000], "ranges": "multipart"}, ContentRangeError),
    ("range of another size", {"cuts": [200_000], "ranges": "resize"}, SizeMismatchError),
    ("forbidden", {"answers": [(403, {})]}, StatusError),
    ("no longer there", {"cuts": [200_000]}, NotFoundError),
    ("teapot", {"answers": [(418, {})]}, StatusError),
    ("unavailable for good", {"answers": [(503, {})] * 9}, StatusError),
    ("rate limit for good", {"answers": [(429, {"Retry-After": "0"})] * 9}, RateLimitedError),
    ("a range nobody asked for", {"answers": [(206, {})]}, StatusError),
    ("no content", {"answers": [(204, {})]}, StatusError),
]


@pytest.mark.parametrize(("faults", "error"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_faults(registry: FaultyRegistry, faults: dict[str, Any], error: type[OciError]) -> None:
    registry.add_blob(DATA)
    for name, value in faults.items():
        setattr(registry.faults, name, value)
    buffer = bytearray([UNTOUCHED]) * (SIZE + 100)
    source = f"{registry.host}/team/disk:v1"

    def forget(done: int, total: int) -> None:
        del done, total
        if error is NotFoundError:
            registry.blobs.clear()

    with pytest.raises(error) as caught:
        fetch_blob_to_buffer(descriptor(), buffer, source, retry=QUICK, access=IMPATIENT, progress=forget)
    assert bytes(buffer[:SIZE]) == bytes(SIZE), "bytes that were never verified are still there"
    assert set(buffer[SIZE:]) == {UNTOUCHED}
    assert caught.value.reference == source
    assert caught.value.digest == descriptor().digest
    assert caught.value.as_dict()["error"] == type(caught.value).__name__


@pytest.mark.parametrize(
    "faults",
    [
        {"cuts": [0, 1, 70_000, 400_000, SIZE - 1]},
        {"cuts": [100_000, 500_000], "reset": True},
        {"cuts": [300_000], "framing": "chunked"},
        {"cuts": [300_000, 600_000], "ranges": "ignore"},
        {"cuts": [300_000, 600_000], "ranges": "refuse"},
        {"stalls": [300_000]},
        {"framing": "chunked"},
        {"framing": "close"},
        {"answers": [(503, {}), (429, {"Retry-After": "0"})]},
        {"answers": [(503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}), (502, {"Retry-After": "soon"})]},
        {"redirect": "storage", "cuts": [300_000]},
        {"delay": 0.05},
    ],
    ids=str,
)
def test_what_is_overcome(registry: FaultyRegistry, faults: dict[str, Any]) -> None:
    registry.add_blob(DATA)
    for name, value in faults.items():
        setattr(registry.faults, name, value)
    assert_fetched(fetch(registry))


def test_a_transfer_resumes_from_its_frontier(registry: FaultyRegistry) -> None:
    registry.add_blob(DATA)
    registry.faults.cuts = [100_000, 700_000]
    assert_fetched(fetch(registry))
    ranges = [seen.headers.get("range") for seen in registry.seen]
    assert ranges == [None, f"bytes=100000-{SIZE - 1}", f"bytes=700000-{SIZE - 1}"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, SIZE - 1), max_size=20),
    stalls=st.lists(st.integers(0, SIZE - 1), max_size=1),
    reset=st.booleans(),
    ranges=st.sampled_from(["honour", "honour", "ignore"]),
    framing=st.sampled_from(["length", "chunked", "close"]),
    flip=st.none() | st.integers(0, SIZE - 1),
)
def test_random_faults_give_the_bytes_or_a_wiped_buffer(registry: FaultyRegistry, **faults: Any) -> None:
    registry.add_blob(DATA)
    for name, value in faults.items():
        setattr(registry.faults, name, value)
    buffer = bytearray([UNTOUCHED]) * SIZE
    try:
        fetch_blob_to_buffer(descriptor(), buffer, f"{registry.host}/d", retry=QUICK, access=Access(stall=0.1))
    except OciError:
        assert buffer == bytes(SIZE)
    else:
        assert faults["flip"] is None
        assert buffer == DATA


def test_a_thousand_random_cuts(registry: FaultyRegistry) -> None:
    registry.add_blob(DATA)
    registry.faults.cuts = sorted(random.Random(3).sample(range(SIZE), 1000))
    assert_fetched(fetch(registry, retry=RetryPolicy(attempts=1000, pause=0.0), access=None))
    assert registry.faults.cuts == []
    assert len(registry.seen) == 1001


@pytest.mark.parametrize("where", ["network", "start", "end"])
def test_an_interrupt_wipes_too(registry: FaultyRegistry, where: str) -> None:
    registry.add_blob(DATA)
    buffer = mmap.mmap(-1, SIZE)

    def interrupt(done: int, total: int) -> None:
        if where == "start" or done == total:
            raise KeyboardInterrupt

    if where == "network":
        registry.faults.stalls = [400_000]
        # What a terminal does: SIGINT while the main thread waits for the socket.
        threading.Timer(0.3, os.kill, (os.getpid(), 2)).start()
        arguments: dict[str, Any] = {}
    else:
        arguments = {"progress": interrupt}
    try:
        fetch_blob_to_buffer(descriptor(), buffer, f"{registry.host}/d", **arguments)
    except KeyboardInterrupt:
        assert buffer[:] == bytes(SIZE)
        # Nothing of the transfer holds on to the caller's mapping, even while the error is being handled.
        buffer.close()
    else:
        pytest.fail("the interrupt was lost")


def test_no_thread_is_left(registry: FaultyRegistry) -> None:
    registry.add_blob(DATA)
    registry.faults.flip = 5
    with pytest.raises(DigestMismatchError):
        fetch(registry)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cloudboot-oci")]


def test_the_deadline_is_for_all_of_it(registry: FaultyRegistry) -> None:
    registry.add_blob(DATA)
    registry.faults.trickle = 0.01
    with pytest.raises(TransferTimeoutError, match=r"not finished within 0\.5 s"):
        fetch(registry, deadline=0.5, access=Access(stall=20))


def test_a_deadline_is_not_slept_past(registry: FaultyRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("cloudboot_oci_stream.deadline.time.sleep", slept.append)
    registry.add_blob(DATA)
    registry.faults.answers = [(429, {"Retry-After": "60"})]
    with pytest.raises(TransferTimeoutError, match="the last attempt failed: as ordered"):
        fetch(registry, deadline=2)
    assert not [seconds for seconds in slept if seconds >= 1]


def test_a_buffer_too_small_costs_no_request(registry: FaultyRegistry) -> None:
    registry.add_blob(DATA)
    buffer = bytearray([UNTOUCHED]) * (SIZE - 1)
    with pytest.raises(BufferTooSmallError) as caught:
        fetch_blob_to_buffer(descriptor(), buffer, f"{registry.host}/d")
    assert (caught.value.expected, caught.value.actual) == (SIZE, SIZE - 1)
    with pytest.raises(BufferTooSmallError, match="read-only"):
        fetch_blob_to_buffer(descriptor(), bytes(SIZE), f"{registry.host}/d")
    assert set(buffer) == {UNTOUCHED}
    assert registry.seen == []


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1},
        {"digest": "md5:" + "0" * 32},
        {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar"},
    ],
)
def test_a_bad_descriptor_costs_no_request(registry: FaultyRegistry, change: dict[str, Any]) -> None:
    with pytest.raises(DescriptorError):
        fetch_blob_to_buffer(descriptor().as_json() | change, bytearray(SIZE), f"{registry.host}/d")
    assert registry.seen == []


def test_an_empty_blob(registry: FaultyRegistry) -> None:
    registry.add_blob(b"")
    assert fetch_blob_to_buffer(descriptor(b""), bytearray(3), f"{registry.host}/d") == 0
    wrong = Descriptor(media_type="a/b", digest=digest_of(b"x"), size=0)
    with pytest.raises(DigestMismatchError):
        fetch_blob_to_buffer(wrong, bytearray(3), f"{registry.host}/d")


def test_wiping_is_not_interrupted() -> None:
    view = memoryview(bytearray(b"x" * 3_000_000))
    wipe(view)
    assert view == bytes(3_000_000)


def test_memory_above_the_buffer(registry: FaultyRegistry) -> None:
    data = bytes(64 << 20)
    registry.add_blob(data)
    buffer = mmap.mmap(-1, len(data))
    wanted, source = descriptor(data), f"{registry.host}/d"
    tracemalloc.start()
    fetch_blob_to_buffer(wanted, buffer, source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20


ENDLESS = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 100),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "chunks of nothing": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 100),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n", b"X: y\r\n"),
    "an error": (b"HTTP/1.1 404 No\r\n\r\n", b" " * 100),
    "no HTTP": (b"", b"\xff" * 100),
}


@pytest.mark.parametrize(("start", "rest"), ENDLESS.values(), ids=ENDLESS.keys())
def test_answers_that_do_not_end(start: bytes, rest: bytes) -> None:
    """No deadline, and a peer that is never slow: what ends is the patience with bytes that are no content."""

    class Peer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.sendall(start)
                while True:
                    self.request.sendall(rest * 100)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Peer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        buffer = bytearray([UNTOUCHED]) * 1
        source = f"127.0.0.1:{server.server_address[1]}/d"
        with pytest.raises(OciError):
            fetch_blob_to_buffer(descriptor(b"1"), buffer, source, retry=QUICK)
        assert buffer == b"\0"
        server.shutdown()


def test_nobody_listens() -> None:
    with pytest.raises(TransportError, match="refused"):
        fetch_blob_to_buffer(descriptor(), bytearray(SIZE), "127.0.0.1:1/d", retry=QUICK)


def test_force_replaces_files_only(registry: FaultyRegistry, tmp_path: Path) -> None:
    registry.add_blob(DATA)
    source = f"{registry.host}/d"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(FileExistsError):
            fetch_blob_to_file(descriptor(), path, source, force=True)
    assert pipe.is_fifo()
    assert registry.seen == []


def test_a_file_made_in_the_meantime_is_not_replaced(registry: FaultyRegistry, tmp_path: Path) -> None:
    registry.add_blob(DATA)
    path = tmp_path / "disk.img"

    def make(done: int, total: int) -> None:
        del done, total
        path.write_text("mine")

    with pytest.raises(FileExistsError):
        fetch_blob_to_file(descriptor(), path, f"{registry.host}/d", progress=make)
    assert path.read_text() == "mine"
    assert os.listdir(tmp_path) == ["disk.img"]


def test_a_blob_into_a_file(registry: FaultyRegistry, tmp_path: Path) -> None:
    registry.add_blob(DATA)
    path, source = tmp_path / "disk.img", f"{registry.host}/d"
    assert fetch_blob_to_file(descriptor(), path, source) == SIZE
    assert path.read_bytes() == DATA
    with pytest.raises(FileExistsError):
        fetch_blob_to_file(descriptor(), path, source)
    registry.faults.flip = 7
    with pytest.raises(DigestMismatchError):
        fetch_blob_to_file(descriptor(), path, source, force=True)
    with pytest.raises(DigestMismatchError):
        fetch_blob_to_file(descriptor(), tmp_path / "other.img", source)
    assert os.listdir(tmp_path) == ["disk.img"], "nothing temporary, nothing unverified"
    assert path.read_bytes() == DATA
    registry.add_blob(b"")
    assert fetch_blob_to_file(descriptor(b""), path, source, force=True) == 0
    assert path.read_bytes() == b""
    with pytest.raises(OSError, match=r"too large|No space"):
        fetch_blob_to_file(descriptor().as_json() | {"size": 1 << 60}, tmp_path / "other.img", source)
    assert os.listdir(tmp_path) == ["disk.img"]


def test_pieces_of_a_blob_come_verified(registry: FaultyRegistry) -> None:
    registry.add_blob(DATA)
    source = f"{registry.host}/d"
    pieces = list(iter_blob(descriptor(), source, size=70_001))
    assert b"".join(pieces) == DATA
    assert {len(piece) for piece in pieces[:-1]} == {70_001}
    assert all(piece.readonly for piece in pieces)
    registry.faults.flip = SIZE - 1
    with pytest.raises(DigestMismatchError):
        next(iter_blob(descriptor(), source))
    registry.faults.flip = None
    registry.add_blob(b"")
    assert list(iter_blob(descriptor(b""), source)) == []
    with pytest.raises(NoRoomError):
        next(iter_blob(descriptor(), source, max_size=SIZE - 1))


def test_an_empty_blob_into_a_file_is_verified_too(registry: FaultyRegistry, tmp_path: Path) -> None:
    wrong = Descriptor(media_type="a/b", digest=digest_of(b"x"), size=0)
    with pytest.raises(DigestMismatchError):
        fetch_blob_to_file(wrong, tmp_path / "disk.img", f"{registry.host}/d")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("deadline", [float("nan"), -1.0])
def test_deadlines_that_are_none(registry: FaultyRegistry, deadline: float) -> None:
    with pytest.raises(ValueError, match="deadline"):
        fetch(registry, deadline=deadline)
    assert registry.seen == []


@pytest.mark.parametrize("kind", ["timeout", "reset"])
def test_what_had_come_of_a_large_read_is_kept(registry: FaultyRegistry, kind: str) -> None:
    """A connection that always breaks before one whole step still gets there."""
    registry.add_blob(DATA)
    marks = list(range(100_000, SIZE, 100_000))
    if kind == "timeout":
        registry.faults.stalls = list(marks)
    else:
        registry.faults.cuts, registry.faults.reset = list(marks), True
    assert_fetched(
        fetch(registry, access=Access(stall=0.1), retry=RetryPolicy(attempts=3, progress=50_000, pause=0.001))
    )
    if kind == "timeout":
        assert [seen.headers.get("range") for seen in registry.seen[1:]] == [f"bytes={m}-{SIZE - 1}" for m in marks]


def test_names_are_looked_up_under_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo
    released = threading.Event()

    def slow(host: str, port: int, **options: Any) -> Any:
        if not options.get("flags"):
            released.wait(60)
        return look_up(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(TransferTimeoutError, match=r"not finished within 0\.3 s"):
        fetch_blob_to_buffer(
            descriptor(), bytearray(SIZE), "registry.invalid/d", access=Access(insecure=True), deadline=0.3
        )
    released.set()  # only now: the look-up was not waited for


def test_a_handshake_is_under_the_deadline() -> None:
    """A peer that takes the connection, and says one byte of TLS now and then."""

    class Peer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                for byte in b"\x16\x03\x03\x20\x00" + bytes(45):  # a record of 8 KiB begins
                    self.request.sendall(bytes([byte]))
                    time.sleep(0.1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Peer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        source = f"127.0.0.1:{server.server_address[1]}/d"
        with pytest.raises(TransferTimeoutError):
            fetch_blob_to_buffer(
                descriptor(), bytearray(SIZE), source, access=Access(insecure=False), deadline=0.5, retry=QUICK
            )
        server.shutdown()


KILLED = """
import os, signal, sys
from cloudboot_oci_stream import Descriptor, fetch_blob_to_file
fetch_blob_to_file(
    {"mediaType": "a/b", "digest": sys.argv[2], "size": int(sys.argv[3])}, "disk.img", sys.argv[1],
    progress=lambda done, total: os.kill(os.getpid(), signal.SIGKILL),
)
"""


def test_a_killed_process_leaves_no_file(registry: FaultyRegistry, tmp_path: Path) -> None:
    registry.add_blob(DATA)
    arguments = [f"{registry.host}/d", digest_of(DATA), str(SIZE)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == []
