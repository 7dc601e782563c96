"""The command as people run it: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.metadata
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_oci_stream.testing import docker_registry
from cloudboot_probes.cli import main
from cloudboot_probes.cli.completion import candidates
from cloudboot_probes.describe import opened

FORCE = {"qcow2": "cluster_size=64k", "vpc": "force_size=on"}


TERMINAL = {"COLUMNS": "120", "NO_COLOR": "1"}


def cloudboot(*arguments: str | Path, code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which takes a tenth of the time of one of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in TERMINAL.items():
            patch.setenv(name, value)
        done = subprocess.CompletedProcess(arguments, *within(cwd or Path.cwd(), [str(word) for word in arguments]))
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done


def alone(*arguments: str | Path) -> str:
    """What the command prints in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cloudboot_probes", *arguments],
        stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **TERMINAL},
    ).stdout  # fmt: skip


def within(folder: Path, arguments: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command, run in this process."""
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.raises(SystemExit) as caught,
    ):
        main(arguments)
    code = caught.value.code
    assert isinstance(code, int)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image too small to boot anything, large enough to be one."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "root" / "boot").mkdir(parents=True)
    (folder / "root" / "boot" / "kernel").write_bytes(b"kernel" * 1000)
    (folder / "loader.efi").write_bytes(b"MZ" + bytes(1000))
    cloudboot("image", "build", "custom", "-o", "disk.img", "--loader", "loader.efi", "--root", "root", cwd=folder)
    return folder / "disk.img"


def test_help_names_every_command_and_exit_code() -> None:
    text = alone("--help")
    for word in (
        "copy",
        "image",
        "inspect",
        "login",
        "logout",
        "push",
        "pull",
        "probe",
        "sign",
        "verify",
        "exit codes:",
        " 12  A machine could not be started.",
    ):
        assert word in text
    assert cloudboot("--version").stdout.startswith("cloudboot 0.")


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_bytes(b"x" * 5000)
    flags = ("--root", "root", "--block-size", "8K", "--esp-size", "2M", "--dry-run")
    text = cloudboot("image", "build", "custom", *flags, cwd=tmp_path).stdout
    assert "would write disk.img" in text
    assert "/file" in text
    plan = json.loads(cloudboot("image", "build", "custom", *flags, "--json", cwd=tmp_path).stdout)
    assert plan["root"] == {"/": None, "/file": 5000}
    assert [part["first_lba"] for part in plan["partitions"]] == [64, 6144]
    assert os.listdir(tmp_path) == ["root"]


def test_an_image_is_not_overwritten_unless_told(small: Path) -> None:
    before = small.read_bytes()
    arguments = ("image", "build", "custom", "-o", small, "--root", small.parent / "root")
    refused = cloudboot(*arguments, code=5)
    assert "--force" in refused.stderr
    assert small.read_bytes() == before
    cloudboot("image", "build", "custom", "-o", small.with_name("two.img"), "--root", small.parent / "root")
    cloudboot("image", "build", "custom", "-o", small.with_name("two.img"), "--root", small.parent / "root", "--force")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("image", "build", "none.toml"), 2, "cannot read the recipe none.toml"),
        (("image", "build", "custom", "--root", "nowhere"), 2, "nowhere does not exist"),
        (("image", "build", "custom", "--block-size", "5K", "--root", "."), 2, "power of two"),
        (("image", "build", "custom", "--block-size", "big"), 2, "is not a size"),
        (("image", "build", "custom", "--esp-file", "a=b"), 2, "is not /PATH=FILE"),
        (("image", "inspect", "nothing-here"), 2, "no registry is named"),
        (("push", "missing.img", "oci:layout:v1"), 2, "missing.img"),
        (("pull", "oci:no-layout:v1"), 3, "no-layout"),
        (("copy", "oci:no-layout:v1", "oci:other:v1"), 3, "no-layout"),
        (("inspect", "127.0.0.1:1/a/b:v1"), 10, "127.0.0.1:1"),
        (("pull", "127.0.0.1:1/a/b:v1"), 10, "127.0.0.1:1"),
        (("probe", "plan9", "oci:x:v1"), 2, "no operating system is called"),
    ],
)
def test_mistakes_give_one_line_and_their_code(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    done = cloudboot(*arguments, code=code, cwd=tmp_path)
    assert words in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "disk.img").exists()


@pytest.mark.parametrize("kind", ["qcow2", "vpc", "gz", "xz"])
def test_inspect_reads_containers_as_it_reads_raw_disks(small: Path, kind: str, tmp_path: Path) -> None:
    target = tmp_path / f"disk.{kind}"
    if kind in ("qcow2", "vpc"):
        run(judge("qemu-img", "qemu-utils"), "convert", "-O", kind, "-o", FORCE[kind], small, target)
    else:
        data = small.read_bytes()
        target.write_bytes(gzip.compress(data) if kind == "gz" else lzma.compress(data))
    raw = json.loads(cloudboot("image", "inspect", small, "--json").stdout)
    assert json.loads(cloudboot("image", "inspect", target, "--json").stdout) == raw
    cut = tmp_path / "cut"
    cut.write_bytes(target.read_bytes()[: target.stat().st_size // 2])
    assert "error: " in cloudboot("image", "inspect", cut, code=3).stderr


def test_inspect_shows_partitions_and_files_and_finds_damage(small: Path, tmp_path: Path) -> None:
    text = cloudboot("image", "inspect", small).stdout
    for word in ("freebsd-ufs", "34816", "/boot/kernel", "/EFI/BOOT/BOOTX64.EFI", "no defect found"):
        assert word in text
    facts = json.loads(cloudboot("image", "inspect", small, "--json").stdout)
    assert facts["findings"] == []
    data = bytearray(small.read_bytes())
    group = data.find((0x90255).to_bytes(4, "little"), 34816 * 512) - 4  # cg_magic of the first cylinder group
    data[group + 32] ^= 1  # cg_cs.cs_nifree
    broken = tmp_path / "broken.img"
    broken.write_bytes(data)
    found = cloudboot("image", "inspect", broken, code=1)
    assert "defect" in found.stdout
    assert json.loads(cloudboot("image", "inspect", broken, "--json", code=1).stdout)["findings"]
    data[34816 * 512 + 65536 + 1372] ^= 1  # fs_magic
    broken.write_bytes(data)
    text = cloudboot("image", "inspect", broken, code=1).stdout
    assert "fs_magic" in text
    assert "/EFI/BOOT/BOOTX64.EFI" in text


@pytest.mark.parametrize("place", ["folder", "registry"])
def test_push_and_pull_give_the_same_bytes(small: Path, tmp_path: Path, place: str) -> None:
    with docker_registry() as server:
        reference = f"oci:{tmp_path / 'layout'}:v1" if place == "folder" else f"{server.host}/team/disk:v1"
        pushed = json.loads(cloudboot("push", small, reference, "--json").stdout)
        again = cloudboot("push", small, reference).stdout
        assert again.strip().endswith(pushed["digest"])
        pulled = json.loads(cloudboot("pull", reference, "-o", tmp_path / "back.img", "--json").stdout)
        assert pulled["digest"] == "sha256:" + hashlib.sha256(small.read_bytes()).hexdigest()
        assert (tmp_path / "back.img").read_bytes() == small.read_bytes()
        assert "no defect found" in cloudboot("image", "inspect", reference).stdout
        refused = cloudboot("pull", reference, "-o", tmp_path / "back.img", code=5)
        assert "--force" in refused.stderr
        copied = json.loads(cloudboot("copy", reference, f"oci:{tmp_path / 'copy'}:v2", "--json").stdout)
        assert copied["digest"] == pushed["digest"]
        assert copied["sent"] == small.stat().st_size + 2
        assert "0 bytes sent" in cloudboot("copy", reference, f"oci:{tmp_path / 'copy'}:v2").stdout
        described = json.loads(cloudboot("inspect", f"oci:{tmp_path / 'copy'}:v2", "--json").stdout)
        assert (described["manifest"], described["layer"]["digest"]) == (pushed["digest"], pulled["digest"])
        assert pulled["digest"] in cloudboot("inspect", reference).stdout


def test_a_flipped_bit_is_never_pulled(small: Path, tmp_path: Path) -> None:
    reference = f"oci:{tmp_path / 'layout'}:v1"
    cloudboot("push", small, reference)
    digest = hashlib.sha256(small.read_bytes()).hexdigest()
    blob = tmp_path / "layout" / "blobs" / "sha256" / digest
    blob.chmod(0o644)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    refused = cloudboot("pull", reference, "-o", tmp_path / "back.img", code=3)
    assert digest in refused.stderr
    assert not (tmp_path / "back.img").exists()
    gates = probe_gates(reference)
    assert [gate["verdict"] for gate in gates[:4]] == ["pass", "pass", "fail", "not-reached"]
    facts = gates[2]["error"]
    assert isinstance(facts, dict)
    assert facts["error"] == "DigestMismatchError"


def probe_gates(reference: str, code: int = 1) -> list[dict[str, object]]:
    lines = cloudboot("probe", "linux", reference, "--json", code=code).stdout.splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda data: data.__setitem__(510, 0), "MBRSignatureError"),
        (lambda data: data.__setitem__(512 + 16, data[512 + 16] ^ 1), "HeaderChecksumError"),
        (lambda data: data.__setitem__(-512, 0), "MissingBackupError"),
        (lambda data: data.__setitem__(slice(64 * 512, 65 * 512), bytes(512)), "BootSectorError"),
        (lambda data: data.__setitem__(data.find(b"MZ", 64 * 512) + 500, 1), "GateFailedError"),
    ],
)
def test_a_damaged_header_stops_the_probe_before_any_machine(
    small: Path, tmp_path: Path, damage: object, error: str
) -> None:
    data = bytearray(small.read_bytes())
    assert callable(damage)
    damage(data)
    broken = tmp_path / "broken.img"
    broken.write_bytes(data)
    reference = f"oci:{tmp_path / 'layout'}:v1"
    cloudboot("push", broken, reference)
    gates = probe_gates(reference)
    assert len(gates) == 13
    assert [gate["verdict"] for gate in gates] == ["pass"] * 3 + ["fail"] + ["not-reached"] * 9
    assert {gate.get("reason") for gate in gates[4:]} == {"the gate header failed"}
    facts = gates[3]["error"]
    assert isinstance(facts, dict)
    assert facts["error"] == error


def test_a_failed_probe_still_writes_its_reports(small: Path, tmp_path: Path) -> None:
    report, junit = tmp_path / "report.html", tmp_path / "junit.xml"
    done = cloudboot("probe", "linux", f"oci:{tmp_path}/none:v1", "--report", report, "--junit", junit, code=1)
    assert "FAIL resolve" in done.stdout
    assert "0 of 13 gates passed" in done.stdout
    assert "0 of 13 gates" in report.read_text()
    assert 'failures="1"' in junit.read_text()


def with_manifest(image: Path, target: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of the image with another manifest on its ESP; everything else stays sound."""
    shutil.copy(image, target)
    with opened(str(image)) as disk:
        document = json.loads(disk.esp.read_file("/EFI/cloudboot/manifest.json"))
        offset = disk.esp_partition.offset
    changed = change(document)
    data = changed if isinstance(changed, bytes) else json.dumps(document).encode()
    (target.parent / "manifest.json").write_bytes(data)
    run(judge("mcopy", "mtools"), "-D", "o", "-i", f"{target}@@{offset}", target.parent / "manifest.json",
        "::/EFI/cloudboot/manifest.json")  # fmt: skip
    return target


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["root"][0].__setitem__("mode", "abc"),
        lambda document: document["esp"]["/EFI/BOOT/BOOTX64.EFI"].__setitem__("size", float("inf")),
        lambda document: document.__setitem__("sources", [{"version": "1"}]),
        lambda document: document.__setitem__("system", "\ud800"),
        lambda document: document.__setitem__("schema", True),
        lambda document: document.__setitem__("root", {}),
        lambda document: b"\xff\xfe",
        lambda document: b"[" * 200_000,
        lambda document: b"",
    ],
)
def test_a_malformed_manifest_fails_the_header_gate(
    small: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    bad = with_manifest(small, tmp_path / "bad.img", change)
    refused = cloudboot("image", "inspect", bad, code=3)
    assert "manifest" in refused.stderr
    facts = json.loads(cloudboot("image", "inspect", bad, "--json", code=3).stdout)
    assert (facts["error"], facts["exit_code"]) == ("ManifestError", 3)
    reference = f"oci:{tmp_path / 'layout'}:v1"
    cloudboot("push", bad, reference)
    report, junit = tmp_path / "report.html", tmp_path / "junit.xml"
    done = cloudboot("probe", "linux", reference, "--json", "--report", report, "--junit", junit, code=1)
    gates = [json.loads(line) for line in done.stdout.splitlines()]
    assert [gate["verdict"] for gate in gates[:5]] == ["pass", "pass", "pass", "fail", "not-reached"]
    assert gates[3]["error"]["error"] == "ManifestError"
    assert 'failures="1"' in junit.read_text()
    assert "ManifestError" in report.read_text()


@pytest.mark.parametrize(
    "words",
    [
        ("probe", "linux", "oci:x:v1", "--policy"),
        ("probe", "linux", "oci:x:v1", "--auth-file"),
        ("image", "build", "custom", "--loader"),
        ("image", "build", "linux", "--kernel"),
        ("image", "build", "linux", "--initrd"),
        ("image", "build", "custom", "--root"),
        ("image", "build"),
        ("image", "inspect"),
        ("push", "oci:x:v1"),
        ("pull", "oci:x:v1", "--ca-file"),
        ("sign", "oci:x:v1", "--key"),
        ("verify", "oci:x:v1", "--key"),
    ],
)
def test_a_path_that_is_no_file_is_refused_at_once(tmp_path: Path, words: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path / "folder"):
        if path.name == "folder" and words[-1] == "--root":
            continue
        arguments = ["push", str(path), "oci:x:v1"] if words[0] == "push" else [*words, str(path)]
        code, out, err = within(tmp_path, arguments)
        assert code in {2, 5}, err
        assert str(path) in err
        assert out == ""
        assert not (tmp_path / "disk.img").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("probe", "linux", "x", "--timeout", "0"), "seconds"),
        (("probe", "linux", "x", "--timeout", "nan"), "seconds"),
        (("probe", "linux", "x", "--timeout", "inf"), "seconds"),
        (("probe", "linux", "x", "--timeout", "\u0663\u0660"), "seconds"),
        (("probe", "linux", "x", "--memory", "0"), "memory"),
        (("probe", "linux", "x", "--memory", "999999T"), "memory"),
        (("probe", "linux", "x", "--memory", "\u0661G"), "is not a size"),
        (("probe", "linux", "x", "--accelerator", "hvf"), "--accelerator"),
        (("probe", "linux", "x", "--firmware", "quemu"), "did you mean qemu?"),
        (("probe", "linus", "x"), "did you mean linux?"),
        (("probe", "linux", "x", "--reprot", "y"), "did you mean --report?"),
        (("prob", "linux", "x"), "did you mean probe?"),
        (("image", "biuld"), "did you mean build?"),
        (("probe",), "SYSTEM"),
        (("image", "build", "--timestamp", "99999999999999"), "between 1970 and 2107"),
        (("image", "build", "--timestamp", "\u0661"), "whole number"),
        (("image", "build", "--root-free", "-1"), "percent"),
        (("image", "build", "linx"), "did you mean linux?"),
        (("probe", "linux", "x", "--report", "r", "--junit", "./r"), "same file"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_way_out(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    code, out, err = within(tmp_path, arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "\ncloudboot: hint: " in err or "same file" in words
    code, out, _ = within(tmp_path, [*arguments, "--json"])
    assert json.loads(out)["exit_code"] == code == 2
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("option", ["--report", "--junit", "--console", "--record"])
def test_an_output_that_cannot_be_written_fails_before_the_boot(small: Path, tmp_path: Path, option: str) -> None:
    reference = f"oci:{tmp_path / 'layout'}:v1"
    cloudboot("push", small, reference)
    for path in (tmp_path / "none" / "out", tmp_path):
        done = cloudboot("probe", "linux", reference, option, path, code=5)
        assert str(path.parent if path.name == "out" else path) in done.stderr
        assert "resolve" not in done.stdout


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ('system = "linus"', "did you mean linux?"),
        ('architecture = "amd46"', "did you mean amd64?"),
        ('[esp.files]\n"/efi/CloudBoot/manifest.json" = "loader.efi"', "manifest goes"),
        ('system = "linux"\n[root.files]\n"boot/vmlinuz" = "loader.efi"', "made by the linux system"),
        ("timestamp = -1", "between 1970 and 2107"),
        ('[root]\nfree = "lots"', "percentage"),
        ('[root]\nlable = "x"', "did you mean label?"),
    ],
)
def test_recipes_are_checked_before_anything_is_built(tmp_path: Path, recipe: str, words: str) -> None:
    (tmp_path / "loader.efi").write_bytes(b"MZ")
    (tmp_path / "mine.toml").write_text(recipe)
    code, _, err = within(tmp_path, ["image", "build", "mine.toml"])
    assert code == 2
    assert words in err
    assert not (tmp_path / "disk.img").exists()


def test_a_root_has_free_room_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with (tmp_path / "root" / "file").open("wb") as file:
        file.write(os.urandom(40 << 20))
    sizes = []
    for flags in (("--root-free", "0"), (), ("--root-free", "50%")):
        done = cloudboot("image", "build", "custom", "--root", "root", *flags, "--json", "--dry-run", cwd=tmp_path)
        sizes.append(json.loads(done.stdout)["partitions"][1]["size"])
    assert sizes[0] * 1.04 < sizes[1] < sizes[0] * 1.08
    assert sizes[0] * 1.48 < sizes[2] < sizes[0] * 1.54


def test_warnings_name_what_will_not_boot(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "loader.efi").write_bytes(b"MZ" + bytes(1000))
    done = cloudboot("image", "build", "custom", "--root", "root", "-o", "none.img", cwd=tmp_path)
    assert "warning: the ESP has no /EFI/BOOT/BOOTX64.EFI" in done.stderr
    done = cloudboot("image", "build", "custom", "--root", "root", "--loader", "loader.efi", cwd=tmp_path)
    assert "warning: /EFI/BOOT/BOOTX64.EFI is no EFI program" in done.stderr
    assert "is no EFI program" in cloudboot("image", "inspect", "disk.img", cwd=tmp_path).stderr
    (tmp_path / "noise").write_bytes(b"noise" * 1000)
    run(judge("qemu-img", "qemu-utils"), "convert", "-O", "qcow2", tmp_path / "disk.img", tmp_path / "disk.qcow2")
    for name, words in (("noise", "no disk image"), ("disk.qcow2", "is a qcow2 image"), ("disk.img", "")):
        done = cloudboot("push", name, "oci:store:v1", cwd=tmp_path)
        assert words in done.stderr
        assert ("warning" in done.stderr) is bool(words)


@pytest.mark.parametrize("words", [("devices",), ("record", "gpu", "-o", "x"), ("bench",)])
def test_commands_of_an_extra_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    """What a newcomer sees who installed cloudboot-probes alone."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "cloudboot_virtio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cloudboot_virtio", None)
    done = cloudboot("virtio", *words, code=5, cwd=tmp_path)
    assert "hint: pip install 'cloudboot-probes[virtio]'" in done.stderr


def test_the_fleet_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: ())
    done = cloudboot("fleet", "run", "matrix.toml", code=2)
    assert "hint: pip install 'cloudboot-probes[fleet]'" in done.stderr


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_paths_may_follow_two_dashes(small: Path, tmp_path: Path, behind: int) -> None:
    words = [str(small), f"oci:{tmp_path}/store:v1"]
    cloudboot("push", *words[:behind], "--", *words[behind:])
    (tmp_path / "-disk.img").write_bytes(small.read_bytes())
    cloudboot("push", "--", "-disk.img", f"oci:{tmp_path}/store:v2", cwd=tmp_path)


def test_packages_that_cannot_be_kept_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    judge("apt-get", "apt")
    done = cloudboot("image", "build", "linux", "-o", tmp_path / "disk.img", code=5)
    assert f"the folder of fetched packages cannot be used: {tmp_path}/file" in done.stderr
    assert "hint: XDG_CACHE_HOME can name another folder" in done.stderr
    assert "fetching" not in done.stderr


def test_completion_offers_commands_options_and_values(tmp_path: Path) -> None:
    for words, offered in (
        (["p"], ["probe", "pull", "push"]),
        (["log"], ["login", "logout"]),
        (["login", "--pass"], ["--password-stdin"]),
        (["image", ""], ["boot-entries", "build", "inspect"]),
        (["probe", "l"], ["linux"]),
        (["probe", "linux", "oci:x", "--rep"], ["--report"]),
        (["probe", "linux", "oci:x", "--accelerator", ""], ["auto", "kvm", "tcg"]),
        (["probe", "linux", "oci:x", "--report", ""], []),
        (["--completion", ""], ["bash", "fish", "zsh"]),
        (["nonsense", ""], []),
    ):
        assert candidates(words) == offered
    _, script, _ = within(tmp_path, ["--completion", "bash"])
    script += "\nCOMP_WORDS=(cloudboot image bu)\nCOMP_CWORD=2\n_cloudboot\necho ${COMPREPLY[@]}\n"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    assert run(judge("env", "coreutils"), f"PATH={path}", judge("bash", "bash"), "-c", script) == "build\n"


def test_the_manual_page_names_every_command() -> None:
    page = cloudboot("--man-page").stdout
    for name in ("image build", "image inspect", "probe", "sign"):
        assert f".SS {name} " in page
    assert "--root\\-free" in page or "\\-\\-root\\-free" in page
