from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from cloudboot_qemu import BlockAccess
from cloudboot_qemu.trace import BlockTrace

# Lines QEMU 10.0.2 wrote while OVMF booted.
RECORDED = b"""\
7414@1795295947.828672:bdrv_open_common bs 0x55d82e7b2ef0 filename "/usr/share/OVMF/OVMF_CODE_4M.fd" flags 0x8000 format_name "file"
7414@1795295947.828770:bdrv_open_common bs 0x55d82e7ba980 filename "/dev/fdset/1" flags 0xa002 format_name "file"
7414@1795295947.828794:bdrv_open_common bs 0x55d82e7c1500 filename "/dev/fdset/10" flags 0x8000 format_name "file"
7414@1795295947.830180:blk_co_preadv blk 0x55d82e7c69b0 bs 0x55d82e7b2ef0 offset 0 bytes 3653632 flags 0x0
7417@1795295950.189778:blk_co_pwritev blk 0x55d82e7c6d70 bs 0x55d82e7ba980 offset 0 bytes 512 flags 0x0
7414@1795295950.500001:blk_co_preadv blk 0x55d82f1a95d0 bs 0x55d82e7c1500 offset 32768 bytes 2048 flags 0x0
7414@1795295950.750000:blk_co_pwritev blk 0x55d82f1a95d0 bs 0x55d82e7c1500 offset 1000 bytes 100 flags 0x0
"""  # noqa: E501 - as written
DRIVES = {"/dev/fdset/10": "disk0"}
EXPECTED = [BlockAccess(0.500001, "disk0", 64, 4, False), BlockAccess(0.75, "disk0", 1, 2, True)]


def access_line(offset: int, size: int, *, write: bool = False) -> bytes:
    word = b"pwritev" if write else b"preadv"
    return b"1@1.0:blk_co_%b blk 0x1 bs 0x55d82e7c1500 offset %d bytes %d flags 0x0\n" % (word, offset, size)


def opened(limit: int = 1000) -> BlockTrace:
    trace = BlockTrace(DRIVES, epoch=1.0, limit=limit)
    trace.feed(RECORDED.splitlines(keepends=True)[2])
    return trace


@given(st.lists(st.integers(0, len(RECORDED)), max_size=10))
def test_recorded_lines_however_they_arrive(cuts: list[int]) -> None:
    trace = BlockTrace(DRIVES, epoch=1795295950.0)
    edges = [0, *sorted(cuts), len(RECORDED)]
    for begin, end in itertools.pairwise(edges):
        trace.feed(RECORDED[begin:end])
    assert trace.accesses() == EXPECTED


def test_an_address_used_again_is_another_drive() -> None:
    trace = opened()
    trace.feed(b'1@1.0:bdrv_open_common bs 0x55d82e7c1500 filename "/tmp/other" flags 0x0 format_name "file"\n')
    trace.feed(access_line(0, 512))
    assert trace.accesses() == []


@given(st.binary())
def test_noise_is_no_access(noise: bytes) -> None:
    trace = opened()
    trace.feed(noise + b"\n" + access_line(0, 512))
    assert trace.accesses()[-1:] == [BlockAccess(0.0, "disk0", 0, 1, False)]


def test_an_endless_line_is_let_go() -> None:
    trace = opened()
    for _ in range(100):
        trace.feed(b"x" * 4000)
    trace.feed(b"\n" + access_line(512, 512))
    assert len(trace.accesses()) == 1


def test_a_long_run_is_joined_before_anything_is_lost() -> None:
    trace = opened(limit=100)
    for index in range(1000):
        trace.feed(access_line(index * 4096, 4096))
    assert trace.dropped == 0
    assert trace.accesses()[0].lba == 0
    assert sum(access.sectors for access in trace.accesses()) == 8000
    assert len(trace.accesses()) <= 101


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 4), st.booleans()), max_size=300))
def test_memory_is_bounded_and_what_is_lost_is_counted(requests: list[tuple[int, int, bool]]) -> None:
    trace = opened(limit=20)
    for lba, sectors, write in requests:
        trace.feed(access_line(lba * 512, sectors * 512, write=write))
    kept = trace.accesses()
    assert len(kept) <= 20
    total = sum(sectors for _, sectors, _ in requests)
    assert sum(access.sectors for access in kept) <= total
    if not trace.dropped:
        assert sum(access.sectors for access in kept) == total
