"""How fast a verified fetch is: ``python benchmarks/oci.py [--size MIB ...] [--rounds N] [--variants]``.

One image in Debian's docker-registry on loopback, fetched by each client in turn, round after round, each time in a
process of its own. The yardstick of a round is hashlib's SHA-256 over as many bytes: no verified fetch can be faster.
Printed are medians: the rate, its share of the yardstick, processor time against the yardstick's, and peak memory above
what the process had before and above the buffer, where the client has one. Before each run as much memory as it takes
is touched and given back: the host of a virtual machine hands memory out when it is first touched, which takes longer
than everything else here, and would be charged to whoever comes first.

``--variants`` measures what was tried and not taken, instead: a receiver that waits while it is more than 2 MiB ahead
of the hash, in pieces of 1 MiB and 256 KiB, and one that hashes by itself, piece by piece.

Then the same blob from a registry that sends 20 MB/s over each connection, by one connection and by several.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20


def sha256_alone(reference: str, size: int, folder: str) -> int:
    del reference, folder
    data, hasher = memoryview(bytearray(MIB)), hashlib.sha256()
    for _ in range(size // MIB):
        hasher.update(data)
    return 0


def ours_image(reference: str, size: int, folder: str) -> int:
    from cloudboot_oci_stream import fetch_image

    del folder
    with fetch_image(reference) as image:
        assert image.size == size
    return size


def ours_buffer(reference: str, size: int, folder: str) -> int:
    from cloudboot_oci_stream import fetch_blob_to_buffer, open_store, resolve

    del folder
    store = open_store(reference)
    buffer = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    fetch_blob_to_buffer(resolve(store).layer, buffer, store)
    return size


def ours_tls(reference: str, size: int, folder: str) -> int:
    from cloudboot_oci_stream import Access, fetch_blob_to_buffer, open_store, resolve

    del folder
    store = open_store(reference, Access(ca_file=os.environ["BENCHMARK_CA"]))
    buffer = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    fetch_blob_to_buffer(resolve(store).layer, buffer, store)
    return size


def requests_stream(reference: str, size: int, folder: str) -> int:
    """What most people write: 1 MiB pieces, hashed in between, copied into a buffer."""
    import requests

    from cloudboot_oci_stream import open_store, resolve

    del folder
    layer = resolve(open_store(reference)).layer
    host, _, rest = reference.partition("/")
    buffer = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    hasher, done = hashlib.sha256(), 0
    url = f"http://{host}/v2/{rest.partition(':')[0]}/blobs/{layer.digest}"
    with requests.get(url, stream=True, timeout=60) as response:
        for piece in response.iter_content(MIB):
            hasher.update(piece)
            buffer[done : done + len(piece)] = piece
            done += len(piece)
    assert f"sha256:{hasher.hexdigest()}" == layer.digest
    return size


def oras_pull(reference: str, size: int, folder: str) -> int:
    """Into a file, since oras-py has no other way; it verifies nothing."""
    import oras.client

    client = oras.client.OrasClient(hostname=reference.partition("/")[0], insecure=True)
    (path,) = client.pull(reference, outdir=folder)
    assert os.path.getsize(path) == size
    return 0


def skopeo_copy(reference: str, size: int, folder: str) -> int:
    del size
    command = ["skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{reference}", f"dir:{folder}/copy"]
    subprocess.run(command, check=True)
    return 0


def oras_command(reference: str, size: int, folder: str) -> int:
    del size
    command = ["oras", "pull", "--plain-http", "--no-tty", "--output", folder, reference]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 0


def variant(lead: int | None, step: int) -> Callable[[str, int, str], int]:
    """``fetch_image`` that receives at most ``lead`` bytes ahead of the hash; without a lead, one thread does both."""

    def fetch(reference: str, size: int, folder: str) -> int:
        import threading

        from cloudboot_oci_stream.download import destinations, hasher, receive

        class Capped(hasher.Hasher):
            """Looks at what is hashed through the view, so that the fast path has nothing to tell."""

            def __init__(self, algorithm: str, view: memoryview) -> None:
                self._hashed, self._moved = 0, threading.Condition()
                super().__init__(algorithm, view)

            def advance(self, frontier: int) -> None:
                super().advance(frontier)
                with self._moved:
                    self._moved.wait_for(lambda: frontier - self._hashed <= (lead or 0) or not self._thread.is_alive())

            def _run(self) -> None:
                while (frontier := self._frontiers.get()) is not None:
                    while self._hashed < frontier and not self._stopped:
                        end = min(frontier, self._hashed + step)
                        self._hash.update(self._view[self._hashed : end])
                        with self._moved:
                            self._hashed = end
                            self._moved.notify()

        class Inline(hasher.Hasher):
            """Hashes in the thread that receives."""

            def advance(self, frontier: int) -> None:
                self._hash.update(self._view[self._told : frontier])
                self._told = frontier

        destinations.STEP = step
        setattr(receive, "Hasher", Inline if lead is None else Capped)  # noqa: B010 - of a module that exports it not
        return ours_image(reference, size, folder)

    return fetch


VARIANTS: dict[str, Callable[[str, int, str], int]] = {
    "- 2 MiB ahead at most": variant(2 * MIB, MIB),
    "- 2 MiB ahead, pieces of 256 KiB": variant(2 * MIB, MIB // 4),
    "- one thread, pieces of 256 KiB": variant(None, MIB // 4),
}
CLIENTS: dict[str, Callable[[str, int, str], int]] = {
    "hashlib SHA-256 alone": sha256_alone,
    "cloudboot fetch_image (memfd)": ours_image,
    "cloudboot fetch_blob_to_buffer": ours_buffer,
    "cloudboot fetch_blob..., TLS": ours_tls,
    "requests, 1 MiB pieces": requests_stream,
    "oras-py pull (unverified)": oras_pull,
    "oras pull (to a file)": oras_command,
    "skopeo copy (to files)": skopeo_copy,
}
PROGRAMS = {"oras pull (to a file)": "oras", "skopeo copy (to files)": "skopeo"}
TLS = "cloudboot fetch_blob..., TLS"
YARDSTICK = "hashlib SHA-256 alone"
OURS = "cloudboot fetch_image (memfd)"


def status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def measure(client: str, reference: str, size: int) -> None:
    """In the child: run one client once, and print what it took."""
    import cloudboot_oci_stream  # noqa: F401 - the import is not what is measured

    if client == "oras-py pull (unverified)":
        import oras.client  # noqa: F401 - as above
    if client == "requests, 1 MiB pieces":
        import requests  # noqa: F401 - as above
    with tempfile.TemporaryDirectory() as folder:
        before = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        cpu, start = os.times(), time.perf_counter()
        buffer = (CLIENTS | VARIANTS)[client](reference, size, folder)
        seconds, done = time.perf_counter() - start, os.times()
    if client in PROGRAMS:
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    else:
        memory = status("VmHWM") - before - buffer
    used = sum(done[:4]) - sum(cpu[:4])
    print(json.dumps({"seconds": seconds, "cpu": used, "memory": memory}))


def compare(mib: int, rounds: int, clients: dict[str, Callable[[str, int, str], int]]) -> None:
    """In the parent: fill a registry and print the table."""
    from cloudboot_oci_stream import Access, push_image
    from cloudboot_oci_stream.testing import docker_registry

    size = mib * MIB
    results: dict[str, list[dict[str, float]]] = {client: [] for client in clients}
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = self_signed(folder)
        with docker_registry() as server, docker_registry(certificate=(certificate, key)) as secure:
            references = {client: f"{(secure if client == TLS else server).host}/bench:v1" for client in clients}
            path = Path(folder, "disk.img")
            with path.open("wb") as file:
                piece = os.urandom(MIB)
                for count in range(mib):
                    file.write(count.to_bytes(8, "little") + piece[8:])
            push_image(path, references[YARDSTICK])
            if TLS in references:
                push_image(path, references[TLS], access=Access(ca_file=certificate))
            path.unlink()
            environment = {**os.environ, "BENCHMARK_CA": certificate}
            for _ in range(rounds):
                for client in clients:
                    if client in PROGRAMS and shutil.which(PROGRAMS[client]) is None:
                        continue
                    subprocess.run([sys.executable, __file__, "--warm", str(size)], check=True)
                    command = [sys.executable, __file__, "--measure", client, references[client], str(size)]
                    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
                    results[client].append(json.loads(done.stdout.splitlines()[-1]))
    print(f"\n{mib} MiB, {rounds} rounds, docker-registry on loopback, {os.cpu_count()} processors")
    print(f"{'client':32}{'MB/s':>8}{'of SHA-256':>12}{'worst':>8}{'CPU':>8}{'memory above':>15}")
    yardsticks = results[YARDSTICK]
    for client, runs in results.items():
        if not runs:
            print(f"{client:32}not installed")
            continue
        shares = [best["seconds"] / run["seconds"] for best, run in zip(yardsticks, runs, strict=True)]
        cpu = statistics.median(run["cpu"] / best["cpu"] for best, run in zip(yardsticks, runs, strict=True))
        rate = size / statistics.median(run["seconds"] for run in runs) / 1e6
        memory = statistics.median(run["memory"] for run in runs) / MIB
        print(f"{client:32}{rate:8.0f}{statistics.median(shares):12.2f}{min(shares):8.2f}{cpu:8.2f}{memory:11.1f} MiB")


def warm(size: int) -> None:
    """Touch memory, in pages of all sizes."""
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for offset in range(0, size, mmap.PAGESIZE):
            memory[offset] = 1


def self_signed(folder: str) -> tuple[str, str]:
    """A certificate for 127.0.0.1 and its key."""
    paths = f"{folder}/certificate.pem", f"{folder}/key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return paths


def compare_ranges(mib: int, rate: float) -> None:
    """Several connections where each is slow."""
    from cloudboot_oci_stream import Descriptor, fetch_blob_to_buffer
    from cloudboot_oci_stream.testing import FaultyRegistry

    data = os.urandom(mib * MIB)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    layer = Descriptor(media_type="application/octet-stream", digest=digest, size=len(data))
    choices: tuple[int | Literal["auto"], ...] = (1, 2, 4, 8, "auto")
    print(f"\n{mib} MiB, {rate / 1e6:.0f} MB/s over each connection")
    print(f"{'ranges':8}{'MB/s':>8}{'times one':>12}{'connections':>13}")
    alone = 0.0
    with FaultyRegistry() as registry:
        registry.add_blob(data)
        registry.faults.rate = rate
        for ranges in choices:
            registry.seen.clear()
            buffer = mmap.mmap(-1, len(data), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            start = time.perf_counter()
            fetch_blob_to_buffer(layer, buffer, f"{registry.host}/bench", ranges=ranges)
            seconds = time.perf_counter() - start
            alone = alone or seconds
            print(f"{ranges!s:8}{len(data) / seconds / 1e6:8.0f}{alone / seconds:12.2f}{len(registry.seen):13}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, action="append", metavar="MIB", help="repeatable (default: 64 and 1024)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--variants", action="store_true", help="ways to receive and hash that were not taken, instead")
    parser.add_argument("--measure", nargs=3, metavar=("CLIENT", "REFERENCE", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--warm", type=int, metavar="SIZE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.warm:
        warm(options.warm)
        return
    if options.measure:
        client, reference, size = options.measure
        measure(client, reference, int(size))
        return
    clients = {YARDSTICK: sha256_alone, OURS: ours_image, **VARIANTS} if options.variants else CLIENTS
    for mib in options.size or [64, 1024]:
        compare(mib, options.rounds, clients)
    if not options.variants:
        compare_ranges(256, 20e6)


if __name__ == "__main__":
    main()
