"""Gates B and C-2, and keys: frames, sounds and keys through QEMU's virtio devices."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cloudboot_base import Verdict
from cloudboot_base.testing import judge
from cloudboot_doom_oracle import GuestError, Oracle, Script, Wad, harvest, write_oracle
from cloudboot_doom_oracle.gates import GUEST_STAGES, Context, run_gates
from cloudboot_doom_oracle.gates.context import GuestRun
from cloudboot_doom_oracle.gates.guest import DEVICES_STAGE
from cloudboot_doom_oracle.gates.rig import ScreenRig, play_through_sound, wav_body
from cloudboot_doom_oracle.gates.soak import soak

pytestmark = pytest.mark.live


@pytest.fixture(scope="module", autouse=True)
def qemu() -> str:
    return judge("qemu-system-x86_64", "qemu-system-x86")


def test_all_guest_gates_pass(wad: Wad, script: Script, oracle: Oracle) -> None:
    context = Context(oracle, wad, script, sample_every=20)
    gates = {gate.name: gate for gate in run_gates(DEVICES_STAGE, GUEST_STAGES, context)}
    assert {gate.verdict for gate in gates.values()} == {Verdict.PASS}, {n: g.as_dict() for n, g in gates.items()}
    assert gates["devices"].evidence["flush_errors"] == 0
    assert gates["O-6"].evidence["screendumps"] >= 10  # type: ignore[operator]  # a number
    assert gates["keys"].evidence["received"] == sum(event.tic < 160 for event in script.events)
    first = gates["keys"].evidence["first_frame_changed_at_tic"]
    assert isinstance(first, int)
    assert 20 <= first <= 25


@pytest.mark.parametrize("ring", ["split", "packed"])
def test_the_command_runs_the_gates_over_the_ring_asked_for(ring: str, wad: Wad, tmp_path: Path) -> None:
    folder = tmp_path / "oracle"
    write_oracle(harvest(wad, Script(), (5,)), folder)
    command: list[str | Path] = [sys.executable, "-m", "cloudboot_doom_oracle", "verify", folder, "--wad", wad.path]
    done = subprocess.run([*command, "--ring", ring, "--json"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    gates = {gate["gate"]: gate for gate in json.loads(done.stdout)["gates"]}
    assert gates["devices"]["evidence"]["ring"] == ring


def test_a_frame_that_is_not_the_oracles_fails_gate_b(wad: Wad, script: Script, oracle: Oracle) -> None:
    shown = {point.tic: point.frame_hash for point in oracle.manifest.checkpoints}
    context = Context(oracle, wad, script, guest=GuestRun(frames=oracle.frames, checkpoints=shown))
    shown[35] = hashlib.sha256(b"another picture").hexdigest()
    gate = next(iter(run_gates(GUEST_STAGES[0], (), context)))
    assert gate.verdict is Verdict.FAIL
    assert gate.error is not None
    assert "tic 35" in str(gate.error["message"])


@pytest.mark.parametrize("ring", ["split", "packed"])
def test_steady_state_allocates_nothing_and_every_pixel_arrives(ring: str) -> None:
    chance = np.random.default_rng(1)
    with ScreenRig(ring=ring) as rig:
        assert rig.ring == ring
        before = rig.allocations
        for _ in range(50):
            picture = chance.integers(0, 256, (200, 320, 3), dtype=np.uint8)
            rig.show(picture)
            canvas, black = rig.look()
            assert black
            assert (canvas == picture).all()
        assert rig.allocations == before


@pytest.mark.parametrize("ring", ["split", "packed"])
def test_noise_through_the_sound_card_is_exact(ring: str) -> None:
    samples = np.random.default_rng(2).integers(-32768, 32768, 22050, dtype=np.int16).tobytes()
    body = wav_body(play_through_sound(samples, ring=ring))
    assert body[: len(samples)] == samples
    assert not any(body[len(samples) :])


def test_a_machine_that_is_killed_in_the_middle_is_an_error() -> None:
    picture = np.zeros((200, 320, 3), np.uint8)
    with ScreenRig() as rig:
        rig.show(picture)
        os.kill(rig.machine.pid, signal.SIGKILL)
        rig.gpu.timeout = 1.0
        with pytest.raises(GuestError):
            for _ in range(100):
                rig.show(picture)


@pytest.mark.long
def test_the_default_checkpoints_pass_every_gate(wad: Wad, tmp_path: Path) -> None:
    """1,050 tics of the demo loop: O-1 to O-9 as the protocol states them."""
    command: list[str | Path] = [sys.executable, "-m", "cloudboot_doom_oracle"]
    folder, page = tmp_path / "oracle", tmp_path / "report.html"
    done = subprocess.run([*command, "harvest", "--wad", wad.path, "--out", folder], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    arguments: list[str | Path] = ["verify", folder, "--wad", wad.path, "--json", "--report", page]
    done = subprocess.run([*command, *arguments], capture_output=True, check=False)
    told = {gate["gate"]: gate["verdict"] for gate in json.loads(done.stdout)["gates"]}
    assert done.returncode == 0, told
    assert {name: told[f"O-{name}"] for name in range(1, 10)} == dict.fromkeys(range(1, 10), "pass")
    assert told["keys"] == "not-applicable"
    assert page.stat().st_size > 100_000
    assert page.read_text().count("<polyline") == 2


def test_a_short_soak(wad: Wad) -> None:
    done = soak(wad, Script(), 150, sample_every=25)
    assert (done.flushes, done.screendumps, done.allocations) == (done.frames, done.frames // 25, 0)
