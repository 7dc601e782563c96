"""What would be submitted to SLURM and Kubernetes, read by the programs that would receive it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # no stubs are pinned
from distributed.cli.dask_scheduler import main as dask_scheduler
from distributed.cli.dask_worker import main as dask_worker

from cloudboot_base.testing import judge
from cloudboot_base.testing import run as judged
from cloudboot_oci_stream.testing import server_certificate
from cloudboot_probes.cli.dispatch import run

CELLS = '\n[[cells]]\nkind = "nothing"\n'
SLURM = (
    '[cluster]\nqueue = "debug"\ncores = 4\nwalltime = "02:00:00"\n'
    'directives = ["--exclusive"]\nresources = {kvm = 1}\n'
)
KUBERNETES = (
    '[cluster]\nimage = "registry.example/fleet:1"\nsecret = "fleet-tls"\nnamespace = "boot"\nworkers = 3\n'
    'devices = {"devices.kubevirt.io/kvm" = 1}\nresources = {kvm = 1}\n'
)


def printed(folder: Path, text: str, where: str, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    (folder / "m.toml").write_text('name = "nightly"\n' + text + CELLS)
    code = run(["fleet", "run", str(folder / "m.toml"), "--scheduler", where, "--dry-run", *more])
    captured = capsys.readouterr()
    return captured.out if code == 0 else f"{code} {captured.err}"


def test_the_job_script_is_one_that_bash_slurm_and_dask_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate, key = server_certificate(tmp_path)
    tls = ["--tls-ca", str(certificate), "--tls-certificate", str(certificate), "--tls-key", str(key)]
    script = printed(tmp_path, SLURM, "slurm", capsys, *tls)
    (tmp_path / "job.sh").write_text(script)
    judged(judge("bash", "bash"), "-n", str(tmp_path / "job.sh"))
    directives = [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]
    assert {"-J cloudboot-fleet-nightly", "-p debug", "-t 02:00:00", "--exclusive", "--cpus-per-task=4"} <= set(
        directives
    )
    words = shlex.split(script.splitlines()[-1])
    assert words[1:3] == ["-m", "distributed.cli.dask_worker"]
    given = dask_worker.make_context("dask-worker", words[3:]).params
    assert given["scheduler"] == "tls://SCHEDULER:PORT"
    assert given["protocol"] == "tls://"
    assert (given["nthreads"], given["n_workers"], given["memory_limit"]) == (1, "4", "0")
    assert given["resources"] == "CELL=1 kvm=1"
    assert (given["tls_ca_file"], given["tls_key"]) == (str(certificate), str(key))


def test_the_manifest_is_one_that_dasks_operator_and_dask_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest: dict[str, Any] = json.loads(printed(tmp_path, KUBERNETES, "kubernetes", capsys))
    _follows(manifest, _schema(), "DaskCluster")
    assert manifest["metadata"] == {"name": "cloudboot-fleet-nightly", "namespace": "boot"}
    assert manifest["spec"]["worker"]["replicas"] == 3
    worker = manifest["spec"]["worker"]["spec"]["containers"][0]
    assert worker["image"] == "registry.example/fleet:1"
    assert worker["resources"]["limits"]["devices.kubevirt.io/kvm"] == "1"
    given = dask_worker.make_context("dask-worker", ["tls://s:1", *worker["args"][2:]]).params
    assert (given["protocol"], given["nthreads"], given["resources"]) == ("tls", 1, "CELL=1 kvm=1")
    scheduler = manifest["spec"]["scheduler"]["spec"]
    assert (
        dask_scheduler.make_context("dask-scheduler", scheduler["containers"][0]["args"][2:]).params["protocol"]
        == "tls"
    )
    for pod in (manifest["spec"]["worker"]["spec"], scheduler):
        container = pod["containers"][0]
        values = {each["name"]: each.get("value") for each in container["env"]}
        assert values["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "True"
        mounted = container["volumeMounts"][0]["mountPath"]
        assert values["DASK_DISTRIBUTED__COMM__TLS__WORKER__KEY"] == f"{mounted}/tls.key"
        assert pod["volumes"][0]["secret"]["secretName"] == "fleet-tls"


def _schema() -> dict[str, Any]:
    """What dask-kubernetes's operator declares of its own objects."""
    import dask_kubernetes

    path = Path(dask_kubernetes.__file__).parent / "operator" / "customresources" / "daskcluster.yaml"
    definition = yaml.safe_load(path.read_text())
    schema: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float),
}  # fmt: skip


def _follows(value: Any, schema: dict[str, Any], where: str) -> None:
    """A structural OpenAPI schema: types, required members, and no members that are not declared."""
    if schema.get("x-kubernetes-int-or-string"):
        assert isinstance(value, int | str), where
        return
    if "type" in schema:
        assert isinstance(value, _TYPES[schema["type"]]), f"{where} is {value!r}"
    for name in schema.get("required", ()):
        assert name in value, f"{where} has no {name}"
    if isinstance(value, list) and "items" in schema:
        for number, each in enumerate(value):
            _follows(each, schema["items"], f"{where}[{number}]")
    if isinstance(value, dict):
        for name, each in value.items():
            known = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if isinstance(known, dict):
                _follows(each, known, f"{where}.{name}")
            elif "properties" in schema and where != "DaskCluster":
                assert schema.get("x-kubernetes-preserve-unknown-fields"), f"{where}.{name} is not declared"


def test_what_cannot_be_submitted_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there are no certificates" in printed(tmp_path, SLURM, "slurm", capsys)
    assert "has no secret" in printed(tmp_path, '[cluster]\nimage = "i"\n', "kubernetes", capsys)
    assert "did you mean queue?" in printed(tmp_path, '[cluster]\nqueu = "i"\n', "slurm", capsys)
    assert "cores is True, not a whole number" in printed(tmp_path, "[cluster]\ncores = true\n", "slurm", capsys)
    assert "1 cell of nightly" in printed(tmp_path, "", "local", capsys)
