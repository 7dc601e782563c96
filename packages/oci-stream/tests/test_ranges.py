"""Several connections for one blob: faster where they can be, harmless where they cannot."""

from __future__ import annotations

import itertools
import random
import threading
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
    fetch_image,
    push_image,
)
from cloudboot_oci_stream.download.parallel import Pace
from cloudboot_oci_stream.errors import DigestMismatchError, RateLimitedError, ShortBodyError
from cloudboot_oci_stream.spec.descriptor import digest_of
from cloudboot_oci_stream.testing import FaultyRegistry

DATA = random.Random(17).randbytes(3_000_017)
SIZE = len(DATA)
QUICK = RetryPolicy(attempts=2, pause=0.001)


def descriptor(data: bytes = DATA) -> Descriptor:
    return Descriptor(media_type="application/x-test", digest=digest_of(data), size=len(data))


def fetch(registry: FaultyRegistry, ranges: Any, data: bytes = DATA, **options: Any) -> bytearray:
    registry.add_blob(data)
    buffer = bytearray(b"\xaa") * len(data)
    options = {"retry": QUICK, **options}
    fetch_blob_to_buffer(descriptor(data), buffer, f"{registry.host}/d", ranges=ranges, **options)
    assert buffer == data
    return buffer


def no_thread_is_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("cloudboot-oci")]


