"""Kernels as layers of an artifact, started from memory: memtest86+, GRUB and Debian's Linux."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from cloudboot_base.testing import FOREIGN, judge, judge_file, run
from cloudboot_oci_stream import fetch_kernel, push_kernel
from cloudboot_oci_stream.errors import DigestMismatchError, NotAnImageError
from cloudboot_probes.cli.dispatch import run as cloudboot
from cloudboot_uefi_host.programs import standin
from cloudboot_uefi_host.testing import grub_loader


@pytest.fixture
def memtest() -> Path:
    """An EFI program that takes the machine over at once, and reads no RAM disk."""
    return judge_file(FOREIGN / "boot/memtest86+x64.efi", "memtest86+")


def probed(reference: str, folder: Path, code: int, *options: str) -> dict[str, dict[str, object]]:
    """The gates of a probe, which ends with the exit code ``code``."""
    record = folder / "record.json"
    words = ["probe", "linux", reference, "--firmware", "hosted", "--record", str(record), *options]
    assert cloudboot(words) == code
    return {gate["gate"]: gate for gate in json.loads(record.read_text())["gates"]}


def failure(gate: dict[str, object]) -> str:
    """Why a gate failed."""
    error = gate["error"]
    assert isinstance(error, dict)
    return str(error["message"])


def test_a_kernel_is_started_from_memory_until_it_takes_the_machine_over(memtest: Path, tmp_path: Path) -> None:
    reference, report = f"oci:{tmp_path / 'store'}:memtest", tmp_path / "report.html"
    assert cloudboot(["push", reference, "--kernel", str(memtest), "--cmdline", "nosmp nopause"]) == 0
    gates = probed(reference, tmp_path, 0, "--report", str(report))
    verdicts = {name: gate["verdict"] for name, gate in gates.items()}
    assert [name for name, verdict in verdicts.items() if verdict == "pass"] == [
        "resolve", "fetch", "verify", "header", "load-image", "start-image"
    ]  # fmt: skip
    assert set(verdicts.values()) == {"pass", "not-applicable"}
    evidence = gates["load-image"]["evidence"]
    assert isinstance(evidence, dict)
    assert evidence["load_options"] == "nosmp nopause"
    assert "boot-services-exited" in json.dumps(gates["start-image"])
    assert "a kernel of its own" in report.read_text()


def test_a_kernel_is_pulled_into_the_files_that_were_pushed(memtest: Path, tmp_path: Path) -> None:
    initrd, layout, output = tmp_path / "initrd", tmp_path / "store", tmp_path / "kernel"
    initrd.write_bytes(b"070701" + bytes(9000) + b"end")
    reference, line = f"oci:{layout}:linux", "console=ttyS0 quiet"
    words = ["push", reference, "--kernel", str(memtest), "--initrd", str(initrd), "--cmdline", line]
    assert cloudboot(words) == 0
    assert cloudboot(["pull", reference, "-o", str(output)]) == 0
    pulled = {suffix: tmp_path / f"kernel{suffix}" for suffix in ("", ".initrd", ".cmdline")}
    wanted = {"": memtest.read_bytes(), ".initrd": initrd.read_bytes(), ".cmdline": line.encode()}
    assert {suffix: path.read_bytes() for suffix, path in pulled.items()} == wanted
    # The layers are what ORAS fetches from the same folder.
    oras = judge("oras", "oras")
    manifest = json.loads(run(oras, "manifest", "fetch", "--oci-layout", f"{layout}:linux"))
    for layer, content in zip(manifest["layers"], wanted.values(), strict=True):
        blob = tmp_path / "blob"
        run(oras, "blob", "fetch", "--oci-layout", "--output", blob, f"{layout}@{layer['digest']}")
        assert blob.read_bytes() == content
    assert cloudboot(["pull", reference, "-o", str(output)]) == 5, "the files are there"
    initrd.write_bytes(b"other")
    assert cloudboot(["push", reference, "--kernel", str(memtest), "--initrd", str(initrd)]) == 0
    pulled[".cmdline"].unlink()
    pulled[""].unlink()
    assert cloudboot(["pull", reference, "-o", str(output)]) == 5
    assert not pulled[""].exists(), "one file that is there keeps all of them from being written"
    assert cloudboot(["pull", reference, "-o", str(output), "--force"]) == 0
    assert pulled[".initrd"].read_bytes() == b"other"
    assert not pulled[".cmdline"].exists()


def test_a_kernel_that_leaves_its_ram_disk_alone_fails(memtest: Path, tmp_path: Path) -> None:
    initrd, reference = tmp_path / "initrd", f"oci:{tmp_path / 'store'}:memtest"
    initrd.write_bytes(b"070701" + bytes(1000))
    assert cloudboot(["push", reference, "--kernel", str(memtest), "--initrd", str(initrd)]) == 0
    gates = probed(reference, tmp_path, 1)
    assert failure(gates["start-image"]) == "the kernel did not load its initial RAM disk"


def test_a_program_that_stays_in_the_firmware_fails(tmp_path: Path) -> None:
    kernel, reference = tmp_path / "grub.efi", f"oci:{tmp_path / 'store'}:grub"
    kernel.write_bytes(grub_loader("amd64", tmp_path, "echo hello from GRUB\n"))
    assert cloudboot(["push", reference, "--kernel", str(kernel)]) == 0
    gates = probed(reference, tmp_path, 1)
    assert failure(gates["start-image"]) == "the kernel did not take the machine over"
    assert "hello from GRUB" in json.dumps(gates["start-image"]["evidence"])


@pytest.mark.slow
def test_debians_kernel_loads_its_ram_disk_and_calls_exit_boot_services(tmp_path: Path) -> None:
    kernel = judge_file(FOREIGN / "boot/vmlinuz-cloud-amd64", "linux-image-cloud-amd64")
    initrd, reference = tmp_path / "initrd", f"oci:{tmp_path / 'store'}:linux"
    initrd.write_bytes(bytes(range(256)) * 4096)
    words = ["push", reference, "--kernel", str(kernel), "--initrd", str(initrd), "--cmdline", "console=ttyS0 quiet"]
    assert cloudboot(words) == 0
    gates = probed(reference, tmp_path, 0)
    evidence = gates["start-image"]["evidence"]
    assert isinstance(evidence, dict)
    assert (evidence["ending"], evidence["initrd_loaded"]) == ("boot-services-exited", 1)


def test_the_artifact_is_what_oras_sees(memtest: Path, tmp_path: Path) -> None:
    """The layers have the documented media types and the files' bytes, as another client reads them."""
    initrd = tmp_path / "initrd"
    initrd.write_bytes(b"ram disk")
    push_kernel(memtest, f"oci:{tmp_path / 'store'}:k", initrd=initrd, cmdline="root=/dev/vda quiet é")
    place = f"{tmp_path / 'store'}:k"
    manifest = json.loads(run(judge("oras", "oras"), "manifest", "fetch", "--oci-layout", place))
    assert manifest["artifactType"] == "application/vnd.cloud-boot.kernel.v1"
    assert manifest["config"]["mediaType"] == "application/vnd.cloud-boot.kernel.config.v1+json"
    assert [layer["mediaType"].removeprefix("application/vnd.cloud-boot.") for layer in manifest["layers"]] == [
        "kernel.efi.v1", "initrd.v1", "cmdline.v1"
    ]  # fmt: skip
    wanted = [memtest.read_bytes(), initrd.read_bytes(), "root=/dev/vda quiet é".encode()]
    assert [layer["digest"] for layer in manifest["layers"]] == [
        "sha256:" + hashlib.sha256(data).hexdigest() for data in wanted
    ]
    config = json.loads(run("oras", "manifest", "fetch-config", "--oci-layout", place))
    assert config == {"architecture": "amd64", "os": "linux"}


