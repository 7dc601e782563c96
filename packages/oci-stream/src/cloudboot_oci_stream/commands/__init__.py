"""The command ``cloudboot-oci-stream``; ``python -m cloudboot_oci_stream`` is the same."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

from cloudboot_base.program import Program
from cloudboot_oci_stream.commands import account, transfer, trust

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "cloudboot-oci-stream"
EXIT_CODES = {
    6: "There is no such image, blob or repository.",
    7: "The registry wants other credentials, or those of this machine cannot be used.",
    8: "The registry refuses, or breaks the protocol.",
    9: "The registry has had too many requests.",
    10: "There is no connection, or it broke.",
    11: "A limit of time was passed.",
    13: "The signatures of the image do not satisfy the policy.",
    14: "A service of Sigstore, or its trust root, failed.",
}


def program() -> Program:
    """The command line."""
    purpose = (
        "Push disk images to OCI registries and folders, fetch and verify them, copy and sign them.\n\n"
        "A REFERENCE is HOST[:PORT]/REPOSITORY[:TAG][@DIGEST], or oci:FOLDER[:TAG][@DIGEST] for a folder."
    )
    examples = {
        "push disk.img 127.0.0.1:5000/demo/disk:v1": "Push an image to a registry on this machine.",
        "pull oci:images:v1 -o copy.img": "Fetch an image from the folder images and verify it.",
        "sign oci:images:v1 --key release.pem": "Sign an image with a private key.",
        "verify oci:images:v1 --policy policy.toml": "Verify the signatures of an image by a policy.",
        "copy oci:images:v1 ghcr.io/example/disk:v1 --referrers": "Copy an image and its signatures to a registry.",
    }
    found = Program(NAME, NAME, purpose, exit_codes=EXIT_CODES, examples=examples)
    transfer.add_commands(found)
    trust.add_commands(found)
    account.add_commands(found)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    with _notices():
        return program().run(arguments)


@contextlib.contextmanager
def _notices() -> Iterator[None]:
    """Print what the library logs as notices on stderr."""
    logger = logging.getLogger("cloudboot_oci_stream")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"{NAME}: notice: %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
