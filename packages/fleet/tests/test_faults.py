"""Campaigns under faults, with real processes: worker, client, scheduler killed, a disk full, a registry gone."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudboot_base.testing import judge
from cloudboot_fleet.testing import Running, command_line, descendants_of, eventually, journal, processes_with
from cloudboot_oci_stream.testing import docker_registry, killed_with_us, server_certificate

HANG = "import time\ntime.sleep(1000)\n"
#: Kills the Dask worker that runs it: harness < cell < fork server < worker.
POISON = """
import os, signal
def parent(pid):
    return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
os.kill(parent(parent(os.getppid())), signal.SIGKILL)
"""
#: Goes on when a file is there, and then passes as a harness that has nothing to run.
GATE = """
import os, time
while not os.path.exists({go!r}):
    time.sleep(0.05)
"""


def matrix(folder: Path, *blocks: str) -> Path:
    path = folder / "matrix.toml"
    path.write_text("\n".join(f"[[cells]]\n{block}" for block in blocks))
    return path


def of_kind(kind: str, axes: str, more: str = "") -> str:
    return f'kind = "{kind}"\n{more}\n[cells.axes]\n{axes}\n'


def test_a_worker_killed_in_a_qemu_probe_and_a_cell_that_kills_its_workers(
    tmp_path: Path, script: Callable[[str, str], Path]
) -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    script("poison.py", POISON)
    path = matrix(
        tmp_path,
        of_kind("probe", 'system = "demo"\nrecipe = "demo"\nfirmware = "qemu"\nmemory = "256M"', "priority = 2"),
        of_kind("fuzz", 'harness = "poison.py"\nseconds = 1', "priority = 1"),
        of_kind("nothing", "repeat = {from = 1, to = 4}"),
    )
    run = tmp_path / "run"
    with Running(
        "run", path, "--workers", "2", "--folder", run, "--scratch", tmp_path / "s", folder=tmp_path
    ) as client:

        def qemu() -> list[int]:
            lines = {each.pid: command_line(each.pid) for each in descendants_of(client.pid)}
            return [pid for pid, line in lines.items() if "qemu-system" in line[:40] and " -name " in line]

        pid = eventually(qemu)[0]
        above = {each.pid: each.parent for each in descendants_of(client.pid)}
        chain = [pid]
        # The process of a cell has the command line of the fork server that it was forked from.
        while "cloudboot_fleet.forkserver" not in command_line(chain[-1]) or "forkserver" in command_line(
            above[chain[-1]]
        ):
            chain.append(above[chain[-1]])
        os.kill(above[chain[-1]], signal.SIGKILL)
        eventually(lambda: not any(command_line(each) for each in chain))
        assert client.wait() == 1, client.printed
    cells = journal(run)
    probe = cells["probe()"]
    assert (probe["status"], probe["reached"]) == ("passed", "10/10")
    assert [each["status"] for each in probe["history"]][:1] == ["lost"]
    poison = cells["fuzz()"]
    assert poison["status"] == "lost"
    counted = [each for each in poison["history"] if each["cause"] == "the worker died while it ran the cell"]
    assert [each["attempt"] for each in counted] == [1, 2, 3, 4]
    assert len({each["worker"] for each in counted}) == 4
    assert {cells[f"nothing(repeat={number})"]["status"] for number in range(1, 5)} == {"passed"}
    assert "attempt 1: lost" in (run / "report.html").read_text()
    assert not list((tmp_path / "s").iterdir())


def test_a_killed_client_resumed_refused_twice_and_cancelled(
    tmp_path: Path, script: Callable[[str, str], Path]
) -> None:
    mark = f"hang-{os.getpid()}.py"
    script(mark, HANG)
    path = matrix(
        tmp_path,
        of_kind("nothing", "repeat = {from = 1, to = 3}", "priority = 1"),
        of_kind("fuzz", f'harness = "{mark}"\nseed = [1, 2, 3]'),
    )
    run = tmp_path / "run"
    with Running(
        "run", path, "--workers", "2", "--folder", run, "--scratch", tmp_path / "s", folder=tmp_path
    ) as client:
        eventually(lambda: len(processes_with(mark)) >= 2)
        assert len(journal(run)) == 3
        client.process.kill()
        client.process.wait()
        eventually(lambda: not processes_with(mark))
        eventually(lambda: not list((tmp_path / "s").glob("cloudboot-fleet-[!d]*")))
    with Running("status", run, "--json", folder=tmp_path) as status:
        assert status.wait() == 1
        assert json.loads(status.printed)["state"] == "killed"
    with Running("run", path, "--workers", "2", "--resume", run, folder=tmp_path) as client:
        eventually(lambda: len(processes_with(mark)) >= 2)
        with Running("run", path, "--resume", run, folder=tmp_path) as second:
            assert second.wait() == 2
            assert f"is being run by process {client.pid}" in second.printed
        with Running("cancel", run, folder=tmp_path) as cancel:
            assert cancel.wait() == 0
        eventually(lambda: not processes_with(mark))
        assert client.wait() == 1, client.printed
        assert "3 of 6 cells passed" in client.printed
        assert "3 were there before" in client.printed
    assert {cell["status"] for cell in journal(run).values() if cell["kind"] == "fuzz"} == {"cancelled"}


def test_an_interrupted_campaign_ends_its_cells(tmp_path: Path, script: Callable[[str, str], Path]) -> None:
    mark = f"interrupt-{os.getpid()}.py"
    script(mark, HANG)
    path = matrix(tmp_path, of_kind("fuzz", f'harness = "{mark}"'))
    with Running("run", path, "--workers", "1", "--junit", "j.xml", "--folder", "run", folder=tmp_path) as client:
        eventually(lambda: processes_with(mark))
        client.process.send_signal(signal.SIGINT)
        assert client.wait() == 130, client.printed
    assert not processes_with(mark)
    assert "--resume" in client.printed
    assert "cancelled" in (tmp_path / "j.xml").read_text()


def test_more_signals_do_not_cut_short_what_the_first_began(tmp_path: Path, script: Callable[[str, str], Path]) -> None:
    mark = f"signals-{os.getpid()}.py"
    script(mark, HANG)
    path = matrix(tmp_path, of_kind("fuzz", f'harness = "{mark}"'))
    with Running("run", path, "--workers", "1", "--junit", "j.xml", "--folder", "run", folder=tmp_path) as client:
        eventually(lambda: processes_with(mark))
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            client.process.send_signal(number)
            eventually(lambda: not b"".join(_pending(client.pid)).strip(b"0"))
        assert client.wait() == 130, client.printed
    assert "Traceback" not in client.printed
    assert not processes_with(mark)
    assert "cancelled" in (tmp_path / "j.xml").read_text()


def _pending(pid: int) -> list[bytes]:
    """The sets of signals that a process has not received yet, in hexadecimal; none once it has ended (proc(5))."""
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [line.split()[1] for line in lines if line.startswith((b"SigPnd", b"ShdPnd"))]


def test_an_address_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with Running("scheduler", address, folder=tmp_path) as scheduler:
            assert scheduler.wait() == 5, scheduler.printed
        assert f"cannot listen at {address}" in scheduler.printed
        assert "Traceback" not in scheduler.printed


def test_a_worker_ends_at_a_signal_while_what_it_asked_is_silent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with Running("worker", address, "--workers", "1", folder=tmp_path) as worker:
            asking, _ = silent.accept()
            with asking:
                worker.process.terminate()
                assert worker.wait() == 0, worker.printed
            assert not descendants_of(worker.pid)


@pytest.mark.long
def test_one_campaign_twice_in_two_folders_with_one_place_for_results(tmp_path: Path) -> None:
    path = matrix(tmp_path, of_kind("probe", 'system = "demo"\nrecipe = "demo"\nrepeat = [1, 2]'))
    words: list[str | Path] = ["run", path, "--workers", "1", "--results", tmp_path / "shared"]
    with (
        Running(*words, "--folder", "a", folder=tmp_path) as one,
        Running(*words, "--folder", "b", folder=tmp_path) as other,
    ):
        assert (one.wait(), other.wait()) == (0, 0), one.printed + other.printed
    assert set(journal(tmp_path / "a")) == set(journal(tmp_path / "b"))
    stored = list((tmp_path / "shared").glob("*/*"))
    assert len(stored) == 2
    for cell in journal(tmp_path / "a").values():
        copy = tmp_path / "b" / "cells" / cell["key"][:2] / cell["key"] / "record.json"
        assert copy.read_bytes() == (tmp_path / "shared" / cell["key"][:2] / cell["key"] / "record.json").read_bytes()


def test_a_full_disk_on_one_worker(tmp_path: Path, script: Callable[[str, str], Path]) -> None:
    """The kernel refuses every write of that worker beyond 100 bytes of a file; its cells run on the other."""
    go = tmp_path / "go"
    script("gate.py", GATE.format(go=str(go)))
    path = matrix(
        tmp_path,
        of_kind("fuzz", 'harness = "gate.py"\nseed = [1, 2]\nseconds = 1', "priority = 1"),
        of_kind("build", 'recipe = "demo"\nrepeat = {from = 1, to = 3}'),
    )
    run = tmp_path / "run"
    with Running("run", path, "--workers", "2", "--folder", run, folder=tmp_path) as client:
        eventually(lambda: len(processes_with(str(tmp_path / "gate.py"))) >= 2)
        found = [each for each in descendants_of(client.pid) if "cloudboot_fleet.forkserver" in command_line(each.pid)]
        servers = [each for each in found if "forkserver" not in command_line(each.parent)]
        limit = (100, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        for pid in (servers[0].pid, servers[0].parent):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
        go.touch()
        assert client.wait() == 1, client.printed
    cells = journal(run)
    assert {cell["status"] for cell in cells.values() if cell["kind"] == "build"} == {"passed"}
    history = [each for cell in cells.values() for each in cell["history"]]
    assert history
    assert all(each["status"] == "broken" for each in history)
    assert not list((run / "cells").rglob("*.partial"))


def test_a_registry_that_is_gone_for_a_while(tmp_path: Path, script: Callable[[str, str], Path]) -> None:
    program = judge("docker-registry", "docker-registry")
    go = tmp_path / "go"
    script("gate.py", GATE.format(go=str(go)))
    path = matrix(
        tmp_path,
        of_kind("nothing", "", "priority = 2"),
        of_kind("fuzz", 'harness = "gate.py"\nseconds = 1', "priority = 1\nretries = 9"),
        of_kind("nothing", "repeat = [1, 2]", "retries = 9"),
    )
    with docker_registry() as registry:
        words: list[str | Path] = ["run", path, "--workers", "1", "--results", f"{registry.host}/results"]
        with Running(*words, "--folder", "run", folder=tmp_path) as client:
            eventually(lambda: processes_with(str(tmp_path / "gate.py")))
            os.kill(registry.pid, signal.SIGKILL)
            go.touch()
            eventually(lambda: "BROKEN" in client.printed or _retried(tmp_path / "run"))
            config = json.loads((registry.folder.parent / "config.yml").read_text())
            config["http"]["addr"] = registry.host
            (registry.folder.parent / "again.yml").write_text(json.dumps(config))
            with killed_with_us(program, "serve", str(registry.folder.parent / "again.yml")):
                assert client.wait() == 1, client.printed
                cells = journal(tmp_path / "run")
                assert {cell["status"] for cell in cells.values() if cell["kind"] == "nothing"} == {"passed"}
                history = [each for cell in cells.values() for each in cell["history"]]
                assert any("TransportError" in each["cause"] for each in history)
                with Running(*words, "--folder", "again", folder=tmp_path) as later:
                    assert later.wait() == 1, later.printed
                    assert "4 were there before" in later.printed
    for cell in cells.values():
        files = {each.name for each in (tmp_path / "again" / "cells" / cell["key"][:2] / cell["key"]).iterdir()}
        assert "result.json" in files


def _retried(folder: Path) -> bool:
    path = folder / "state.json"
    return path.exists() and bool(json.loads(path.read_text())["retried"])


def test_a_cluster_of_its_own_with_tls_whose_scheduler_is_killed(
    tmp_path: Path, script: Callable[[str, str], Path]
) -> None:
    certificate, key = server_certificate(tmp_path)
    tls: list[str | Path] = ["--tls-ca", certificate, "--tls-certificate", certificate, "--tls-key", key]
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tls://127.0.0.1:{free.getsockname()[1]}"
    mark = f"scheduler-{os.getpid()}.py"
    script(mark, GATE.format(go=str(tmp_path / "go")))
    path = matrix(
        tmp_path,
        of_kind("nothing", "", "priority = 1"),
        of_kind("fuzz", f'harness = "{mark}"\nseconds = 1'),
    )
    with (
        Running("worker", address, "--workers", "1", *tls, folder=tmp_path) as worker,
        Running("scheduler", address, *tls, folder=tmp_path) as scheduler,
    ):
        eventually(lambda: address in scheduler.printed)
        with Running("run", path, "--scheduler", address, "--folder", "no", folder=tmp_path) as refused:
            assert refused.wait() == 2
            assert "needs certificates" in refused.printed
        with Running("run", path, "--scheduler", address, *tls, "--folder", "run", folder=tmp_path) as client:
            eventually(lambda: processes_with(str(tmp_path / mark)))
            scheduler.process.kill()
            scheduler.process.wait()
            eventually(lambda: not processes_with(str(tmp_path / mark)))
            with Running("scheduler", address, *tls, folder=tmp_path):
                eventually(lambda: processes_with(str(tmp_path / mark)), 120)
                (tmp_path / "go").touch()
                assert client.wait() == 1, client.printed + worker.printed
    cells = journal(tmp_path / "run")
    assert cells["nothing()"]["status"] == "passed"
    assert cells["fuzz()"]["status"] == "failed"  # the harness has run to its end, and is none
    assert "scheduler" in cells["fuzz()"]["history"][0]["cause"]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("tcp://10.0.0.1:8786", "without TLS"),
        ("tls://127.0.0.1:8786", "needs certificates"),
        ("10.0.0.1:8786", "is not tls://HOST:PORT"),
        ("ucx://127.0.0.1:8786", "is not tls://HOST:PORT"),
        ("tcp://0.0.0.0:8786", "without TLS"),
        ("tcp://127.0.0.1:65536", "is not tcp://HOST:PORT"),
    ],
)
def test_an_address_that_others_reach_is_refused_without_tls(address: str, told: str, tmp_path: Path) -> None:
    from cloudboot_fleet.cluster import check_address
    from cloudboot_fleet.errors import InsecureError

    with pytest.raises(InsecureError, match=told):
        check_address(address, None)
    check_address("tcp://127.0.0.1:8786", None)
    check_address("tcp://[::1]:8786", None)


def test_a_fork_server_that_is_killed_is_started_again(tmp_path: Path, script: Callable[[str, str], Path]) -> None:
    mark = f"again-{os.getpid()}.py"
    script(mark, HANG)
    path = matrix(
        tmp_path,
        of_kind("fuzz", f'harness = "{mark}"', "priority = 1\nretries = 0"),
        of_kind("nothing", "repeat = [1, 2]", "retries = 0"),
    )
    with Running("run", path, "--workers", "1", "--folder", "run", folder=tmp_path) as client:
        eventually(lambda: processes_with(str(tmp_path / mark)))
        found = [each for each in descendants_of(client.pid) if "cloudboot_fleet.forkserver" in command_line(each.pid)]
        server = next(each for each in found if "forkserver" not in command_line(each.parent))
        os.kill(server.pid, signal.SIGKILL)
        assert client.wait() == 1, client.printed
    cells = journal(tmp_path / "run")
    assert {name: cell["status"] for name, cell in cells.items()} == {
        "fuzz()": "broken",
        "nothing(repeat=1)": "passed",
        "nothing(repeat=2)": "passed",
    }
    assert not processes_with(mark)
