"""What other machines can reach of a fleet, by the kernel's table of listening sockets."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from distributed.cli.dask_scheduler import main as dask_scheduler

from cloudboot_fleet.cluster.batch import manifest
from cloudboot_fleet.matrix import parse
from cloudboot_fleet.testing import Running, descendants_of, eventually, listening, processes_with
from cloudboot_oci_stream.testing import server_certificate

GATE = "import os, time\nwhile not os.path.exists({go!r}): time.sleep(0.05)\n"


@pytest.fixture
def cell_that_waits(tmp_path: Path, script: Callable[[str, str], Path]) -> tuple[Path, str, Path]:
    """A matrix with a cell that runs until a file is there; the name of its program, and that file."""
    mark = f"ports-{os.getpid()}.py"
    script(mark, GATE.format(go=str(tmp_path / "go")))
    (tmp_path / "m.toml").write_text(f'[[cells]]\nkind = "fuzz"\n[cells.axes]\nharness = "{mark}"\nseconds = 1\n')
    return tmp_path / "m.toml", mark, tmp_path / "go"


def loopback_only(*running: Running) -> set[int]:
    """The ports of everything that the commands started, none of which may be reached from elsewhere."""
    found = listening(each.pid for command in running for each in descendants_of(command.pid))
    assert {host for host, _ in found} <= {"127.0.0.1", "::1"}, found
    return {port for _, port in found}


def test_a_local_campaign_listens_on_loopback_alone(tmp_path: Path, cell_that_waits: tuple[Path, str, Path]) -> None:
    path, mark, go = cell_that_waits
    with Running("run", path, "--workers", "2", "--folder", "run", folder=tmp_path) as client:
        eventually(lambda: processes_with(str(tmp_path / mark)))
        # Scheduler and its HTTP server; each of two workers, its nanny and its HTTP server.
        assert len(loopback_only(client)) >= 6
        go.touch()
        client.wait()


def test_only_a_port_with_tls_of_both_sides_can_be_reached(
    tmp_path: Path, cell_that_waits: tuple[Path, str, Path]
) -> None:
    path, mark, go = cell_that_waits
    certificate, key = server_certificate(tmp_path)
    tls: list[str | Path] = ["--tls-ca", certificate, "--tls-certificate", certificate, "--tls-key", key]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Running("scheduler", f"tls://0.0.0.0:{port}", *tls, folder=tmp_path) as scheduler:
        eventually(lambda: str(port) in scheduler.printed)
        open_to_all = {place for place in listening([scheduler.pid]) if place[0] not in {"127.0.0.1", "::1"}}
        assert open_to_all == {("0.0.0.0", port)}
        # Without a certificate of the authority the handshake is refused, and nothing is run.
        context = ssl.create_default_context(cafile=str(certificate))
        with (
            pytest.raises((ssl.SSLError, ConnectionError)),
            socket.create_connection(("127.0.0.1", port), 30) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as stream,
        ):
            stream.sendall(b"x" * 64)
            while stream.recv(4096):
                pass
            raise ConnectionResetError("closed by the scheduler")
        address = f"tls://127.0.0.1:{port}"
        with (
            Running("worker", address, *tls, folder=tmp_path) as worker,
            Running("run", path, "--scheduler", address, *tls, "--folder", "run", folder=tmp_path) as client,
        ):
            eventually(lambda: processes_with(str(tmp_path / mark)))
            assert loopback_only(worker, client)
            go.touch()
            client.wait()


def test_the_scheduler_of_slurm_jobs_has_one_port_that_others_reach(tmp_path: Path) -> None:
    """The cluster object itself, in a process of its own, with no job submitted."""
    certificate, key = server_certificate(tmp_path)
    code = f"""
        import sys
        from pathlib import Path
        from cloudboot_fleet.cluster import Tls, batch
        from cloudboot_fleet.matrix import parse
        from cloudboot_fleet.testing import listening
        import os
        batch._slurm_module().SLURMCluster.scale = lambda *_, **__: None
        tls = Tls(Path({str(certificate)!r}), Path({str(certificate)!r}), Path({str(key)!r}))
        with batch.batch_cluster("slurm", parse('[[cells]]\\nkind = "nothing"'), tls, 1) as cluster:
            # One port, for IPv4 and for IPv6.
            others = {{port for host, port in listening([os.getpid()]) if host not in {{"127.0.0.1", "::1"}}}}
            print(len(others), cluster.scheduler_address)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    count, address = done.stdout.split()
    assert (count, address[:6]) == ("1", "tls://")


def test_what_a_cluster_is_told_opens_no_page_to_others() -> None:
    text = '[cluster]\nimage = "i"\nsecret = "s"\n[[cells]]\nkind = "nothing"\n'
    spec = manifest(parse(text))["spec"]
    scheduler = spec["scheduler"]["spec"]["containers"][0]
    given = dask_scheduler.make_context("dask-scheduler", scheduler["args"][2:]).params
    assert given["dashboard_address"] == "127.0.0.1:8787"
    for probe in ("readinessProbe", "livenessProbe"):
        assert scheduler[probe]["tcpSocket"] == {"port": "tcp-comm"}
        assert "httpGet" not in scheduler[probe]
    assert "127.0.0.1:0" in spec["worker"]["spec"]["containers"][0]["args"]
