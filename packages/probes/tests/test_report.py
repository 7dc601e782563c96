"""The report: what it says, that nothing in it can be code of a stranger's, and that a browser shows all of it.

The browser is Chromium without a window: it measures the page at three widths, with and without its script.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import struct
import subprocess
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudboot_base.gates import Gate, Verdict
from cloudboot_base.testing import judge, run
from cloudboot_probes.blockmap import BlockMap, Extent, Read
from cloudboot_probes.probe.boot import Boot, ConsoleLine
from cloudboot_probes.probe.record import Header, Outcome, Record
from cloudboot_probes.render.report import report
from cloudboot_probes.render.report.screenshot import with_palette
from cloudboot_probes.render.report.timeline import axis, place, ticks, windows

HOSTILE = "</script><script>alert(1)</script><b onmouseover=x>&amp;\x1b[31m\u202e"
MODULES = "/boot/grub/x86_64-efi/a-long-name-of-a-folder"
EXTENTS = [
    Extent(0, 512, 0, "protective MBR"),
    Extent(512, 1024, 0, "primary GPT header"),
    Extent(32768, 98304, 1, "/EFI/BOOT/BOOTX64.EFI", file=True),
    Extent(98304, 102400, 1, "FAT 1"),
    Extent(1 << 20, 9 << 20, 2, "/boot/vmlinuz", file=True),
    *(
        Extent((10 << 20) + 4096 * n, (10 << 20) + 4096 * (n + 1), 2, f"{MODULES}/module-{n}.mod", True)
        for n in range(5)
    ),
    Extent(12 << 20, (12 << 20) + 512, 2, "/boot (directory)"),
    Extent(13 << 20, (13 << 20) + 512, 2, f"/{HOSTILE}", file=True),
]


def png(width: int, height: int, colours: list[bytes], kind: int = 0) -> bytes:
    """An RGB picture; ``kind`` is the filter of its rows, which hold what that filter makes of them."""
    chance = random.Random(width)
    rows = [b"".join(chance.choice(colours) for _ in range(width)) for _ in range(height)]
    data = b"".join(bytes([kind]) + row for row in rows)
    body = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", body), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part)) for name, part in chunks
    )


def record(*, failed: bool) -> Record:
    """A run with everything a report can show."""
    names = [
        "resolve",
        "fetch",
        "verify",
        "header",
        "publish-block-io",
        "connect-controller",
        "ufs-root",
        "kernel-banner",
    ]
    gates = [
        Gate(
            name,
            "The reference names one manifest, whose bytes hash to its digest, with one disk image in it.",
            Verdict.PASS,
            {
                "manifest": "sha256:" + "ab" * 32,
                "size": 31_474_176,
                "read": {"/boot/vmlinuz": "8388608 of 8388608 bytes"},
            },
            seconds=0.2 + number,
            started=1.5 * number,
            headline=f"all of it, {HOSTILE}",
            leaves_open="Who made the image.",
        )
        for number, name in enumerate(names)
    ]
    gates[6] = Gate("ufs-root", "The firmware shows the root.", Verdict.NOT_APPLICABLE, reason="no driver")
    if failed:
        gates[5] = replace(
            gates[5],
            verdict=Verdict.FAIL,
            error={
                "error": "LoaderFailedError", "message": f"the machine says: {HOSTILE}", "verdict": "loader-failed",
                "screen": ["Welcome to GRUB!", "error: file not found", HOSTILE],
                "needed": {"/boot/vmlinuz": "0 of 8388608 bytes"},
                "try_next": ["cloudboot image inspect oci:store:v1: are the files there?", "read the console"],
            },
        )  # fmt: skip
        gates[7] = Gate("kernel-banner", "The kernel runs.", Verdict.NOT_REACHED, reason="the gate before failed")
    reads = [Read(2.0 + n / 1000, 512 * n % (9 << 20), 512 * n % (9 << 20) + 65536) for n in range(300)]
    reads += [Read(9.0 + n / 500, (10 << 20) + 4096 * (n % 5), (10 << 20) + 4096 * (n % 5) + 4096) for n in range(50)]
    reads.append(Read(9.5, 13 << 20, (13 << 20) + 512))
    lines = [ConsoleLine(2.0 + n / 100, f"line {n}") for n in range(900)] + [ConsoleLine(12.0, HOSTILE)]
    header = Header(
        started_at="2026-11-28T16:44:30+00:00", version="0.1.0", command=f"cloudboot probe linux {HOSTILE}",
        host="Linux 6.1 x86_64", system="linux", title="Linux, started by GRUB from UFS2", architecture="amd64",
        firmware="qemu", reference=f"registry.example:5000/a/very/long/repository/name/{HOSTILE}:v1",
        manifest="sha256:" + "cd" * 32, image="sha256:" + "ef" * 32, size=31_474_176,
        machine={"machine": "QEMU 10.0.2, amd64", "memory": 1 << 30}, notices=("KVM is not used",),
    )  # fmt: skip
    boot = Boot(
        block_map=BlockMap(EXTENTS), reads=reads, marks={"loader": 4.0, "kernel": 8.5},
        screenshot=png(640, 400, [bytes(3), b"\xaa\xaa\xaa"]), console="", lines=lines, dropped=10,
    )  # fmt: skip
    return Record(header, gates, Outcome.FAILED if failed else Outcome.PASSED, boot)


class Parser(HTMLParser):
    """Every element is closed in order, and nothing but the page's own script is code."""

    void = frozenset({"meta", "link", "img", "br", "col", "input", "wbr"})
    drawn = frozenset({"path", "rect", "circle", "use"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts = 0
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        assert not any(name.startswith("on") for name in names), attrs
        self.scripts += tag == "script"
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src") and value:
                self.links.append(value)
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("failed", [False, True])
def test_the_page_is_whole_and_has_no_code_but_its_own(failed: bool) -> None:
    page = report(record(failed=failed))
    parser = Parser()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert parser.scripts == 1
    assert len(parser.ids) == len(set(parser.ids))
    for link in parser.links:
        assert link.startswith("data:image/png;base64,") or (link[0] == "#" and link[1:] in parser.ids), link
    assert "alert(1)" in page  # it is shown, as text
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert len(page.encode()) < 200_000  # with more reads and a longer console than a boot of Linux has


def test_a_failure_stands_first_with_what_to_try() -> None:
    page = report(record(failed=True))
    why = page.index('id="why"')
    assert why < page.index('id="gates"')
    text = re.sub(r"<[^>]+>", " ", page[why : page.index('id="gates"')])
    assert "connect-controller failed" in text
    assert "Are the files there?" in text
    assert '<pre tabindex="0">cloudboot image inspect oci:store:v1</pre>' in page
    assert re.search(r"0 of 8,388,608\s.*none", text)
    assert "4 of 7 gates" in re.sub(r"\s+", " ", text) or "5 of 7 gates" in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("outcome", [Outcome.INTERRUPTED, Outcome.UNFINISHED])
def test_a_run_that_did_not_end_is_never_green(outcome: Outcome) -> None:
    whole = record(failed=False)
    gates = [
        *whole.gates[:2],
        *(Gate(g.name, g.claim, Verdict.NOT_REACHED, reason="interrupted") for g in whole.gates[2:]),
    ]
    page = report(Record(whole.header, gates, outcome, Boot()))
    assert 'class="verdict fail"' in page
    assert re.search(r"<title>(Interrupted|Not finished): 2 of 8 gates", page)
    assert 'id="reads"' not in page


MEASURE = """<script>addEventListener("load", () => {
  const seen = e => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0; };
  const clipped = [...document.querySelectorAll("th,td,span,p,h1,h2,h3,dd,dt,b,li,button,code")].filter(e => {
    const s = getComputedStyle(e);
    if (!seen(e) || e.closest(".vh,.axis,.over,.jump") !== null) return false;
    return s.overflow === "hidden" && e.scrollWidth > e.clientWidth + 1;
  });
  const outside = [...document.querySelectorAll("body *")].filter(e => {
    const r = e.getBoundingClientRect();
    return seen(e) && r.right > innerWidth + 1 && !e.closest("pre,.shot,.bar,.over,svg,.axis,.vh,.jump");
  });
  const result = document.createElement("pre");
  result.id = "measured";
  result.textContent = JSON.stringify({
    width: innerWidth, page: document.documentElement.scrollWidth,
    gates: [...document.querySelectorAll(".gate")].filter(seen).length,
    open: [...document.querySelectorAll("details")].filter(d => d.open).length,
    clipped: clipped.map(e => e.className + ":" + e.textContent.slice(0, 40)),
    outside: outside.map(e => e.tagName + "." + e.className + ":" + e.textContent.slice(0, 40)),
    buttons: [...document.querySelectorAll(".tools button")].filter(seen).length,
  });
  document.body.append(result);
});</script>"""


def measured(page: str, folder: Path, width: int) -> dict[str, object]:
    """What Chromium measures of a page at a width."""
    path = folder / "page.html"
    path.write_text(page.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    command = [
        judge("chromium", "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900",
        "--virtual-time-budget=2000", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=300, check=True)
    found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert found is not None
    result: dict[str, object] = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return result


@pytest.mark.parametrize("width", [1400, 768, 500])
@pytest.mark.parametrize("failed", [False, True])
def test_a_browser_shows_all_of_it(failed: bool, width: int, tmp_path: Path) -> None:
    """No sideways overflow, every gate visible, no text cut off; a headless window is 500 pixels wide at least."""
    made = record(failed=failed)
    seen = measured(report(made), tmp_path, width)
    assert seen["width"] == width
    assert seen["page"] == width, seen["outside"]
    assert seen["outside"] == []
    assert seen["clipped"] == []
    assert seen["gates"] == len(made.gates)


def test_without_its_script_the_page_is_long_and_complete(tmp_path: Path) -> None:
    page = re.sub(r"<script>.*?</script>", "", report(record(failed=True)), flags=re.DOTALL)
    seen = measured(page, tmp_path, 1400)
    assert seen["open"] == page.count("<details")
    assert seen["buttons"] == 0
    assert seen["page"] == 1400
    with_script = measured(report(record(failed=True)), tmp_path, 1400)
    assert isinstance(with_script["open"], int)
    assert with_script["open"] < page.count("<details")
    assert with_script["buttons"] != 0


TIMES = st.lists(st.floats(0, 300, allow_nan=False), min_size=1, max_size=60)


@given(TIMES)
def test_windows_hold_every_moment_and_do_not_touch(times: list[float]) -> None:
    end = max(times) + 0.001
    found = windows(times, end)
    assert 1 <= len(found) <= 4
    assert all(any(first <= moment <= last for first, last in found) for moment in times)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(found))
    assert all(0 <= first <= last <= end for first, last in found)


@given(TIMES)
def test_the_axis_covers_the_run_and_keeps_the_order(times: list[float]) -> None:
    end = max(times) + 0.001
    spans = axis(times, end)
    assert spans[0].start == 0
    assert spans[-1].end == end
    assert all(before.end == after.start for before, after in itertools.pairwise(spans))
    assert abs(sum(span.width for span in spans) - 1) < 1e-6
    places = [place(spans, moment) for moment in sorted(times)]
    assert places == sorted(places)
    assert all(-1e-9 <= each <= 1 + 1e-9 for each in places)
    marks = ticks(spans)
    assert [at for at, _ in marks] == sorted(at for at, _ in marks)
    assert len(marks) <= 8 * 4 + 4


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 2, 4, 16, 200])
def test_a_picture_with_a_palette_is_the_same_picture(count: int, kind: int, tmp_path: Path) -> None:
    """netpbm sees the same pixels; with a filter the bytes of the rows are differences, and the colours many."""
    colours = [bytes((7 * n % 256, 13 * n % 256, n)) for n in range(count)]
    original = png(61, 20, colours, kind)
    small = with_palette(original)
    pictures = []
    for name, data in (("a", original), ("b", small)):
        (tmp_path / name).write_bytes(data)
        done = subprocess.run([judge("pngtopnm", "netpbm"), tmp_path / name], stdout=subprocess.PIPE, check=True)
        (tmp_path / f"{name}.pnm").write_bytes(done.stdout)
        pictures.append(run(judge("ppmtoppm", "netpbm"), stdin=_as_ppm(tmp_path / f"{name}.pnm")))
    assert pictures[0] == pictures[1]
    if kind == 0 and 1 < count <= 16:
        assert len(small) < len(original)


def _as_ppm(path: Path) -> bytes:
    """A picture of any netpbm kind as PPM."""
    return subprocess.run([judge("pnmtoplainpnm", "netpbm"), path], stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", png(3, 3, [bytes(3)])[:50], b"\x89PNG\r\n\x1a\n" + bytes(64)]
)
def test_what_is_no_picture_is_left_alone(data: bytes) -> None:
    assert with_palette(data) == data


@pytest.mark.parametrize(("share", "label"), [(1.0, "9.5 s"), (0.0003, "0.0038 s")])
def test_the_axis_of_a_short_run_ends_with_its_length(share: float, label: str) -> None:
    """A boot in this process takes milliseconds, and "0.0 s" is no length."""
    found = record(failed=False)
    boot = found.boot
    assert boot is not None
    reads = [replace(read, time=read.time * share) for read in boot.reads]
    marks = {name: moment * share for name, moment in boot.marks.items()}
    page = report(replace(found, boot=replace(boot, reads=reads, marks=marks)))
    assert re.findall(r'class="t last"[^>]*>([^<]*)<', page) == [label]
