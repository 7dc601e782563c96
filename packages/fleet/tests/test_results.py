"""Places for results: whole or absent, first come first kept, and what a registry may hand back."""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudboot_base import UsageError
from cloudboot_fleet.errors import RefusedError, ResultError
from cloudboot_fleet.results import FolderResults, RegistryResults, Results, open_results, refusal
from cloudboot_fleet.results.registry import ANNOTATION, ARTIFACT_TYPE, LAYER_TYPE
from cloudboot_oci_stream import Descriptor, open_store
from cloudboot_oci_stream.deadline import Deadline
from cloudboot_oci_stream.spec.manifest import EMPTY_JSON, MANIFEST_TYPE, build_manifest
from cloudboot_oci_stream.stores.source import open_source
from cloudboot_oci_stream.testing import docker_registry

KEY = "ab" * 32
RESULT = {"key": KEY, "status": "passed", "gates": [], "facts": {}}


def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "below").mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text("<p>report")
    (folder / "below" / "input").write_bytes(bytes(range(256)))
    return folder


def kept(results: Results, tmp_path: Path) -> None:
    """What every place promises."""
    assert results.find(KEY) is None
    assert results.store(KEY, RESULT, files(tmp_path))
    assert results.find(KEY) == RESULT
    assert not results.store(KEY, {**RESULT, "status": "failed"}, files(tmp_path))
    again = open_results(results.place)
    assert again.find(KEY) == RESULT
    again.fetch(KEY, tmp_path / "fetched")
    assert (tmp_path / "fetched" / "below" / "input").read_bytes() == bytes(range(256))
    assert json.loads((tmp_path / "fetched" / "result.json").read_text()) == RESULT


def test_a_folder_keeps_results(tmp_path: Path) -> None:
    kept(FolderResults(tmp_path / "results"), tmp_path)
    assert [path.name for path in (tmp_path / "results" / KEY[:2]).iterdir()] == [KEY]


def test_a_layout_folder_keeps_results(tmp_path: Path) -> None:
    kept(open_results(f"oci:{tmp_path}/layout"), tmp_path)


def test_a_registry_keeps_results(tmp_path: Path) -> None:
    with docker_registry() as registry:
        results = open_results(f"{registry.host}/results")
        kept(results, tmp_path)
        long = {**RESULT, "key": "cd" * 32, "facts": {"text": "x" * 200_000}, "gates": [{"gate": "a", "evidence": "e"}]}
        assert results.store("cd" * 32, long, files(tmp_path))
        found = results.find("cd" * 32)
        assert found is not None
        assert found["gates"] == [{"gate": "a"}]
        results.fetch("cd" * 32, tmp_path / "long")
        assert json.loads((tmp_path / "long" / "result.json").read_text()) == long


