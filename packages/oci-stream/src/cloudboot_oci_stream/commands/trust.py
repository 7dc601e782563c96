"""``verify`` and ``sign``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudboot_base.command import printable
from cloudboot_oci_stream.commands.options import access_of, add_access_options, limit_of, retry_of, show
from cloudboot_oci_stream.commands.signing import (
    add_policy_options,
    add_rule_options,
    add_signing_options,
    described,
    formats_of,
    listed_refusals,
    needed_signer,
    rule_of,
)

if TYPE_CHECKING:
    import argparse

    from cloudboot_base.program import Program


def add_commands(program: Program) -> None:
    """Add the commands of this module."""
    verify = program.command("verify", _verify, "Verify the signatures of an image without fetching it.")
    verify.add_argument("reference", metavar="REFERENCE", help="The image.")
    add_policy_options(verify)
    add_rule_options(verify)
    add_access_options(verify)

    sign = program.command("sign", _sign, "Sign an image that was pushed.")
    sign.add_argument("reference", metavar="REFERENCE", help="The image.")
    sign.add_argument(
        "--name", metavar="REPOSITORY", help="The repository that the signature names (default: the image's)."
    )
    add_signing_options(sign, key="--key")
    add_access_options(sign)


def _verify(options: argparse.Namespace) -> int:
    from cloudboot_oci_stream.signatures.verify import verify_signature

    limit = limit_of(options)
    with listed_refusals():
        found = verify_signature(
            options.reference,
            rule_of(options, limit),
            access=access_of(options, limit),
            deadline=limit,
            retry=retry_of(options),
        )
    return show(options, found.as_dict(), "\n".join(map(printable, described(found))))


def _sign(options: argparse.Namespace) -> int:
    from cloudboot_oci_stream.signatures.sign import sign_image

    limit = limit_of(options)
    signed = sign_image(
        options.reference,
        needed_signer(options, limit),
        formats=formats_of(options),
        name=options.name,
        access=access_of(options, limit),
        deadline=limit,
        retry=retry_of(options),
    )
    return show(options, signed.as_dict(), "\n".join(artifact.digest for artifact in signed.artifacts))