def test_ranges_are_closed_and_do_not_overlap(registry: FaultyRegistry) -> None:
    seen: list[tuple[int, int]] = []
    fetch(registry, 4, progress=lambda done, total: seen.append((done, total)))
    asked = sorted(request.headers["range"] for request in registry.seen)
    marks = [SIZE * part // 4 for part in range(5)]
    assert asked == sorted(f"bytes={start}-{stop - 1}" for start, stop in itertools.pairwise(marks))
    assert seen == sorted(set(seen))
    assert seen[-1] == (SIZE, SIZE)
    assert no_thread_is_left()


def test_a_fast_blob_takes_one_connection(registry: FaultyRegistry) -> None:
    fetch(registry, "auto")
    assert len(registry.seen) == 1


@pytest.mark.slow
def test_connections_are_added_while_that_helps(registry: FaultyRegistry) -> None:
    registry.faults.rate = 2e6
    data = DATA * 6
    fetch(registry, "auto", data)
    assert len(registry.seen) > 1
    assert registry.seen[0].headers.get("range") is None


@pytest.mark.parametrize(
    ("rates", "hash_rate", "lanes"),
    [
        ([2e6, 4e6, 8e6], 1e9, [2, 4, 4]),  # no more than four
        ([2e6, 2.1e6], 1e9, [2, 2]),  # a second one does not help
        ([2e6, 4e6, 4.1e6], 1e9, [2, 4, 4]),
        ([1e9], 1.05e9, [1]),  # hashing is the limit
        ([60e6], 1e9, [1]),  # it is over soon
    ],
    ids=str,
)
def test_connections_are_doubled_while_that_helps(rates: list[float], hash_rate: float, lanes: list[int]) -> None:
    now = 0.0
    pace, received, seen, count = Pace(4, lambda: now), 0, [], 1
    for rate in rates:
        pace.begin(received)
        assert pace.lanes(count, received, 100_000_000, hash_rate) == count, "too early to tell"
        now, received = now + 1, received + int(rate)
        count = pace.lanes(count, received, 100_000_000, hash_rate)
        seen.append(count)
    assert seen == lanes


def test_a_slow_connection_is_relieved(registry: FaultyRegistry) -> None:
    """Whoever is done takes half of what the slowest has left."""
    data = DATA * 6
    registry.add_blob(data)
    registry.faults.stalls = [100]
    fetch(registry, 2, data, access=Access(stall=2.0))
    assert len(registry.seen) >= 3


@pytest.mark.parametrize(
    "faults",
    [
        {"ranges": "ignore"},
        {"ranges": "blocks"},
        {"ranges": "whole"},
        {"ranges": "blocks", "cuts": [100_000, 800_000]},
        {"connections": 1},
        {"connections": 2},
        {"cuts": [100_000, 800_000, 1_600_000, 2_400_000]},
        {"cuts": [800_000, 1_600_000], "reset": True},
        {"framing": "chunked"},
        {"framing": "close"},
        {"redirect": "storage"},
        {"answers": [(503, {})]},
    ],
    ids=str,
)
def test_what_is_overcome(registry: FaultyRegistry, faults: dict[str, Any]) -> None:
    for name, value in faults.items():
        setattr(registry.faults, name, value)
    fetch(registry, 4, retry=RetryPolicy(pause=0.02))
    assert no_thread_is_left()


def test_helpers_give_way_to_the_first_connection(registry: FaultyRegistry) -> None:
    """A registry that takes one connection may have given it to a helper, for longer than anybody would try again."""
    registry.faults.connections, registry.faults.rate = 1, 2 << 20
    fetch(registry, 4, retry=RetryPolicy(attempts=2, pause=0.02))
    assert no_thread_is_left()


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ({"flip": SIZE - 1}, DigestMismatchError),
        ({"flip": SIZE // 2}, DigestMismatchError),
        ({"cuts": [SIZE - 10] * 99}, ShortBodyError),
        ({"connections": 0}, RateLimitedError),
        ({"ranges": "shift"}, OciError),
        ({"ranges": "resize"}, OciError),
        ({"encoding": "gzip"}, OciError),
        ({"stalls": [5] * 9 + [SIZE - 5] * 9}, OciError),
    ],
    ids=str,
)
def test_what_is_not(registry: FaultyRegistry, faults: dict[str, Any], error: type[OciError]) -> None:
    registry.add_blob(DATA)
    for name, value in faults.items():
        setattr(registry.faults, name, value)
    buffer = bytearray(b"\xaa") * SIZE
    with pytest.raises(error):
        fetch_blob_to_buffer(
            descriptor(), buffer, f"{registry.host}/d", ranges=4, retry=QUICK, access=Access(stall=0.2)
        )
    assert buffer == bytes(SIZE)
    assert no_thread_is_left()


@pytest.mark.parametrize("where", ["main", "helper"])
def test_an_interrupt_ends_every_lane(registry: FaultyRegistry, where: str) -> None:
    registry.add_blob(DATA)
    registry.faults.stalls = [SIZE - 100] if where == "helper" else [100]

    def interrupt(done: int, total: int) -> None:
        del total
        if done > SIZE // 2:
            raise KeyboardInterrupt

    buffer = bytearray(b"\xaa") * SIZE
    try:
        fetch_blob_to_buffer(
            descriptor(), buffer, f"{registry.host}/d", ranges=4, progress=interrupt, access=Access(stall=1)
        )
    except KeyboardInterrupt:
        assert buffer == bytes(SIZE)
        assert no_thread_is_left()
    else:
        pytest.fail("the interrupt was lost")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lanes=st.integers(2, 8),
    cuts=st.lists(st.integers(0, SIZE - 1), max_size=12),
    reset=st.booleans(),
    ranges=st.sampled_from(["honour", "honour", "ignore"]),
    framing=st.sampled_from(["length", "chunked", "close"]),
    connections=st.none() | st.integers(1, 4),
    flip=st.none() | st.integers(0, SIZE - 1),
)
def test_random_faults_give_the_bytes_or_a_wiped_buffer(registry: FaultyRegistry, lanes: int, **faults: Any) -> None:
    registry.add_blob(DATA)
    for name, value in faults.items():
        setattr(registry.faults, name, value)
    buffer = bytearray(b"\xaa") * SIZE
    try:
        fetch_blob_to_buffer(descriptor(), buffer, f"{registry.host}/d", ranges=lanes, retry=QUICK)
    except OciError:
        assert buffer == bytes(SIZE)
    else:
        assert faults["flip"] is None
        assert buffer == DATA
    assert no_thread_is_left()


def test_an_image_by_several_ranges(registry: FaultyRegistry) -> None:
    push_image(DATA, f"{registry.host}/d:v1")
    with fetch_image(f"{registry.host}/d:v1", ranges=5) as image:
        assert image.view[:SIZE] == DATA


@pytest.mark.parametrize("ranges", [0, 17, -1, "many", 2.5])
def test_ranges_that_are_none(registry: FaultyRegistry, ranges: Any) -> None:
    with pytest.raises(ValueError, match="ranges"):
        fetch(registry, ranges)
    assert registry.seen == []