def test_whether_results_can_be_stored_is_known_before(tmp_path: Path) -> None:
    results = FolderResults(tmp_path / "results")
    results.check()
    assert list(results.folder.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(RefusedError, match="takes no results"):
        FolderResults(tmp_path / "file" / "below").check()
    assert refusal(str(tmp_path / "results")) is None
    with docker_registry() as registry:
        place = f"{registry.host}/results"
        assert refusal(place) is None
        assert open_results(place).find(KEY) is None
        with docker_registry(store=registry.folder, read_only=True) as closed:
            refused = refusal(f"{closed.host}/results")
    assert refused is not None
    assert refused[0]
    assert "takes no results" in refused[1]
    assert "--results" in (refused[2] or "")
    gone = refusal(place)
    assert gone is not None
    assert not gone[0]


def test_a_refused_login_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with docker_registry(users={"user": "secret"}) as registry:
        results = open_results(f"{registry.host}/results")
        asked: list[Callable[[], object]] = [results.check, lambda: results.find(KEY)]
        for ask in asked:
            with pytest.raises(RefusedError) as caught:
                ask()
            assert caught.value.exit_code == 7
            assert "login" in (caught.value.hint or "")


def test_a_failed_store_leaves_nothing(tmp_path: Path) -> None:
    results = FolderResults(tmp_path / "results")
    broken = files(tmp_path)
    (broken / "result.json").mkdir()  # where the result itself is written
    with pytest.raises(IsADirectoryError):
        results.store(KEY, RESULT, broken)
    assert list((tmp_path / "results" / KEY[:2]).iterdir()) == []


def test_what_a_killed_worker_left_is_swept_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    results = FolderResults(tmp_path / "results")
    stale, fresh = (results.folder / "ab" / f".{name}.partial" for name in ("stale", "fresh"))
    for partial in (stale, fresh):
        (partial / "files").mkdir(parents=True)
    os.utime(stale, (0, 0))
    results.sweep()
    assert (stale.exists(), fresh.exists()) == (False, True)
    assert list(results.folder.iterdir()) == [results.folder / "ab"]


def test_links_of_a_cell_are_not_kept(tmp_path: Path) -> None:
    results = FolderResults(tmp_path / "results")
    made = files(tmp_path)
    for link in (made / "link", made / "below" / "link"):
        link.symlink_to("/etc/passwd")
    assert results.store(KEY, RESULT, made)
    stored = {str(each.relative_to(results.path(KEY))) for each in results.path(KEY).rglob("*")}
    assert not any("link" in name for name in stored)
    assert "result.json" in stored


def test_files_on_another_file_system_are_copied(tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=shared) as name:
        made = files(Path(name))
        expected = {each.name: each.read_bytes() for each in made.iterdir() if each.is_file()}
        results = FolderResults(tmp_path / "results")
        assert results.store(KEY, RESULT, made)
    stored = {each.name: each.read_bytes() for each in results.path(KEY).iterdir() if each.is_file()}
    assert {name: data for name, data in stored.items() if name != "result.json"} == expected


def test_a_damaged_result_is_an_error(tmp_path: Path) -> None:
    results = FolderResults(tmp_path / "results")
    path = results.path(KEY)
    path.mkdir(parents=True)
    for text in ("", "[]", "{", json.dumps({**RESULT, "key": "other"})):
        (path / "result.json").write_text(text)
        with pytest.raises(ResultError):
            results.find(KEY)


def test_a_place_is_a_repository(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="whole repository"):
        RegistryResults("127.0.0.1:1/results:tag")
    assert isinstance(open_results("./here"), FolderResults)
    assert open_results(f"oci:{tmp_path}/layout").is_folder


def pushed(place: str, data: bytes, annotations: dict[str, str]) -> None:
    """An artifact under the tag of a result."""
    store, deadline = open_store(f"{place}:{KEY}"), Deadline()
    with open_source(data) as layer, open_source(EMPTY_JSON) as config:
        digest, size = store.write_blob(layer, algorithm="sha256", progress=None, chunk=None, deadline=deadline)
        store.write_blob(config, algorithm="sha256", progress=None, chunk=None, deadline=deadline)
    described = Descriptor(media_type=LAYER_TYPE, digest=digest, size=size)
    manifest = build_manifest(described, annotations=annotations, artifact_type=ARTIFACT_TYPE)
    store.write_manifest(manifest, media_type=MANIFEST_TYPE, artifact_type=ARTIFACT_TYPE, deadline=deadline)


def archive(**facts: Any) -> bytes:
    """A tar with one entry whose header says ``facts``; four bytes of content follow, whatever it says."""
    entry = tarfile.TarInfo("file")
    for name, value in {"size": 4, **facts}.items():
        setattr(entry, name, value)
    return entry.tobuf() + b"text".ljust(512, b"\0") + bytes(1024)


@pytest.mark.parametrize(
    "data",
    [
        archive(name="../file"),
        archive(name="/etc/file"),
        archive(name="a/../../file"),
        archive(type=tarfile.SYMTYPE, linkname="/etc"),
        archive(type=tarfile.LNKTYPE, linkname="x"),
        archive(type=tarfile.CHRTYPE),
        archive(size=1 << 40),
        b"not a tar" * 200,
    ],
)
def test_a_hostile_archive_writes_nothing_outside(data: bytes, tmp_path: Path) -> None:
    place = f"oci:{tmp_path}/layout"
    pushed(place, data, {ANNOTATION: json.dumps(RESULT)})
    with pytest.raises(ResultError):
        open_results(place).fetch(KEY, tmp_path / "x" / "fetched")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["fetched"]
    assert not list((tmp_path / "x" / "fetched").iterdir())


def test_an_artifact_that_is_no_result_is_an_error(tmp_path: Path) -> None:
    place = f"oci:{tmp_path}/layout"
    for noted in ({}, {ANNOTATION: "{"}, {ANNOTATION: json.dumps({**RESULT, "key": "other"})}):
        pushed(place, b"data", noted)
        with pytest.raises(ResultError):
            open_results(place).find(KEY)
