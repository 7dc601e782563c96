"""The services of a :class:`~.sigstore.LocalSigstore` on loopback: Fulcio, Rekor (v1 and v2), and RFC 3161."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import threading
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloudboot_oci_stream.testing.sigstore import hashed_v2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudboot_oci_stream.testing.sigstore import LocalSigstore


@contextlib.contextmanager
def sigstore_services(local: LocalSigstore) -> Iterator[str]:
    """Run the services; their common URL. A certificate is for whom the token of ``local`` says."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.local = local
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    local: LocalSigstore


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Not on the terminal."""

    def do_POST(self) -> None:
        local = cast("_Server", self.server).local
        data = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            if self.path == "/api/v2/signingCert":
                self._answer(200, _certificate(local, self.headers["Authorization"], json.loads(data)))
            elif self.path == "/api/v1/log/entries":
                self._answer(201, _entry_v1(local, json.loads(data)))
            elif self.path == "/api/v2/log/entries":
                self._answer(201, _entry_v2(local, json.loads(data)))
            elif self.path == "/timestamp":
                self._answer(200, local.timestamp(query=data), "application/timestamp-reply")
            else:
                self._answer(404, {"code": 404, "message": "no such service"})
        except (InvalidSignature, PermissionError):
            self._answer(401, {"code": 16, "message": "There was an error processing the identity token"})

    def _answer(self, status: int, body: bytes | dict[str, Any], kind: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _certificate(local: LocalSigstore, authorization: str, request: dict[str, str]) -> dict[str, Any]:
    """Fulcio: the token says who it is, the request's own signature that they hold the key."""
    claims = local.claims(authorization.removeprefix("Bearer "))
    if claims["aud"] != "sigstore":
        raise PermissionError("for another audience")
    asked = x509.load_pem_x509_csr(base64.b64decode(request["certificateSigningRequest"]))
    key = asked.public_key()
    if not asked.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
        raise PermissionError("no proof of possession")
    certificate = local.certify(claims["sub"], claims["iss"], key)
    chain = [_pem(certificate), _pem(local.ca.certificate)]
    return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}


def _entry_v1(local: LocalSigstore, proposed: dict[str, Any]) -> dict[str, Any]:
    """Rekor v1: the entry as its own API has it, hexadecimal where bundles have base64."""
    if proposed["kind"] == "dsse":
        content = proposed["spec"]["proposedContent"]
        envelope = json.loads(content["envelope"])
        payload = base64.b64decode(envelope["payload"])
        spec: dict[str, Any] = {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(content["envelope"].encode()).hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": envelope["signatures"][0]["sig"], "verifier": content["verifiers"][0]}],
        }
    else:
        spec = proposed["spec"]
    entry = local.log({"apiVersion": "0.0.1", "kind": proposed["kind"], "spec": spec}, rekor=1)
    proof = entry["inclusionProof"]
    return {
        "0" * 80: {
            "body": entry["canonicalizedBody"],
            "integratedTime": int(entry["integratedTime"]),
            "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
            "logIndex": int(entry["logIndex"]),
            "verification": {
                "inclusionProof": {
                    "checkpoint": proof["checkpoint"]["envelope"],
                    "hashes": [base64.b64decode(node).hex() for node in proof["hashes"]],
                    "logIndex": int(proof["logIndex"]),
                    "rootHash": base64.b64decode(proof["rootHash"]).hex(),
                    "treeSize": int(proof["treeSize"]),
                },
                "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            },
        }
    }


def _entry_v2(local: LocalSigstore, request: dict[str, Any]) -> dict[str, Any]:
    """Rekor v2: what a bundle says of the entry."""
    asked = request["hashedRekordRequestV002"]
    raw = base64.b64decode(asked["signature"]["verifier"]["x509Certificate"]["rawBytes"])
    certificate = x509.load_der_x509_certificate(raw)
    body = hashed_v2(base64.b64decode(asked["digest"]), base64.b64decode(asked["signature"]["content"]), certificate)
    return local.log(body, rekor=2)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
