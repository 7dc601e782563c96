"""SLURM and Kubernetes: Dask's own cluster objects, made from the ``[cluster]`` table of a matrix.

Both reach over a network, so both need TLS. What would be submitted can be printed without either being there.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

from cloudboot_base import MissingDependencyError
from cloudboot_base.command import printable
from cloudboot_base.parser import suggestion
from cloudboot_fleet.errors import InsecureError, MatrixError
from cloudboot_fleet.worker import SLOT

from .local import CONFIG, has_dashboard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_fleet.matrix import Matrix

    from .security import Tls

#: Keys of ``[cluster]`` by the cluster they are for.
_COMMON = ("workers", "resources", "tls")
_SLURM = (
    "queue", "account", "walltime", "memory", "cores", "interface", "directives", "prologue", "python",
)  # fmt: skip
_KUBERNETES = ("image", "namespace", "secret", "memory", "cpu", "devices")
#: Where HTTP servers of Dask listen. Without an address they do on all interfaces, also without a dashboard.
_LOOPBACK, _SCHEDULER_PAGE = "127.0.0.1:0", "127.0.0.1:8787"
_TLS_FOLDER = "/etc/cloudboot-fleet/tls"


def submission(where: str, matrix: Matrix, tls: Tls | None, workers: int | None) -> str:
    """The job script, or the manifest as JSON (which is YAML), that would be submitted.

    Raises:
        MatrixError: the ``[cluster]`` table has an unknown key or a value of the wrong type, or lacks one.
        InsecureError: there are no certificates.
        MissingDependencyError: the extra is not installed.
    """
    if where == "slurm":
        return job_script(matrix, tls)
    return json.dumps(manifest(matrix, workers), indent=1) + "\n"


def _table(matrix: Matrix, own: tuple[str, ...], where: str) -> dict[str, Any]:
    known = (*_COMMON, *own)
    for key in matrix.cluster:
        if key not in known:
            hint = suggestion(key, known) or f"for {where} there are: {', '.join(known)}"
            raise MatrixError(f"[cluster] has no key {printable(key)}", hint=hint)
    return dict(matrix.cluster)


def _resources(table: dict[str, Any]) -> str:
    return " ".join(f"{name}={amount:g}" for name, amount in {SLOT: 1, **table.get("resources", {})}.items())


def _slurm(matrix: Matrix, tls: Tls | None) -> dict[str, Any]:
    """The arguments of dask-jobqueue's cluster and of its jobs."""
    table = _table(matrix, _SLURM, "slurm")
    if tls is None:
        raise InsecureError(
            "a scheduler for SLURM can be reached from other machines, and there are no certificates",
            hint="give --tls-ca, --tls-certificate and --tls-key, or [cluster.tls], in a folder that all nodes see",
        )
    chosen = {
        "queue": table.get("queue"), "account": table.get("account"), "walltime": table.get("walltime", "01:00:00"),
        "interface": table.get("interface"), "job_extra_directives": table.get("directives", []),
        "job_script_prologue": table.get("prologue", []), "python": table.get("python", sys.executable),
    }  # fmt: skip
    return {
        **{name: value for name, value in chosen.items() if value is not None},
        # One process with one thread for each core: a worker runs one cell at a time.
        "cores": table.get("cores", 1), "processes": table.get("cores", 1), "memory": table.get("memory", "4GiB"),
        "protocol": "tls://", "security": tls.security(), "job_name": f"cloudboot-fleet-{matrix.name}",
        "worker_extra_args": [
            "--resources", shlex.quote(_resources(table)), "--memory-limit", "0", "--dashboard-address", _LOOPBACK,
        ],
    }  # fmt: skip


def job_script(matrix: Matrix, tls: Tls | None) -> str:
    """The script that is handed to ``sbatch`` for each job; the scheduler's address is not known yet."""
    import dask

    job = _slurm_module().SLURMJob
    arguments = _slurm(matrix, tls)
    arguments.pop("interface", None)
    with dask.config.set(CONFIG):
        script: str = job(scheduler="tls://SCHEDULER:PORT", name="worker", **arguments).job_script()
    return script.rstrip() + "\n"


def _slurm_module() -> Any:
    try:
        from dask_jobqueue import slurm
    except ImportError:
        raise MissingDependencyError(
            "dask-jobqueue is not installed", hint="pip install 'cloudboot-fleet[slurm]'"
        ) from None
    return slurm


