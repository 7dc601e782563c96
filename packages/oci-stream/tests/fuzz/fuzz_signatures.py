"""Fuzz what strangers sign, and what policies say: ``python fuzz_signatures.py -max_total_time=60`` (needs atheris).

An input is a mode byte, and then a bundle, one of the two payloads, a policy, a key, or what one member of a genuine
bundle is replaced with: its base64 would keep the parsers below from seeing anything new. Only errors derived from
``OciError`` may come out, and nothing that is fuzzed may ever count as a signature.
"""

from __future__ import annotations

import base64
import copy
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloudboot_oci_stream import KeySigner, OciError, Policy, PublicKey, Trust
from cloudboot_oci_stream.errors import BadSignatureError
from cloudboot_oci_stream.signatures.bundle import Message, parse_bundle
from cloudboot_oci_stream.signatures.keyless import KeylessVerifier
from cloudboot_oci_stream.signatures.payloads import (
    build_simple_signing,
    build_statement,
    parse_simple_signing,
    parse_statement,
)
from cloudboot_oci_stream.testing.sigstore import LocalSigstore, new_key, private_pem

BUNDLE, SIMPLE, STATEMENT, POLICY, KEY = range(5)
DIGEST = "sha256:" + "0" * 64
MANIFEST = b'{"schemaVersion":2}'
LOCAL = LocalSigstore()
SIGNER = KeySigner.from_pem(private_pem(new_key()))
VERIFIED = build_statement(DIGEST, "registry.example/disk")


def _verifier() -> KeylessVerifier:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(LOCAL.trusted_root(), file)
        file.flush()
        return KeylessVerifier(Trust(file=file.name))


VERIFIER = _verifier()
BUNDLES = (
    LOCAL.sign_statement(VERIFIED, "joe@example.org"),
    LOCAL.sign_manifest(MANIFEST, "https://example.org/x"),
    LOCAL.sign_statement(VERIFIED, "joe@example.org", rekor=2),
)
_ENTRY = ("verificationMaterial", "tlogEntries", 0)
# A member of one of the bundles; the last says whether its text is base64.
MEMBERS: tuple[tuple[int, tuple[str | int, ...], bool], ...] = (
    (0, ("verificationMaterial", "certificate", "rawBytes"), True),
    (0, (*_ENTRY, "canonicalizedBody"), True),
    (1, (*_ENTRY, "canonicalizedBody"), True),
    (2, (*_ENTRY, "canonicalizedBody"), True),
    (0, (*_ENTRY, "inclusionProof", "checkpoint", "envelope"), False),
    (0, (*_ENTRY, "inclusionPromise", "signedEntryTimestamp"), True),
    (2, ("verificationMaterial", "timestampVerificationData", "rfc3161Timestamps", 0, "signedTimestamp"), True),
)
MODES = KEY + 1 + len(MEMBERS)


def _member(bundle: dict[str, Any], path: tuple[str | int, ...]) -> tuple[Any, str | int]:
    """The container that ``path`` leads to, and the last step."""
    place: Any = bundle
    for step in path[:-1]:
        place = place[step]
    return place, path[-1]


def _member_seeds() -> Iterator[bytes]:
    for number, (which, path, encoded) in enumerate(MEMBERS):
        place, last = _member(BUNDLES[which], path)
        data = base64.b64decode(place[last]) if encoded else place[last].encode()
        yield bytes([KEY + 1 + number]) + data


SEEDS = (
    *(bytes([BUNDLE]) + json.dumps(bundle).encode() for bundle in BUNDLES),
    *_member_seeds(),
    bytes([BUNDLE]) + SIGNER.bundle(VERIFIED),
    bytes([SIMPLE]) + build_simple_signing(DIGEST, "registry.example/disk"),
    bytes([STATEMENT]) + VERIFIED,
    bytes([POLICY]) + b'version = 1\ndefault = "accept"\n[trust.a]\ntuf = "staging"\n[[rule]]\nimages = ["a.b/**"]\n'
    b'identities = [{ issuer = "x", subject = "y*" }]\nthreshold = 2\nsigned_as = ["**"]\n',
    bytes([KEY]) + private_pem(new_key()),
)


def one_input(data: bytes) -> None:
    """Take one input as far as it can be taken."""
    mode, rest = (data[0] if data else 0) % MODES, data[1:]
    try:
        if mode == BUNDLE:
            _bundle(rest)
        elif mode == SIMPLE:
            parse_simple_signing(rest).check(DIGEST, lambda _: True, accepted=frozenset())
        elif mode == STATEMENT:
            parse_statement(rest).check(DIGEST, lambda _: True, accepted=frozenset({"x"}))
        elif mode == POLICY:
            Policy.parse(rest, "/nowhere")
        elif mode > KEY:
            which, path, encoded = MEMBERS[mode - KEY - 1]
            changed = copy.deepcopy(BUNDLES[which])
            place, last = _member(changed, path)
            place[last] = base64.b64encode(rest).decode() if encoded else rest.decode("utf-8", "replace")
            _bundle(json.dumps(changed).encode())
        else:
            PublicKey.from_pem(KeySigner.from_pem(rest, password=b"x" if b"ENCRYPTED" in rest else None).public.spki)
    except OciError as error:
        assert str(error).isprintable()  # noqa: PT017 -- whatever the error is
    except FileNotFoundError:
        assert mode == POLICY


def _bundle(data: bytes) -> None:
    bundle = parse_bundle(data)
    if bundle.has_certificate:
        try:
            _, _, payload = VERIFIER.verify(bundle, MANIFEST, lambda _issuer, _subject: True)
        except BadSignatureError:
            return
        assert payload in {None, VERIFIED}
    else:
        content = bundle.content
        signed = MANIFEST if isinstance(content, Message) else content.signed
        if SIGNER.public.verifies(content.signature, signed):
            assert not isinstance(content, Message)
            assert content.payload == VERIFIED


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
