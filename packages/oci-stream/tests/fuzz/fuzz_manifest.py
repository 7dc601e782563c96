"""Fuzz what a registry or a folder says: ``python fuzz_manifest.py -max_total_time=60`` (needs atheris).

An input is a mode byte, and then a manifest, an index or a reference. Only errors derived from ``OciError`` may come
out, and what a reference is written as names the same image again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from cloudboot_oci_stream import Document, OciError, parse_reference
from cloudboot_oci_stream.spec.manifest import (
    INDEX_TYPE,
    MANIFEST_TYPE,
    choose,
    image_layer,
    parse_index,
    parse_manifest,
)

MANIFEST, INDEX, REFERENCE = range(3)
_DIGEST = "sha256:" + "0" * 64
_DESCRIPTOR = f'{{"mediaType":"application/vnd.cloud-boot.diskimage.raw.v1","digest":"{_DIGEST}","size":512}}'
SEEDS = (
    bytes([MANIFEST])
    + f'{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{_DESCRIPTOR},"layers":[{_DESCRIPTOR}]}}'.encode(),
    bytes([INDEX])
    + f'{{"schemaVersion":2,"mediaType":"{INDEX_TYPE}","manifests":[{_DESCRIPTOR},{_DESCRIPTOR}]}}'.encode(),
    bytes([INDEX]) + b'{"manifests":[{"platform":{"os":"linux","architecture":"amd64"}}]}',
    bytes([MANIFEST]) + b"[" * 64,
    bytes([MANIFEST]) + b'{"a":"' + rb"\"" * 64,
    bytes([REFERENCE]) + f"[::1]:5000/a/b:v1@{_DIGEST}".encode(),
    bytes([REFERENCE]) + b"oci:folder::",
    bytes([REFERENCE]) + f"oci:folder/of images:v1@{_DIGEST}".encode(),
)


def one_input(data: bytes) -> None:
    """Parse one input as far as it can be parsed."""
    mode, rest = (data[0] if data else 0) % 3, data[1:]
    try:
        if mode == REFERENCE:
            text = rest.decode("utf-8", "surrogateescape")
            assert str(parse_reference(str(parse_reference(text)))) == str(parse_reference(text))
        elif mode == INDEX:
            choose(parse_index(Document(rest, INDEX_TYPE, _DIGEST)), None)
        else:
            image_layer(parse_manifest(Document(rest, MANIFEST_TYPE, _DIGEST)))
    except OciError as error:
        assert str(error).isprintable()  # noqa: PT017 -- whatever the error is


def main() -> None:
    """Run atheris; a folder named on the command line keeps what it finds."""
    import atheris

    with tempfile.TemporaryDirectory() as seeds:
        for number, seed in enumerate(SEEDS):
            (Path(seeds) / str(number)).write_bytes(seed)
        atheris.instrument_all()
        atheris.Setup([*sys.argv, seeds], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