def _kubernetes_module() -> Any:
    try:
        from dask_kubernetes import operator
    except ImportError:
        raise MissingDependencyError(
            "dask-kubernetes is not installed", hint="pip install 'cloudboot-fleet[kubernetes]'"
        ) from None
    return operator


def manifest(matrix: Matrix, workers: int | None = None) -> dict[str, Any]:
    """The ``DaskCluster`` object for the operator of dask-kubernetes.

    The secret named by ``secret`` (``ca.crt``, ``tls.crt``, ``tls.key``) is mounted on both sides.
    """
    table = _table(matrix, _KUBERNETES, "kubernetes")
    for name in ("image", "secret"):
        if name not in table:
            raise MatrixError(
                f"[cluster] has no {name}",
                hint="image is what runs, secret has the certificates for a port that is open to the whole cluster",
            )
    spec: dict[str, Any] = _kubernetes_module().make_cluster_spec(
        name=f"cloudboot-fleet-{matrix.name}".replace("_", "-").replace(".", "-"),
        image=table["image"],
        n_workers=workers or table.get("workers", 1),
        resources={"requests": _amounts(table), "limits": _amounts(table)},
        worker_command=["cloudboot-fleet-worker"],
    )
    spec["metadata"]["namespace"] = table.get("namespace", "default")
    worker = spec["spec"]["worker"]["spec"]
    scheduler = spec["spec"]["scheduler"]["spec"]
    worker["containers"][0]["args"] = [
        "dask", "worker", "--nthreads", "1", "--memory-limit", "0", "--protocol", "tls",
        "--name", "$(DASK_WORKER_NAME)", "--resources", _resources(table), "--dashboard-address", _LOOPBACK,
    ]  # fmt: skip
    # Inside a pod every interface is the pod's own.
    everywhere = "0.0.0.0"  # noqa: S104 -- workers on other machines connect, with TLS
    scheduler["containers"][0]["args"] = [
        "dask",
        "scheduler",
        "--protocol",
        "tls",
        "--host",
        everywhere,
        "--dashboard-address",
        _SCHEDULER_PAGE,
    ]
    # The operator's own probes ask the page, which only the pod itself reaches; "kubectl port-forward" leads to it.
    alive = {"tcpSocket": {"port": "tcp-comm"}, "initialDelaySeconds": 5, "periodSeconds": 10}
    scheduler["containers"][0] |= {"readinessProbe": alive, "livenessProbe": {**alive, "initialDelaySeconds": 15}}
    for pod in (worker, scheduler):
        container = pod["containers"][0]
        container.pop("command", None)
        container["env"] = [*(container.get("env") or []), *_environment()]
        container["volumeMounts"] = [{"name": "tls", "mountPath": _TLS_FOLDER, "readOnly": True}]
        pod["volumes"] = [{"name": "tls", "secret": {"secretName": table["secret"], "defaultMode": 0o400}}]
    return spec


def _amounts(table: dict[str, Any]) -> dict[str, str]:
    devices = {str(name): str(amount) for name, amount in table.get("devices", {}).items()}
    return {"memory": table.get("memory", "4Gi"), "cpu": table.get("cpu", "1"), **devices}


def _environment() -> list[dict[str, str]]:
    """Dask's configuration: TLS with certificates of both sides, and one death of a worker is one attempt."""
    values = {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": f"{_TLS_FOLDER}/ca.crt",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    }
    for side in ("SCHEDULER", "WORKER", "CLIENT"):
        values[f"DASK_DISTRIBUTED__COMM__TLS__{side}__CERT"] = f"{_TLS_FOLDER}/tls.crt"
        values[f"DASK_DISTRIBUTED__COMM__TLS__{side}__KEY"] = f"{_TLS_FOLDER}/tls.key"
    return [{"name": name, "value": value} for name, value in values.items()]


@contextlib.contextmanager
def batch_cluster(where: str, matrix: Matrix, tls: Tls | None, workers: int | None) -> Iterator[Any]:
    """The cluster, with its jobs or pods submitted.

    Raises:
        ClusterError: it refuses them.
    """
    import dask

    with dask.config.set(CONFIG):
        if where == "slurm":
            page = {"dashboard_address": _LOOPBACK, "dashboard": has_dashboard()}
            cluster = _slurm_module().SLURMCluster(**_slurm(matrix, tls), scheduler_options=page)
            cluster.scale(jobs=workers or matrix.cluster.get("workers", 1))
        else:
            security = tls.security() if tls is not None else None
            cluster = _kubernetes_module().KubeCluster(custom_cluster_spec=manifest(matrix, workers), security=security)
        with cluster:
            yield cluster
