"""Options that say whose signature is wanted, and who signs."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import KeyFileError, PolicyError, UntrustedError
from cloudboot_oci_stream.signatures.keys import read_key_file
from cloudboot_oci_stream.signatures.policy import Policy, Trust
from cloudboot_oci_stream.signatures.signers import IdentitySigner, KeySigner, Signer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.signatures.sign import Format
    from cloudboot_oci_stream.signatures.verify import Verification

FORMATS: dict[str, tuple[Format, ...]] = {
    "bundle": ("bundle",),
    "cosign": ("cosign",),
    "both": ("bundle", "cosign"),
}


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Options of commands that can verify signatures, by a policy in a file."""
    parser.add_argument(
        "--policy", metavar="FILE", help="Verify the signatures by this policy before the image is fetched."
    )


def add_rule_options(parser: argparse.ArgumentParser) -> None:
    """Options for one rule instead of a policy."""
    rule = parser.add_argument_group("instead of a policy")
    rule.add_argument(
        "--key", metavar="FILE", action="append", default=[], help="An accepted public key (PEM). Can be repeated."
    )
    rule.add_argument("--identity", metavar="SUBJECT", help="The e-mail address or URI of an accepted certificate.")
    rule.add_argument("--issuer", metavar="URL", help="The OpenID Connect issuer of that identity.")
    rule.add_argument(
        "--trust-root", metavar="FILE", help="The trusted root for certificates (default: that of Sigstore)."
    )


def add_signing_options(parser: argparse.ArgumentParser, *, key: str, prefix: str = "") -> None:
    """Options that say who signs, and in which form; ``prefix`` is before those that say who."""
    signer = parser.add_argument_group("signing")
    who = signer.add_mutually_exclusive_group(required=not prefix)
    who.add_argument(key, dest="signing_key", metavar="FILE", help="Sign with this private key (PEM).")
    who.add_argument(
        f"--{prefix}identity-token",
        dest="identity_token",
        metavar="FILE",
        help="Sign as the subject of the OpenID Connect token in this file.",
    )
    who.add_argument(
        f"--{prefix}ambient-identity",
        dest="ambient",
        action="store_true",
        help="Sign as the identity that this machine's environment provides.",
    )
    signer.add_argument("--key-password-file", metavar="FILE", help="A file with the password of the private key.")
    signer.add_argument(
        "--trust-config",
        metavar="FILE",
        help="The services for signing with an identity (default: those of Sigstore).",
    )
    signer.add_argument(
        "--format",
        dest="formats",
        choices=FORMATS,
        default="bundle",
        help="Write an artifact that refers to the image (bundle), cosign's tag sha256-<digest>.sig (cosign), or both "
        "(default: bundle).",
    )


def policy_of(options: argparse.Namespace, limit: Deadline) -> Policy | None:
    """The policy that a command is given as a file.

    Raises:
        PolicyError: it cannot be used.
        OSError: it cannot be read.
    """
    return None if options.policy is None else Policy.load(options.policy, deadline=limit)


def rule_of(options: argparse.Namespace, limit: Deadline) -> Policy:
    """The policy of ``verify``: a file, or one rule out of the other options.

    Raises:
        PolicyError: neither or both, or half an identity.
    """
    policy = policy_of(options, limit)
    given = options.key or options.identity or options.issuer or options.trust_root
    if (policy is None) == (not given):
        raise PolicyError(
            "no accepted signer is given, or two ways to name one are given",
            hint="give either --policy, or --key or --identity with --issuer",
        )
    if policy is not None:
        return policy
    return Policy.of_one_rule(
        keys=options.key,
        subject=options.identity,
        issuer=options.issuer,
        trust_root=options.trust_root,
        deadline=limit,
    )


def signer_of(options: argparse.Namespace, limit: Deadline) -> Signer | None:
    """The signer that the options name; ``None`` if they name none.

    Raises:
        KeyFileError: the key cannot be used.
        OSError: a file cannot be read.
    """
    if options.signing_key is not None:
        password = None
        if options.key_password_file is not None:
            password = read_key_file(options.key_password_file, limit).rstrip(b"\r\n")
        return KeySigner.load(options.signing_key, password, deadline=limit)
    if options.identity_token is None and not options.ambient:
        return None
    trust = Trust(file=options.trust_config) if options.trust_config else Trust(tuf="production")
    if options.ambient:
        return IdentitySigner(trust)
    try:
        return IdentitySigner(trust, read_key_file(options.identity_token, limit).decode("ascii").strip())
    except UnicodeDecodeError:
        raise KeyFileError("no identity token", actual=options.identity_token) from None


def formats_of(options: argparse.Namespace) -> tuple[Format, ...]:
    """The forms a signature is to have."""
    return FORMATS[options.formats]


def needed_signer(options: argparse.Namespace, limit: Deadline) -> Signer:
    """The signer, where a signature is asked for; the errors of :func:`signer_of`."""
    signer = signer_of(options, limit)
    if signer is None:
        raise KeyFileError("no signer is named", hint="give a key or an identity")
    return signer


@contextlib.contextmanager
def listed_refusals() -> Iterator[None]:
    """Print why each signature of an image does not count, where that is why the block fails."""
    try:
        yield
    except UntrustedError as error:
        for refusal in error.refusals:
            print(f"cloudboot-oci-stream: refused: {refusal}", file=sys.stderr)
        raise


def described(found: Verification) -> list[str]:
    """A verification in a few lines."""
    lines = [str(found.reference), f"rule      {found.rule}"]
    for signature in found.signatures:
        by = f" by {signature.issuer}" if signature.issuer else ""
        lines.append(f"signed    {signature.signer}{by}")
    return lines if found.signatures else [*lines, "signed    no signature is needed"]
