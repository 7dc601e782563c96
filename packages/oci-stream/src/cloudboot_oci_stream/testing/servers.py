"""Real registries on loopback, for tests: docker-registry and drayage, gone when the test is, however that ends."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEARCH_PATH = os.pathsep.join(
    [sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
)
_LISTENING = re.compile(r"listening on [^ ]*:(\d+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A running registry. ``host`` is ``127.0.0.1:PORT``, ``folder`` where it keeps its blobs."""

    host: str
    folder: Path
    pid: int


def find_program(name: str) -> str | None:
    """The path of ``name``, looked for in the folders of this Python and of the system too."""
    return shutil.which(name, path=_SEARCH_PATH)


@contextlib.contextmanager
def docker_registry(
    *,
    users: dict[str, str] | None = None,
    certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
    client_authority: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    read_only: bool = False,
    timeout: float = 20.0,
) -> Iterator[Server]:
    """Debian's docker-registry with an empty store, or another server's ``store``, on a free port of 127.0.0.1.

    ``users`` (name to password) asks for Basic authentication through an htpasswd file; ``certificate`` (certificate
    and key file) for TLS, ``client_authority`` for clients with a certificate of that authority; ``read_only`` refuses
    pushes. The kernel kills the server when the calling thread ends, even by a crash.

    Raises:
        FileNotFoundError: docker-registry, setpriv or (for ``users``) htpasswd is not installed.
        RuntimeError: the server did not start; the message has its log.
    """
    program = _needed("docker-registry", "docker-registry")
    with folder_gone_with_us("cloudboot-registry-") as folder:
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": os.fspath(store or folder / "store")},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}, "readonly": {"enabled": read_only}},
            },
        }
        http: dict[str, object] = {"addr": "127.0.0.1:0", "secret": "loopback"}
        if certificate is not None:
            tls: dict[str, object] = {"certificate": os.fspath(certificate[0]), "key": os.fspath(certificate[1])}
            if client_authority is not None:
                tls["clientcas"] = [os.fspath(client_authority)]
            http["tls"] = tls
        config["http"] = http
        if users is not None:
            (folder / "htpasswd").write_text("".join(_htpasswd(user, users[user]) for user in users))
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
        # JSON is YAML.
        (folder / "config.yml").write_text(json.dumps(config))
        with killed_with_us(program, "serve", str(folder / "config.yml")) as process:
            port = _wait_for_port(process, timeout)
            yield Server(f"127.0.0.1:{port}", Path(store or folder / "store"), process.pid)


def server_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and localhost, its own authority, and its key: two files made by openssl.

    Raises:
        FileNotFoundError: openssl is not installed.
    """
    certificate, key = folder / "server.pem", folder / "server.key"
    command = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    constraints = ["-addext", "basicConstraints=critical,CA:TRUE"]
    subprocess.run(
        [_needed("openssl", "openssl"), *command, *names, *constraints, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return certificate, key


@contextlib.contextmanager
def pull_through_cache(upstream: str, *, timeout: float = 20.0) -> Iterator[Server]:
    """drayage, a registry that only hands out what it gets from another, ``upstream`` (``HOST:PORT``), and keeps it.

    Raises:
        FileNotFoundError: drayage (of PyPI) or setpriv is not installed.
        RuntimeError: the server did not start.
    """
    program = _needed("drayage", "none; PyPI has it")
    with folder_gone_with_us("cloudboot-cache-") as folder:
        (folder / "cache").mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            host = f"127.0.0.1:{free.getsockname()[1]}"
        lines = [f'listen = "{host}"', f'cache_dir = "{folder}/cache"', "[upstreams.docker_io]"]
        (folder / "config.toml").write_text("\n".join([*lines, f'registry = "http://{upstream}"', ""]))
        with killed_with_us(program, "serve", "--config", str(folder / "config.toml")) as process:
            threading.Thread(target=_drain, args=(process,), daemon=True).start()
            end = time.monotonic() + timeout
            while not _listens(host):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("drayage did not start")
                time.sleep(0.02)
            yield Server(host, folder / "cache", process.pid)


@contextlib.contextmanager
def folder_gone_with_us(prefix: str) -> Iterator[Path]:
    """A temporary folder that goes with the block, or with this process if that ends first, even by SIGKILL."""
    folder = tempfile.mkdtemp(prefix=prefix)
    # The end of this process closes the pipe. What a dying server still writes is caught by the second attempt.
    script = 'cat >/dev/null; rm -rf -- "$1" 2>/dev/null || { sleep 1; rm -rf -- "$1"; }'
    with subprocess.Popen(["sh", "-c", script, "sh", folder], stdin=subprocess.PIPE, start_new_session=True):
        yield Path(folder)


@contextlib.contextmanager
def killed_with_us(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block, or with the calling thread if that ends first."""
    setpriv = _needed("setpriv", "util-linux")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(
        [setpriv, "--pdeathsig", "KILL", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        _log(process).close()


def _wait_for_port(process: subprocess.Popen[str], timeout: float) -> int:
    """The port the server says it listens on; afterwards its log is read on, so that it never blocks on it."""
    log: list[str] = []
    late = threading.Timer(timeout, process.kill)
    late.start()
    try:
        for line in _log(process):
            log.append(line)
            if found := _LISTENING.search(line):
                threading.Thread(target=_drain, args=(process,), daemon=True).start()
                return int(found[1])
    finally:
        late.cancel()
    raise RuntimeError("docker-registry did not start:\n" + "".join(log[-20:]))


def _listens(host: str) -> bool:
    name, _, port = host.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((name, int(port))) == 0


def _drain(process: subprocess.Popen[str]) -> None:
    # The file is closed under this thread when the server has ended.
    with contextlib.suppress(ValueError):
        for _ in _log(process):
            pass


def _log(process: subprocess.Popen[str]) -> IO[str]:
    if process.stderr is None:
        raise ValueError("the process was started without a pipe for its log")
    return process.stderr


def _htpasswd(user: str, password: str) -> str:
    done = subprocess.run(
        [_needed("htpasswd", "apache2-utils"), "-niB", "-C", "5", user],
        input=password,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip() + "\n"


def _needed(program: str, package: str) -> str:
    path = find_program(program)
    if path is None:
        raise FileNotFoundError(2, f"not installed (Debian package {package})", program)
    return path
