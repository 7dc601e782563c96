"""Tags of registries and folders, against what skopeo lists of the same place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cloudboot_base.testing import judge, run
from cloudboot_oci_stream import list_tags, push_image
from cloudboot_oci_stream.errors import NotFoundError, ProtocolError
from cloudboot_oci_stream.stores import pagination
from cloudboot_oci_stream.testing import FaultyRegistry, docker_registry

TAGS = sorted(["v1", "v1.0", "latest", "A_b-c"])


def test_a_registry_and_a_folder_list_what_was_pushed(tmp_path: Path) -> None:
    skopeo = judge("skopeo", "skopeo")
    with docker_registry() as registry:
        for place in (f"{registry.host}/images/disk", f"oci:{tmp_path}/store"):
            for tag in TAGS:
                push_image(b"\0" * 512, f"{place}:{tag}")
            assert list_tags(place) == TAGS
            assert list_tags(f"{place}:v1") == TAGS
        told = run(skopeo, "list-tags", "--tls-verify=false", f"docker://{registry.host}/images/disk")
        assert sorted(json.loads(told)["Tags"]) == TAGS
        with pytest.raises(NotFoundError):
            list_tags(f"{registry.host}/none")


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_are_followed(size: int) -> None:
    with FaultyRegistry() as registry:
        registry.tags["disk"] = TAGS
        registry.page = size
        assert list_tags(f"{registry.host}/disk") == TAGS
        assert len(registry.requests("GET", "/tags/list")) == -(-len(TAGS) // size)


@pytest.mark.parametrize("names", [None, []])
def test_a_repository_without_tags_has_none(names: list[str] | None) -> None:
    with FaultyRegistry() as registry:
        registry.tags["disk"] = names
        assert list_tags(f"{registry.host}/disk") == []


def test_what_is_no_tag_is_left_out_and_what_is_no_list_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyRegistry() as registry:
        registry.tags["disk"] = ["v1", "../up", "a b", "", "v" * 129, "-x"]
        assert list_tags(f"{registry.host}/disk") == ["v1"]
        for names in ("text", [1], {"a": 1}):
            registry.tags["disk"] = names
            with pytest.raises(ProtocolError, match="not a list of tags"):
                list_tags(f"{registry.host}/disk")
        registry.tags["disk"], registry.page = [f"t{number}" for number in range(20)], 1
        monkeypatch.setattr(pagination, "MOST_PAGES", 10)
        with pytest.raises(ProtocolError, match="does not end"):
            list_tags(f"{registry.host}/disk")
