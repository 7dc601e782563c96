"""Results as OCI artifacts: the tag is the cell's digest, the one layer an uncompressed tar of its files.

The result itself is in an annotation of the manifest, so that asking for it fetches no layer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudboot_base import UsageError
from cloudboot_fleet.errors import RefusedError, ResultError
from cloudboot_oci_stream import (
    Descriptor,
    LayoutReference,
    RetryPolicy,
    fetch_blob_to_file,
    open_store,
    parse_reference,
)
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.errors import CredentialError, NotFoundError, StatusError, UnauthorizedError
from cloudboot_oci_stream.retry import retrying
from cloudboot_oci_stream.spec.manifest import EMPTY_JSON, MANIFEST_TYPE, build_manifest, parse_manifest
from cloudboot_oci_stream.stores.source import open_source

from .folder import RESULT
from .store import checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudboot_oci_stream import Access, Document, OciError, Store

ARTIFACT_TYPE = "application/vnd.cloudboot.fleet.result.v1"
LAYER_TYPE = "application/vnd.cloudboot.fleet.result.v1.tar"
ANNOTATION = "io.cloudboot.fleet.result"
_LARGEST = 1 << 30
_SHORT = 64 << 10  # bytes of a result that stands in the annotation; the manifest's own limit is 4 MiB


class RegistryResults:
    """Results in a repository of a registry, or in an OCI image layout folder."""

    def __init__(self, reference: str, access: Access | None = None, retry: RetryPolicy | None = None) -> None:
        parsed = parse_reference(reference)
        if parsed.tag is not None or parsed.digest is not None:
            raise UsageError(f"{reference} names one image; results go to a whole repository", hint="leave out the tag")
        self._reference, self._access = parsed, access
        self._retry = retry or RetryPolicy()
        self.is_folder = reference.startswith("oci:")

    @property
    def place(self) -> str:
        """The repository."""
        return str(self._reference)

    def _store(self, key: str) -> Store:
        return open_store(dataclasses.replace(self._reference, tag=key), self._access, self._retry)

    def _manifest(self, key: str) -> Document | None:
        if isinstance(self._reference, LayoutReference) and not Path(self._reference.folder, "index.json").exists():
            return None  # the folder becomes a layout with the first result
        store, deadline = self._store(key), Deadline()
        try:
            return retrying(lambda: store.read_manifest(None, deadline), deadline, self._retry)
        except NotFoundError:
            return None

    def find(self, key: str) -> dict[str, Any] | None:
        """The result of a cell, without long texts of its gates.

        Raises:
            ResultError: the manifest is not one of a result.
            RefusedError: this user may not read there.
            OciError: the registry does not answer.
        """
        with self._refusals(UnauthorizedError, CredentialError):
            document = self._manifest(key)
        if document is None:
            return None
        try:
            result = json.loads(parse_manifest(document).annotations[ANNOTATION])
        except (KeyError, ValueError):
            raise ResultError("the artifact is not a result of a cell", path=f"{self.place}:{key}") from None
        return checked(result, key, f"{self.place}:{key}")

    def check(self) -> None:
        """Begin an upload, and cancel it.

        Raises:
            RefusedError: the registry takes no uploads, or none of this user's.
            OciError: the registry does not answer.
        """
        with self._refusals(StatusError, CredentialError):
            self._store("check").check_push(Deadline())

    @contextlib.contextmanager
    def _refusals(self, *kinds: type[OciError]) -> Iterator[None]:
        """Make a refusal of what does not pass by itself.

        Raises:
            RefusedError: one of ``kinds`` came that does not speak of a passing condition.
        """
        try:
            yield
        except kinds as error:
            if isinstance(error, StatusError) and error.retryable:
                raise
            hint = error.hint or "use an account that may push there, or another place: --results PLACE"
            raise RefusedError(f"{self.place} takes no results: {error}", hint=hint) from None

    def store(self, key: str, result: Mapping[str, Any], files: Path) -> bool:
        """Push a result.

        Raises:
            OciError: the registry does not take it.
        """
        with contextlib.suppress(ResultError):  # a damaged one is replaced
            if self.find(key) is not None:
                return False
        store, deadline = self._store(key), Deadline()
        with tempfile.TemporaryFile() as archive:
            _pack(archive, result, files)
            with open_source(archive.fileno()) as layer, open_source(EMPTY_JSON) as config:
                digest, size = store.write_blob(layer, algorithm="sha256", progress=None, chunk=None, deadline=deadline)
                store.write_blob(config, algorithm="sha256", progress=None, chunk=None, deadline=deadline)
        described = Descriptor(media_type=LAYER_TYPE, digest=digest, size=size)
        data = build_manifest(
            described, annotations={ANNOTATION: json.dumps(_short(result))}, artifact_type=ARTIFACT_TYPE
        )
        store.write_manifest(data, media_type=MANIFEST_TYPE, artifact_type=ARTIFACT_TYPE, deadline=deadline)
        return True

    def fetch(self, key: str, folder: Path) -> None:
        """Fetch the files of a result.

        Raises:
            ResultError: there is no result, or its layer is not a tar of plain files.
            OciError: the registry does not answer.
        """
        document = self._manifest(key)
        layers = parse_manifest(document).layers if document is not None else ()
        if len(layers) != 1 or layers[0].size > _LARGEST:
            raise ResultError("there is no result with one layer", path=f"{self.place}:{key}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as name:
            archive = Path(name) / "result.tar"
            fetch_blob_to_file(layers[0], archive, self._store(key), retry=self._retry)
            for path, data in _members(archive):
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)


def _short(result: Mapping[str, Any]) -> Mapping[str, Any]:
    if len(json.dumps(result)) <= _SHORT:
        return result
    gates = [{name: gate[name] for name in ("gate", "verdict", "seconds") if name in gate} for gate in result["gates"]]
    facts = {"left_out": "the whole result is in the layer"}
    return {**result, "gates": gates, "facts": facts, "cause": (result.get("cause") or "")[:1000] or None}


def _pack(archive: Any, result: Mapping[str, Any], files: Path) -> None:
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(files.rglob("*")):
            if path.is_file() and not path.is_symlink():
                _add(tar, path.relative_to(files).as_posix(), path.read_bytes())
        _add(tar, RESULT, (json.dumps(result, indent=1) + "\n").encode())
    archive.flush()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The plain files of an archive.

    Raises:
        ResultError: not a tar, or one with links, devices, or names that lead out of the folder.
    """
    whole = archive.stat().st_size
    try:
        with tarfile.open(archive, "r:") as tar:
            for entry in tar:
                parts = entry.name.split("/")
                if not entry.isreg() or entry.issparse() or "\0" in entry.name or {"", ".", ".."} & set(parts):
                    raise ResultError(f"the archive has {entry.name!r}, which is not a plain file below its folder")
                if entry.offset_data + entry.size > whole:
                    raise ResultError(f"the archive ends within {entry.name!r}")
                opened = tar.extractfile(entry)
                yield entry.name, opened.read() if opened is not None else b""
    except (tarfile.TarError, OverflowError, ValueError) as error:
        raise ResultError(f"the layer is not a tar: {error}") from None
