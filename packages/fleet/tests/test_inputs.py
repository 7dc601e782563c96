"""What the cells of a campaign are made of: patterns of files and tags, and the programs of the machines."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base.testing import judge
from cloudboot_fleet import hosts
from cloudboot_fleet.cluster.preflight import agreed_hosts
from cloudboot_fleet.errors import ClusterError, MatrixError, PinError
from cloudboot_fleet.matrix import KINDS, Pins, expanded, parse
from cloudboot_fleet.testing import Running, eventually, journal, processes_with
from cloudboot_fleet.worker import SLOT
from cloudboot_oci_stream import push_image
from cloudboot_oci_stream.testing import docker_registry


def names(text: str, folder: Path, pins: Pins | None = None) -> list[str]:
    """The images of a matrix of checks."""
    matrix = parse(f'[[cells]]\nkind = "check"\n[cells.axes]\nimage = {json.dumps(text)}', folder=folder)
    return [str(cell.values["image"]) for cell in expanded(matrix, (pins or Pins(folder)).glob).cells()]


def test_a_pattern_is_the_files_that_a_shell_finds(tmp_path: Path) -> None:
    for name in ("b.img", "a.img", "c.raw", "deep/er/d.img", ".hidden.img"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.img").mkdir()
    shell = judge("bash", "bash")
    for pattern in ("*.img", "?.*", "[ac].*", "**/*.img", "deep/*/d.img"):
        command = f"shopt -s globstar; for f in {pattern}; do [ -f $f ] && echo $f; done; true"
        told = subprocess.run([shell, "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert names(pattern, tmp_path) == sorted(told.split())
    with pytest.raises(MatrixError, match="matches no file") as caught:
        names("*.qcow2", tmp_path)
    assert caught.value.where == {"line": 4}


def test_a_file_with_a_sign_of_patterns_in_its_name_is_that_file(tmp_path: Path) -> None:
    for name in ("disk[1].img", "disk1.img", "disk2.img"):
        (tmp_path / name).write_bytes(name.encode())
    assert names("disk[1].img", tmp_path) == ["disk[1].img"]
    assert names("disk[2].img", tmp_path) == ["disk2.img"]


def test_patterns_of_inclusions_and_exclusions_among_what_patterns_found(tmp_path: Path) -> None:
    for name in ("a.img", "b.img", "c.raw", "d.raw"):
        (tmp_path / name).write_bytes(name.encode())
    text = '[[cells]]\nkind = "check"\n[cells.axes]\nimage = ["*.img"]\n[[cells.exclude]]\nimage = "{}"\n'
    text += '[[cells.include]]\nimage = "*.raw"\n'
    found = expanded(parse(text.format("a.img"), folder=tmp_path), Pins(tmp_path).glob).cells()
    assert [cell.values["image"] for cell in found] == ["b.img", "c.raw", "d.raw"]
    with pytest.raises(MatrixError, match="nothing is excluded") as caught:
        expanded(parse(text.format("c.img"), folder=tmp_path), Pins(tmp_path).glob)
    assert caught.value.where == {"line": 6}


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with pytest.raises(PinError, match="this is a directory") as caught:
        Pins(tmp_path).gather(parse('[[cells]]\nkind = "check"\n[cells.axes]\nimage = "store"', folder=tmp_path))
    assert caught.value.hint == "a folder of images is oci:store:TAG"


def test_a_pattern_of_tags_stays_what_it_was_for_a_campaign(tmp_path: Path) -> None:
    with docker_registry() as registry:
        for place in (f"{registry.host}/disks", "oci:store"):
            target = place.replace("oci:", f"oci:{tmp_path}/")
            for tag in ("v1.0", "v1.1", "v2.0", "latest"):
                push_image(b"\0" * 512, f"{target}:{tag}")
            pins = Pins(tmp_path)
            assert names(f"{place}:v1.*", tmp_path, pins) == [f"{place}:v1.0", f"{place}:v1.1"]
            pins.save(tmp_path / "pins.json")
            push_image(b"\1" * 512, f"{target}:v1.2")
            again = Pins(tmp_path)
            again.restore(tmp_path / "pins.json")
            assert names(f"{place}:v1.*", tmp_path, again) == [f"{place}:v1.0", f"{place}:v1.1"]
            assert len(names(f"{place}:v1.*", tmp_path)) == 3
            with pytest.raises(MatrixError, match="matches no tag") as caught:
                names(f"{place}:w*", tmp_path)
            assert "there are: latest, v1.0" in (caught.value.hint or "")


def test_another_qemu_or_firmware_is_another_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name earlier on the path, and a firmware of the user's own."""
    judge("qemu-system-x86_64", "qemu-system-x86")

    def keys() -> dict[str, str]:
        text = """
            [[cells]]
            kind = "probe"
            [cells.axes]
            system = "demo"
            recipe = "demo"
            firmware = ["hosted", "qemu"]
        """
        pins = Pins(tmp_path)
        return {str(cell.values["firmware"]): pins.pin(cell).key for cell in parse(text).cells()}

    before = keys()
    assert keys() == before
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.write_text("#!/bin/sh\necho QEMU emulator version 99.1.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    newer = keys()
    assert newer["hosted"] == before["hosted"]
    assert newer["qemu"] != before["qemu"]
    program.write_text("#!/bin/sh\n\necho QEMU emulator version 99.1.0\n")
    assert keys()["qemu"] not in {before["qemu"], newer["qemu"]}
    folder = tmp_path / "config" / "qemu" / "firmware"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    code = next(each for each in hosts.facts(["firmware:amd64"])["firmware:amd64"].split(", "))
    found = subprocess.run(
        ["sha256sum", f"/usr/share/OVMF/{code.split()[0]}"], capture_output=True, text=True, check=True
    )
    assert code.split()[1] == f"sha256:{found.stdout.split()[0]}"


def test_what_each_kind_depends_on() -> None:
    probe = {"system": "demo", "firmware": "qemu", "architecture": "arm64"}
    assert {"qemu:arm64", "firmware:arm64", "python"} <= set(hosts.names(KINDS["probe"], probe))
    assert "kernel" not in hosts.names(KINDS["probe"], probe)
    assert "kernel" in hosts.names(KINDS["probe"], {**probe, "accelerator": "kvm"})
    assert "unicorn" in hosts.names(KINDS["probe"], {"system": "demo"})
    assert "qemu:loong64" in hosts.names(KINDS["probe"], {"system": "demo", "architecture": "loong64"})
    assert set(hosts.names(KINDS["nothing"], {})) == {"python", "cloudboot-fleet"}
    assert {"cloudboot-ntfs", "cloudboot-base"} <= set(hosts.names(KINDS["check"], {}))
    assert "cloudboot-doom-oracle" not in hosts.names(KINDS["check"], {})
    assert "grub-mkimage" in hosts.names(KINDS["build"], {"recipe": "linux"})


def test_an_edited_checkout_is_another_version(tmp_path: Path) -> None:
    """An editable distribution of its own, in a process that has it on its path."""
    source = tmp_path / "src" / "cloudboot_made"
    source.mkdir(parents=True)
    info = tmp_path / "site" / "cloudboot_made-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cloudboot-made\nVersion: 1\n")
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///x", "dir_info": {"editable": True}}))
    code = "from cloudboot_fleet import hosts; print(hosts.facts(['cloudboot-made'])['cloudboot-made'])"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}/site:{tmp_path}/src"}
    seen = []
    for text in ("x = 1", "x = 1", "x = 2"):
        (source / "__init__.py").write_text(text)
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        seen.append(done.stdout.strip())
    assert re.fullmatch(r"1, sources sha256:[0-9a-f]{64}", seen[0])
    assert seen[0] == seen[1] != seen[2]


