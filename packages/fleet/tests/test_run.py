"""Whole campaigns on a local cluster: probes on the firmware in process, reports, exit codes, resumption."""

import json
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cloudboot_base.exit_codes import NO_SPACE, SYSTEM
from cloudboot_fleet.campaign import CampaignFolder, Tally
from cloudboot_fleet.matrix import parse
from cloudboot_fleet.render import Summary
from cloudboot_fleet.render.junit import write_junit
from cloudboot_fleet.render.terminal import cell_line
from cloudboot_oci_stream import push_image
from cloudboot_probes import demo
from cloudboot_probes.cli.dispatch import run

MATRIX = """
name = "first"
[defaults]
timeout = 120
[[cells]]
kind = "probe"
[cells.axes]
system = "demo"
recipe = "demo"
architecture = ["amd64", "arm64", "riscv64"]
firmware = "hosted"
[[cells]]
kind = "check"
[cells.axes]
image = ["good.img", "damaged.img", "oci:store:good"]
[[cells]]
kind = "build"
[cells.axes]
recipe = "demo"
architecture = "amd64"
"""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign that was run to its end, with a damaged image in it."""
    folder = tmp_path_factory.mktemp("campaign")
    disk = demo.build("amd64", folder)
    disk.rename(folder / "good.img")
    data = bytearray((folder / "good.img").read_bytes())
    data[512 + 40] ^= 0xFF  # the primary GPT header's first usable block: its checksum is wrong then
    (folder / "damaged.img").write_bytes(data)
    push_image(folder / "good.img", f"oci:{folder}/store:good")
    (folder / "matrix.toml").write_text(MATRIX)
    code = run(
        ["fleet", "run", str(folder / "matrix.toml"), "--workers", "2", "--folder", str(folder / "run"),
         "--junit", str(folder / "junit.xml"), "--json"]
    )  # fmt: skip
    assert code == 1
    return folder


def journal(folder: Path) -> dict[str, dict[str, object]]:
    """The cells of a campaign by name."""
    lines = (folder / "run" / "journal.jsonl").read_text().splitlines()
    return {cell["name"]: cell for cell in map(json.loads, lines)}


def test_probes_pass_every_gate_and_the_damaged_image_alone_fails(campaign: Path) -> None:
    cells = journal(campaign)
    assert {name: (cell["status"], cell["reached"]) for name, cell in cells.items()} == {
        "probe(architecture=amd64)": ("passed", "11/11"),
        "probe(architecture=arm64)": ("passed", "11/11"),
        "probe(architecture=riscv64)": ("passed", "11/11"),
        "check(image=good.img)": ("passed", "2/2"),
        "check(image=damaged.img)": ("failed", "0/2 table"),
        "check(image=oci:store:good)": ("passed", "2/2"),
        "build()": ("passed", "2/2"),
    }
    assert "defect" in str(cells["check(image=damaged.img)"]["cause"])


def test_a_result_stands_under_the_digest_of_its_inputs_with_its_files(campaign: Path) -> None:
    for cell in journal(campaign).values():
        key = str(cell["key"])
        folder = campaign / "run" / "cells" / key[:2] / key
        result = json.loads((folder / "result.json").read_text())
        assert (result["key"], result["status"]) == (key, cell["status"])
        if cell["kind"] == "probe":
            names = {"report.html", "junit.xml", "record.json", "console.txt"}
            assert names <= {path.name for path in folder.iterdir()}
            assert ET.parse(folder / "junit.xml").getroot()[0].get("tests") == "11"
            assert len(result["gates"]) == 11
    assert not list((campaign / "run" / "cells").glob("*/.*"))


def test_junit_counts_every_cell(campaign: Path) -> None:
    suite = ET.parse(campaign / "junit.xml").getroot()[0]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "7", "failures": "1", "errors": "0", "skipped": "0"}
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["check(image=damaged.img)"]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag not in {"meta", "path", "circle", "br", "wbr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"path", "circle"}:
            assert self.open.pop() == tag


def test_the_report_links_every_cell_to_its_own_report(campaign: Path) -> None:
    page = (campaign / "run" / "report.html").read_text()
    reader = _Links()
    reader.feed(page)
    assert not reader.open
    files = {campaign / "run" / link for link in reader.links if not link.startswith("#")}
    assert len(files) == 7
    assert all(path.is_file() for path in files)
    assert sum(path.name == "report.html" for path in files) == 3
    assert "Failed" in page
    assert "6 of 7 cells passed" in page
    first = re.search(r'<section id="why".*?</section>', page, re.DOTALL)
    assert first is not None
    assert "check(image=damaged.img)" in first[0]


def test_status_and_resume(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {cell["key"]: cell["started_at"] for cell in journal(campaign).values()}
    assert run(["fleet", "status", str(campaign / "run"), "--json"]) == 1
    state = json.loads(capsys.readouterr().out)
    assert (state["state"], state["done"], state["total"], state["counts"]) == (
        "done",
        7,
        7,
        {"passed": 6, "failed": 1},
    )
    code = run(["fleet", "run", str(campaign / "matrix.toml"), "--resume", str(campaign / "run"), "--workers", "1"])
    printed = capsys.readouterr().out
    assert code == 1
    assert "6 of 7 cells passed" in printed
    assert "7 were there before" in printed
    assert {cell["key"]: cell["started_at"] for cell in journal(campaign).values()} == before


def test_a_folder_is_not_taken_twice(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fleet", "run", str(campaign / "matrix.toml"), "--folder"]
    assert run([*words, str(campaign / "run")]) == 2
    assert "--resume" in capsys.readouterr().err
    assert run([*words, str(campaign)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert run(["fleet", "status", str(campaign)]) == 2
    assert run(["fleet", "cancel", str(campaign / "run")]) == 2
    assert "no process runs" in capsys.readouterr().err


def test_a_plan_runs_nothing(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fleet", "plan", str(campaign / "matrix.toml"), "--json"]) == 0
    planned = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {cell["key"] for cell in planned} == {cell["key"] for cell in journal(campaign).values()}
    assert all(cell["limits"]["timeout"] == 120 for cell in planned)
    assert run(["fleet", "plan", str(campaign / "matrix.toml")]) == 0
    assert "7 cells of first" in capsys.readouterr().out


def test_a_start_that_failed_can_be_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "disk.img").write_bytes(b"no disk")
    path = tmp_path / "m.toml"
    words = ["fleet", "run", str(path), "--workers", "1", "--folder", str(tmp_path / "run")]
    path.write_text('[[cells]]\nkind = "check"\n[cells.axes]\nimage = "disc.img"\n')
    assert run(words) == 2
    told = capsys.readouterr().err
    assert f"{path}: line 4: image disc.img: there is no such file" in told
    assert "did you mean disk.img?" in told
    assert not (tmp_path / "run").exists()
    path.write_text('[[cells]]\nkind = "check"\nresources = {kvm = 1}\n[cells.axes]\nimage = "disk.img"\n')
    assert run(words) == 2
    path.write_text('[[cells]]\nkind = "check"\n[cells.axes]\nimage = "disk.img"\n')
    assert run(words) == 1
    assert "0 of 1 cells passed" in capsys.readouterr().out
    assert run(words) == 2
    assert "--resume" in capsys.readouterr().err


def test_a_resource_that_nobody_has_is_an_error_before_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.toml").write_text('[[cells]]\nkind = "nothing"\nresources = {kvm = 2}\n')
    words = ["fleet", "run", str(tmp_path / "m.toml"), "--workers", "1", "--resource", "kvm=1", "--folder"]
    assert run([*words, str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert "needs kvm 2 of a worker, and the most that one has is 1" in told
    assert "--resource kvm=2" in told
    assert not (tmp_path / "run" / "journal.jsonl").read_text()


EMPTY = '[[cells]]\nkind = "nothing"\n[cells.axes]\nrepeat = {from = 1, to = 200}\n'


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--report", "no/such/r.html"], "there is no folder no/such"),
        (["--junit", "no/j.xml"], "there is no folder no"),
        (["--junit", "."], "is a folder"),
        (["--junit", "x", "--report", "./x"], "are both"),
    ],
)
def test_a_report_that_cannot_be_written_is_an_error_before_the_start(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.toml").write_text(EMPTY)
    assert run(["fleet", "run", "m.toml", *words]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "m.fleet").exists()


def test_a_result_that_cannot_be_used_is_run_again_and_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.toml").write_text('[[cells]]\nkind = "nothing"\n')
    words = ["fleet", "run", str(tmp_path / "m.toml"), "--workers", "1"]
    assert run([*words, "--folder", str(tmp_path / "run")]) == 0
    (path,) = (tmp_path / "run" / "cells").glob("*/*/result.json")
    good = json.loads(path.read_text())
    for damage in ("{", "[]", json.dumps({**good, "status": "finished"}), json.dumps({**good, "schema": 0})):
        path.write_text(damage)
        assert run([*words, "--resume", str(tmp_path / "run")]) == 0
        assert "were there before" not in capsys.readouterr().out
        assert json.loads(path.read_text())["status"] == "passed"
    assert run([*words, "--resume", str(tmp_path / "run")]) == 0
    assert "1 were there before" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"state": "done"}'])
def test_a_damaged_state_is_said(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "campaign.json").write_text("{}")
    (tmp_path / "state.json").write_text(text)
    assert run(["fleet", "status", str(tmp_path)]) == 2
    assert "state.json is damaged" in capsys.readouterr().err


def test_a_reader_that_goes_away_interrupts_the_campaign_with_its_reports(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(EMPTY)
    command = [sys.executable, "-m", "cloudboot_fleet", "run", "m.toml", "--workers", "1", "--junit", "j.xml"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"PASSED")
        process.stdout.close()
    assert process.returncode == 130
    state = json.loads((tmp_path / "m.fleet" / "state.json").read_text())
    assert state["state"].startswith("interrupted")
    assert ET.parse(tmp_path / "j.xml").getroot()[0].get("errors") != "0"
    assert "Not finished" in (tmp_path / "m.fleet" / "report.html").read_text()


@pytest.mark.parametrize(("streams", "code"), [("<&- >&- 2>&-", SYSTEM), ("> /dev/full", NO_SPACE)])
def test_a_campaign_whose_lines_cannot_be_written(tmp_path: Path, streams: str, code: int) -> None:
    """Every cell runs and is reported; the exit code says that the lines could not be written."""
    (tmp_path / "m.toml").write_text('[[cells]]\nkind = "nothing"\n[cells.axes]\nrepeat = [1, 2, 3, 4, 5]\n')
    script = f"exec {shlex.quote(sys.executable)} -m cloudboot_fleet run m.toml --workers 1 {streams}"
    assert subprocess.run(["sh", "-c", script], cwd=tmp_path, check=False).returncode == code
    assert len((tmp_path / "m.fleet" / "journal.jsonl").read_text().splitlines()) == 5
    assert "5 of 5" in (tmp_path / "m.fleet" / "report.html").read_text()


def test_what_passed_at_its_second_attempt_says_so(tmp_path: Path) -> None:
    history = [{"attempt": 1, "status": "lost", "worker": "tcp://[::1]:1", "cause": "the \x1bworker <died>"}]
    result = {"key": "ab", "kind": "nothing", "name": "nothing()", "status": "passed", "seconds": 0.5, "attempt": 2}
    result |= {"index": 0, "block": 0, "axes": {}, "history": history, "reached": "1/1", "cause": None}
    assert cell_line(result, color=False).endswith("nothing()  1/1, attempt 2")
    with CampaignFolder.new(tmp_path / "run") as folder:
        folder.lock("again", "none")
        folder.record(result)
        tally = Tally(total=1)
        tally.add(result)
        matrix = parse('[[cells]]\nkind = "nothing"\n')
        with (tmp_path / "j.xml").open("w", encoding="utf-8") as file:
            write_junit(file, Summary(matrix, tally, folder, 1.0), tmp_path)
    (case,) = ET.parse(tmp_path / "j.xml").getroot()[0]
    assert [each.tag for each in case] == ["system-out"]
    assert case[0].text == "1: lost tcp://[::1]:1: the \ufffdworker <died>"
