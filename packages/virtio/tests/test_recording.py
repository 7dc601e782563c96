"""Recording a driver at work, and replaying it without its device."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudboot_virtio import (
    RING_FEATURES,
    BlockDriver,
    CompletionTimeoutError,
    DeviceBrokenError,
    Feature,
    GpuDriver,
    RecordingError,
)
from cloudboot_virtio.recording import record, replay
from cloudboot_virtio.testing import Behaviour, BlockModel, FakeDevice

SPLIT = RING_FEATURES & ~Feature.RING_PACKED
RINGS = pytest.mark.parametrize("features", [RING_FEATURES, SPLIT, 0, Feature.RING_PACKED])


def work(disk: BlockDriver) -> None:
    for sector in range(20):
        disk.write(sector, bytes([sector]) * 1024)
    for sector in range(20):
        assert disk.read(sector, 512) == bytes([sector]) * 512


@RINGS
def test_what_was_recorded_happens_again(tmp_path: Path, features: int) -> None:
    behaviour = Behaviour(late=0.3, reorder=0.3, seed=9)
    disk = BlockDriver(FakeDevice(BlockModel(bytearray(1 << 16)), behaviour), features=features)
    with record(tmp_path / "recording", disk.transport) as recorder:
        work(disk)
    assert recorder.events > 100
    with open(tmp_path / "recording", "rb") as file:
        result = replay(file)
    assert (result.submitted, result.completed, result.findings, result.broken) == (40, 40, [], [])


# A packed ring has no index: entries too many there are nothing the driver sees, it waits in vain.
@pytest.mark.parametrize(
    ("fault", "features"),
    [
        *((fault, split) for fault in ("wrong_id", "duplicate", "jump") for split in (SPLIT, 0)),
        ("wrong_id", RING_FEATURES),
    ],
)
def test_a_failure_is_reproduced_without_the_device(tmp_path: Path, fault: str, features: int) -> None:
    disk = BlockDriver(FakeDevice(BlockModel(bytearray(1 << 16))), features=features, timeout=0.05)
    fake = disk.transport
    assert isinstance(fake, FakeDevice)
    setattr(fake.behaviour, fault, 0.05)
    with pytest.raises(DeviceBrokenError) as caught, record(tmp_path / "recording", disk.transport):
        for _ in range(100):
            work(disk)
    with open(tmp_path / "recording", "rb") as file:
        result = replay(file)
    assert result.broken == [str(caught.value)]
    assert result.findings == []
    command = [sys.executable, "-m", "cloudboot_virtio", "replay", "recording"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (27, "")
    assert str(caught.value) in done.stdout


def test_a_timeout_is_recorded_and_nothing_comes_back_by_it(tmp_path: Path) -> None:
    fake = FakeDevice(BlockModel(bytearray(1 << 16)), auto=False)
    disk = BlockDriver(fake, timeout=0.01)
    with record(tmp_path / "recording", fake):
        ticket = disk.start_read(3, 512)
        with pytest.raises(CompletionTimeoutError):
            disk.finish(ticket)
        fake.step()
        assert disk.finish(ticket) == bytes(512)
        disk.start_read(4, 512)
        disk.requests.queue.kick()
        assert len(fake.reset_queue(0)) == 1
    with open(tmp_path / "recording", "rb") as file:
        result = replay(file)
    assert (result.submitted, result.completed, result.timeouts, result.resets) == (2, 1, 1, 1)
    assert result.findings == []


@pytest.mark.live
@pytest.mark.parametrize("features", [RING_FEATURES, SPLIT])
def test_a_real_device_recorded(tmp_path: Path, bench: Callable[[str], Any], features: int) -> None:
    gpu = GpuDriver(bench("amd64").host.open(4), features=features)
    with record(tmp_path / "recording", gpu.transport):
        screen = gpu.create(64, 32)
        gpu.set_scanout(screen)
        for _ in range(100):
            gpu.show(screen)
    gpu.shut_down()
    with open(tmp_path / "recording", "rb") as file:
        result = replay(file)
    assert (result.device, result.submitted, result.completed, result.findings) == (16, 203, 203, [])


def test_a_recording_that_was_changed_differs(tmp_path: Path) -> None:
    disk = BlockDriver(FakeDevice(BlockModel(bytearray(1 << 16))))
    with record(tmp_path / "recording", disk.transport):
        disk.read(0, 512)
    lines = [json.loads(line) for line in (tmp_path / "recording").read_text().splitlines()]
    lines[1]["id"] += 1
    (tmp_path / "changed").write_text("\n".join(map(json.dumps, lines)))
    command = [sys.executable, "-m", "cloudboot_virtio", "replay", "changed", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"][0]["kind"] == "replay-differs"


HEADER = b'{"format":"cloudboot-virtio-recording","version":1,"device":2,"features":0,"queues":{"0":8}}\n'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nothing\n",
        b"[" * 100_000,
        b"[]\n",
        b'{"format":"another"}\n',
        HEADER.replace(b'"0":8', b'"0":7'),
        HEADER.replace(b'"0":8', b'"x":8'),
        HEADER.replace(b'"0":8', b'"0":99999999'),
        HEADER + b'{"queue":0,"event":"explode"}\n',
        HEADER + b'{"queue":1,"event":"reset"}\n',
        HEADER + b'{"queue":0,"event":"submit","id":0,"descriptors":[[0,-1,0]],"read":""}\n',
        HEADER + b'{"queue":0,"event":"submit","id":0,"descriptors":[[0,99999999999,0]],"read":""}\n',
        HEADER + b'{"queue":0,"event":"submit","id":0,"descriptors":[],"read":""}\n',
        HEADER + b'{"queue":0,"event":"submit","id":0,"descriptors":[[0,1,0]],"read":"x"}\n',
        HEADER + b'{"queue":0,"event":"complete","id":0,"written":0,"data":""}\n',
    ],
)
def test_what_is_not_a_recording(content: bytes) -> None:
    with pytest.raises(RecordingError) as caught:
        replay(io.BytesIO(content))
    assert caught.value.where["line"] >= 1  # type: ignore[operator]  # a number


EVENTS = st.one_of(
    st.builds(
        lambda i, d, r: {"event": "submit", "id": i, "descriptors": d, "read": r.hex()},
        st.integers(0, 9),
        st.lists(st.tuples(st.just(0), st.integers(0, 20), st.sampled_from([0, 2])).map(list), max_size=9),
        st.binary(max_size=30),
    ),
    st.builds(lambda: {"event": "kick", "notified": True}),
    st.builds(
        lambda i, n, a: {"event": "used", "id": i, "length": n, "ahead": a},
        st.integers(-1, 70000),
        st.integers(-1, 1 << 33),
        st.integers(0, 70000),
    ),
    st.builds(
        lambda i, n, d: {"event": "complete", "id": i, "written": n, "data": d.hex()},
        st.integers(0, 9),
        st.integers(0, 40),
        st.binary(max_size=40),
    ),
    st.sampled_from([{"event": "broken", "message": ""}, {"event": "timeout"}, {"event": "reset"}]),
)


@settings(max_examples=60, deadline=None)
@given(features=st.sampled_from([0, Feature.RING_PACKED]), events=st.lists(EVENTS, max_size=30))
def test_any_recording_ends_in_a_result_or_an_error(features: int, events: list[dict[str, Any]]) -> None:
    head = json.loads(HEADER) | {"features": int(features)}
    lines = [head, *({"queue": 0, **event} for event in events)]
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    try:
        result = replay(io.BytesIO(content))
    except RecordingError:
        return
    assert result.submitted <= len(events)