def test_workers_that_differ_are_an_error_unless_a_resource_tells_them_apart(tmp_path: Path) -> None:
    text = '[[cells]]\nkind = "probe"\n{}\n[cells.axes]\nsystem = "demo"\nrecipe = "demo"\nfirmware = "qemu"\n'
    workers = {"a": {SLOT: 1.0}, "b": {SLOT: 1.0, "new": 1.0}}
    plain, told_apart = (parse(text.format(more)) for more in ("", "resources = {new = 1}"))
    gathered = Pins(tmp_path).gather(plain)
    here = hosts.facts(gathered[0].depends)
    told = {"a": here, "b": {**here, "qemu:amd64": "another"}}
    with pytest.raises(ClusterError, match=r"on b qemu:amd64 is 'another', not .* as on a"):
        agreed_hosts(gathered, plain, workers, told)
    pins = Pins(tmp_path)
    pins.hosts = agreed_hosts(gathered, told_apart, workers, told)
    assert pins.pin(next(told_apart.cells())).versions["qemu:amd64"] == "another"


@pytest.mark.long
def test_a_worker_gives_back_what_was_pinned_to_another_program(tmp_path: Path) -> None:
    """Two workers, of which the second has another QEMU on its path, and comes when the campaign has started."""
    mark = tmp_path / "wait.py"
    mark.write_text(f"import os, time\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.05)\n")
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho QEMU emulator version 99.1.0\n")
    program.chmod(0o755)
    (tmp_path / "m.toml").write_text(
        '[[cells]]\nkind = "fuzz"\npriority = 1\n[cells.axes]\nharness = "wait.py"\nseconds = 1\n'
        '[[cells]]\nkind = "verify"\nretries = 1\n[cells.axes]\noracle = "oracle"\nguest = true\n'
    )
    (tmp_path / "oracle").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    path = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    with (
        Running("scheduler", address, folder=tmp_path) as scheduler,
        Running("worker", address, folder=tmp_path),
        Running("run", "m.toml", "--scheduler", address, folder=tmp_path) as client,
    ):
        eventually(lambda: address in scheduler.printed)
        eventually(lambda: processes_with(str(mark)))
        with Running("worker", address, folder=tmp_path, environment=path):
            eventually(lambda: "retried" in _state(tmp_path) and _state(tmp_path)["retried"])
            (tmp_path / "go").touch()
            assert client.wait() == 1, client.printed
    cells = journal(tmp_path / "m.fleet")
    verify = cells["verify()"]
    assert "manifest.json: No such file" in verify["cause"]  # the first worker looked into the oracle, which is none
    assert (
        "is not what the cell was pinned to: qemu:amd64 is 'QEMU emulator version 99.1.0"
        in (verify["history"][0]["cause"])
    )
    assert verify["worker"] != verify["history"][0]["worker"]


def _state(folder: Path) -> dict[str, Any]:
    path = folder / "m.fleet" / "state.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found