def test_what_is_fetched_is_what_was_pushed(memtest: Path, tmp_path: Path) -> None:
    reference = f"oci:{tmp_path / 'store'}:k"
    first = push_kernel(memtest, reference, cmdline="")
    assert push_kernel(memtest, reference, cmdline="") == first
    with fetch_kernel(reference) as kernel:
        assert bytes(kernel.kernel) == memtest.read_bytes()
        assert (kernel.initrd, kernel.cmdline, kernel.architecture) == (None, "", "amd64")


def test_a_changed_layer_is_refused(memtest: Path, tmp_path: Path) -> None:
    reference = f"oci:{tmp_path / 'store'}:k"
    push_kernel(memtest, reference)
    blob = tmp_path / "store/blobs/sha256" / hashlib.sha256(memtest.read_bytes()).hexdigest()
    data = bytearray(blob.read_bytes())
    data[5000] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(data)
    with pytest.raises(DigestMismatchError):
        fetch_kernel(reference)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["store:x"], "there is nothing to push"),
        (["store:x", "--initrd", "FILE"], "there is nothing to push"),
        (["FILE", "store:x", "--kernel", "FILE"], "not both"),
        (["FILE", "store:x", "--cmdline", "quiet"], "no --kernel"),
    ],
)
def test_wrong_ways_to_push(words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(1024))
    real = [word.replace("FILE", str(file)).replace("store:", f"oci:{tmp_path}/store:") for word in words]
    assert cloudboot(["push", *real]) == 2
    assert told in capsys.readouterr().err


def test_a_kernel_for_another_machine_says_so(tmp_path: Path) -> None:
    reference, kernel = f"oci:{tmp_path / 'store'}:arm", tmp_path / "kernel"
    kernel.write_bytes(standin("arm64"))
    assert cloudboot(["push", reference, "--kernel", str(kernel)]) == 0
    gates = probed(reference, tmp_path, 1)
    assert failure(gates["header"]) == "the artifact is for arm64, the machine is amd64"


@pytest.mark.parametrize("firmware", ["qemu", "ovmf"])
def test_another_firmware_has_no_disk_to_boot_from(firmware: str, memtest: Path, tmp_path: Path) -> None:
    reference, record = f"oci:{tmp_path / 'store'}:k", tmp_path / "record.json"
    push_kernel(memtest, reference)
    assert cloudboot(["probe", "linux", reference, "--firmware", firmware, "--record", str(record)]) == 1
    gates = {gate["gate"]: gate for gate in json.loads(record.read_text())["gates"]}
    assert "no disk to boot" in failure(gates["publish-block-io"])


def test_an_artifact_with_other_layers_is_no_kernel(memtest: Path, tmp_path: Path) -> None:
    reference = f"oci:{tmp_path / 'store'}:k"
    push_kernel(memtest, reference)
    text = run(judge("oras", "oras"), "manifest", "fetch", "--oci-layout", f"{tmp_path / 'store'}:k")
    manifest = json.loads(text)
    manifest["layers"].append(manifest["layers"][0])
    changed = tmp_path / "manifest.json"
    changed.write_text(json.dumps(manifest))
    run("oras", "manifest", "push", "--oci-layout", f"{tmp_path / 'store'}:twice", changed)
    with pytest.raises(NotAnImageError, match="no such layer, or not twice"):
        fetch_kernel(f"oci:{tmp_path / 'store'}:twice")
