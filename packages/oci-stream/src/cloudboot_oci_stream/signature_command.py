"""The parts of ``python -m cloudboot_oci_stream`` that have to do with signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import KeyFileError, PolicyError
from .policy import Policy, Trust
from .signatures.keys import read_key_file
from .signatures.signers import IdentitySigner, KeySigner, Signer

if TYPE_CHECKING:
    import argparse

    from .signatures.sign import Format
    from .signatures.verify import Verification

FORMATS: dict[str, tuple[Format, ...]] = {
    "bundle": ("bundle",),
    "cosign": ("cosign",),
    "both": ("bundle", "cosign"),
}


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Options of commands that can verify signatures, by a policy in a file."""
    parser.add_argument("--policy", metavar="FILE", help="verify signatures by this policy before anything is fetched")


def add_rule_options(parser: argparse.ArgumentParser) -> None:
    """Options for one rule instead of a policy."""
    rule = parser.add_argument_group("instead of a policy")
    rule.add_argument("--key", metavar="FILE", action="append", default=[], help="public key that will do; repeatable")
    rule.add_argument("--identity", metavar="SUBJECT", help="e-mail address or URI of a certificate that will do")
    rule.add_argument("--issuer", metavar="URL", help="who vouches for that identity")
    rule.add_argument("--trust-root", metavar="FILE", help="trusted root to prove it with (default: Sigstore's own)")


def add_signing_options(parser: argparse.ArgumentParser, *, key: str, prefix: str = "") -> None:
    """Options that say who signs, and in which form; ``prefix`` stands before those that say who."""
    signer = parser.add_argument_group("signing")
    who = signer.add_mutually_exclusive_group(required=not prefix)
    who.add_argument(key, dest="signing_key", metavar="FILE", help="sign with this private key (PEM)")
    who.add_argument(
        f"--{prefix}identity-token",
        dest="identity_token",
        metavar="FILE",
        help="sign as whom the OpenID Connect token in the file is for",
    )
    who.add_argument(
        f"--{prefix}ambient-identity", dest="ambient", action="store_true", help="sign as whom this machine runs for"
    )
    signer.add_argument("--key-password-file", metavar="FILE", help="the private key's password")
    signer.add_argument(
        "--trust-config", metavar="FILE", help="services to sign an identity's signature with (default: Sigstore's own)"
    )
    signer.add_argument(
        "--format",
        dest="formats",
        choices=FORMATS,
        default="bundle",
        help="an artifact that refers to the image (default), cosign's tag sha256-<digest>.sig, or both",
    )


def policy_of(options: argparse.Namespace) -> Policy | None:
    """The policy that a command is given as a file.

    Raises:
        PolicyError: it cannot be used.
        OSError: it cannot be read.
    """
    return None if options.policy is None else Policy.load(options.policy, deadline=options.limit)


def rule_of(options: argparse.Namespace) -> Policy:
    """The policy of ``verify``: a file, or one rule out of the other options.

    Raises:
        PolicyError: neither or both, or half an identity.
    """
    policy = policy_of(options)
    given = options.key or options.identity or options.issuer or options.trust_root
    if (policy is None) == (not given):
        raise PolicyError("say what will do", hint="give either --policy, or --key or --identity with --issuer")
    if policy is not None:
        return policy
    return Policy.of_one_rule(
        keys=options.key,
        subject=options.identity,
        issuer=options.issuer,
        trust_root=options.trust_root,
        deadline=options.limit,
    )


def signer_of(options: argparse.Namespace) -> Signer | None:
    """Who signs; ``None`` if nobody is named.

    Raises:
        KeyFileError: the key cannot be used.
        OSError: a file cannot be read.
    """
    if options.signing_key is not None:
        password = None
        if options.key_password_file is not None:
            password = read_key_file(options.key_password_file, options.limit).rstrip(b"\r\n")
        return KeySigner.load(options.signing_key, password, deadline=options.limit)
    if options.identity_token is None and not options.ambient:
        return None
    trust = Trust(file=options.trust_config) if options.trust_config else Trust(tuf="production")
    if options.ambient:
        return IdentitySigner(trust)
    try:
        return IdentitySigner(trust, read_key_file(options.identity_token, options.limit).decode("ascii").strip())
    except UnicodeDecodeError:
        raise KeyFileError("no identity token", actual=options.identity_token) from None


def formats_of(options: argparse.Namespace) -> tuple[Format, ...]:
    """The forms a signature is to have."""
    return FORMATS[options.formats]


def needed_signer(options: argparse.Namespace) -> Signer:
    """Who signs, where somebody has to; the errors of :func:`signer_of`."""
    signer = signer_of(options)
    if signer is None:
        raise KeyFileError("nobody is named who signs", hint="give a key or an identity")
    return signer


def described(found: Verification) -> list[str]:
    """A verification in a few lines."""
    lines = [str(found.reference), f"rule      {found.rule}"]
    for signature in found.signatures:
        by = f" by {signature.issuer}" if signature.issuer else ""
        lines.append(f"signed    {signature.signer}{by}")
    return lines if found.signatures else [*lines, "signed    by nobody, and nobody has to"]
