"""``cloudboot virtio`` and ``cloudboot doom`` against QEMU's devices."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cloudboot_base.testing import judge

pytestmark = pytest.mark.live


def cloudboot(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("cloudboot")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("ring", ["split", "packed"])
def test_every_device_comes_up(ring: str) -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    done = cloudboot("virtio", "devices", "--ring", ring, "--json")
    assert done.returncode == 0, done.stderr
    found = {row["device"]: row for row in json.loads(done.stdout)}
    assert list(found) == ["rng", "gpu", "blk", "input", "console", "net", "sound"]
    assert {bool(row["features"] >> 34 & 1) for row in found.values()} == {ring == "packed"}
    assert max(row["round_trips"] for row in found.values()) <= 200
    assert found["gpu"]["says"] == "1280x800"


@pytest.mark.parametrize("ring", ["split", "packed"])
@pytest.mark.parametrize("device", ["blk", "console", "gpu", "input", "net", "rng", "sound"])
def test_a_recording_is_replayed_without_a_machine(device: str, ring: str, tmp_path: Path) -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    done = cloudboot("virtio", "record", device, "--ring", ring, "-o", tmp_path / "recording", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"] > 10
    again = cloudboot("virtio", "record", device, "-o", tmp_path / "recording")
    assert again.returncode == 5
    command = [sys.executable, "-m", "cloudboot_virtio", "replay", str(tmp_path / "recording"), "--json"]
    replayed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert replayed.returncode == 0, replayed.stdout
    told = json.loads(replayed.stdout)
    assert told["submitted"] >= told["completed"] > 0
    if device in {"blk", "gpu", "rng"}:  # the others keep buffers with the device for what may arrive
        assert told["submitted"] == told["completed"]
    elif device != "sound":
        assert told["submitted"] > told["completed"]
    arrived = {"console": b"text from the host", "input": b"\1\0\x1c\0\1", "net": b"\x08\x06\0\1\x08\0\6\4\0\2"}
    assert arrived.get(device, b"").hex() in (tmp_path / "recording").read_text()


def test_the_game_through_all_gates_of_a_short_oracle(tmp_path: Path) -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    command = [sys.executable, "-m", "cloudboot_doom_oracle", "harvest", "--checkpoints", "1,35,70", "--out"]
    subprocess.run([*command, tmp_path / "oracle"], check=True, capture_output=True)
    words: list[str | Path] = [
        "doom",
        "probe",
        "--oracle",
        tmp_path / "oracle",
        "--report",
        tmp_path / "report.html",
        "--json",
    ]
    done = cloudboot(*words)
    gates = {gate["gate"]: gate["verdict"] for gate in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, gates
    assert [name for name, verdict in gates.items() if verdict != "pass"] == ["O-3", "O-4", "O-5", "keys"]
    assert {gates[name] for name in ("devices-found", "gpu-up", "sound-running", "input-up", "O-6", "O-9")} == {"pass"}
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_a_new_oracle_has_the_seed_and_the_checkpoints_asked_for() -> None:
    judge("qemu-system-x86_64", "qemu-system-x86")
    words = ["--seed", "7", "--checkpoints", "1,20", "--sample-every", "5", "--ring", "packed", "--json"]
    done = cloudboot("doom", "probe", *words)
    assert done.returncode == 0, done.stderr
    gates = {gate["gate"]: gate["evidence"] for gate in map(json.loads, done.stdout.splitlines())}
    # The title picture takes no random number, so the indices are where the seed put them.
    told = {tic: value.split(maxsplit=1)[1] for tic, value in gates["A"].items()}
    assert told == dict.fromkeys(("tic_1", "tic_20"), "prndindex 7 mrndindex 7")
    assert (gates["gpu-up"]["ring"], gates["devices"]["ring"]) == ("packed", "packed")
    # Frames 5, 10 and 15, and the two checkpoints, of which the first frame is the first.
    assert gates["O-6"]["screendumps"] == 5


def test_a_seed_beside_an_oracle_is_refused(tmp_path: Path) -> None:
    done = cloudboot("doom", "probe", "--oracle", tmp_path, "--seed", "7")
    assert done.returncode == 2
    assert "--seed" in done.stderr


@pytest.mark.long
def test_a_guest_that_runs_free_is_captured_and_judged(tmp_path: Path) -> None:
    """Debian's kernel and chocolate-doom, twice: the second run's captures against an oracle of the first's."""
    judge("qemu-system-x86_64", "qemu-system-x86")
    oracle: list[str | Path] = [sys.executable, "-m", "cloudboot_doom_oracle"]
    harvest = [*oracle, "harvest", "--checkpoints", "35,140", "--out", tmp_path / "oracle"]
    subprocess.run(harvest, check=True, capture_output=True)
    for name in ("first", "second"):
        words: list[str | Path] = ["--oracle", tmp_path / "oracle", "--seconds", "6,16", "--json"]
        words += ["--keys"] if name == "second" else []
        done = cloudboot("doom", "guest", "-o", tmp_path / name, *words)
        assert done.returncode == 0, done.stderr
        files = {"frame_tic000035.ppm", "frame_tic000140.ppm", "sound.wav", "t16.ppm", "t6.ppm", "timing.json"}
        assert set(json.loads(done.stdout)["files"]) == files
    guest: list[str | Path] = ["guest-harvest", tmp_path / "guest", "--oracle", tmp_path / "oracle"]
    subprocess.run([*oracle, *guest, "--captures", tmp_path / "first"], check=True, capture_output=True)
    screen = [*oracle, "screen", "verify", tmp_path / "guest", tmp_path / "second"]
    assert subprocess.run(screen, capture_output=True, check=False).returncode in {0, 34}
    folders: list[str | Path] = ["--baseline", tmp_path / "first", "--keypress", tmp_path / "second"]
    judged = subprocess.run(
        [*oracle, "input", "verify", *folders, "--seconds", "6,16", "--json"], capture_output=True, check=False
    )
    told = json.loads(judged.stdout)
    assert (told["verdict"], judged.returncode) in {("PASS", 0), ("PASS-STRICT", 0), ("BUSY", 34)}
    assert (told["verdict"] == "BUSY") == (told["host"]["share"] > 0.2)
    # The guest asks for at most two processors and the machine's own threads, for as long as captures were taken.
    assert 0 < told["host"]["ran"] <= 4 * told["host"]["seconds"]
