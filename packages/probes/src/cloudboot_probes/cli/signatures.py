"""``cloudboot verify`` and ``cloudboot sign``, and who signs in ``cloudboot push``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cloudboot_base.command import printable
from cloudboot_oci_stream import (
    IdentitySigner,
    KeySigner,
    Policy,
    Signer,
    Trust,
    sign_image,
    verify_signature,
)

from . import options
from .manners import Manners, reported

if TYPE_CHECKING:
    from cloudboot_oci_stream import Verification

Format = Literal["bundle", "cosign"]

PasswordFile = Annotated[
    Path | None, typer.Option("--key-password-file", metavar="FILE", help="The private key's password.")
]
IdentityToken = Annotated[
    Path | None, typer.Option("--identity-token", metavar="FILE", help="Sign as whom this OpenID Connect token is for.")
]
TrustConfig = Annotated[
    Path | None,
    typer.Option("--trust-config", metavar="FILE", help="Services to sign as an identity with; else Sigstore's own."),
]
FormatOption = Annotated[
    Literal["bundle", "cosign", "both"],
    typer.Option("--format", help="An artifact that refers to the image, cosign's tag for it, or both."),
]


def verify(
    reference: options.Reference,
    policy: options.PolicyFile = None,
    key: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Public key that will do; can be repeated.")
    ] = None,
    identity: Annotated[
        str | None, typer.Option(metavar="SUBJECT", help="E-mail address or URI of a certificate that will do.")
    ] = None,
    issuer: Annotated[str | None, typer.Option(metavar="URL", help="Who vouches for that identity.")] = None,
    trust_root: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Trusted root to prove it with; else Sigstore's own.")
    ] = None,
    insecure: options.Insecure = False,
    ca_file: options.CaFile = None,
    auth_file: options.AuthFile = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Verify an image's signatures, by a policy or by one key or identity, without fetching the image."""
    manners = Manners(json, verbose)
    single = bool(key or identity or issuer or trust_root)
    if (policy is None) != single:
        raise typer.BadParameter("give either --policy, or --key or --identity with --issuer")
    with reported(manners):
        wanted = (
            Policy.load(policy)
            if policy is not None
            else Policy.of_one_rule(keys=key or (), subject=identity, issuer=issuer, trust_root=trust_root)
        )
        found = verify_signature(reference, wanted, access=options.access(insecure, ca_file, auth_file))
        if json:
            manners.result(found.as_dict())
        else:
            _print(manners, found)


def sign(
    reference: options.Reference,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Sign with this private key (PEM).")] = None,
    key_password_file: PasswordFile = None,
    identity_token: IdentityToken = None,
    ambient_identity: Annotated[
        bool, typer.Option("--ambient-identity", help="Sign as whom this machine runs for.")
    ] = False,
    trust_config: TrustConfig = None,
    form: FormatOption = "bundle",
    name: Annotated[
        str | None, typer.Option(help="The repository the signature names; by default the image's own.")
    ] = None,
    insecure: options.Insecure = False,
    ca_file: options.CaFile = None,
    auth_file: options.AuthFile = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Sign an image that was pushed; the signature goes beside it."""
    manners = Manners(json, verbose)
    if [key is not None, identity_token is not None, ambient_identity].count(True) != 1:
        raise typer.BadParameter("give one of --key, --identity-token and --ambient-identity")
    with reported(manners):
        signer = key_signer(key, key_password_file) if key else _identity_signer(identity_token, trust_config)
        signed = sign_image(
            reference,
            signer,
            formats=formats(form),
            name=name,
            access=options.access(insecure, ca_file, auth_file),
        )
        if json:
            manners.result(signed.as_dict())
        else:
            manners.out.print(str(signed.reference), soft_wrap=True)


def key_signer(key: Path, password_file: Path | None) -> KeySigner:
    """Sign with a key in a file.

    Raises:
        KeyFileError: the key cannot be used.
        OSError: a file cannot be read.
    """
    password = password_file.read_bytes().rstrip(b"\r\n") if password_file is not None else None
    return KeySigner.load(key, password)


def formats(form: Literal["bundle", "cosign", "both"]) -> tuple[Format, ...]:
    """The forms a signature is to have."""
    return ("bundle", "cosign") if form == "both" else (form,)


def _identity_signer(token: Path | None, trust_config: Path | None) -> Signer:
    trust = Trust(file=trust_config) if trust_config is not None else Trust(tuf="production")
    return IdentitySigner(trust, token.read_text(encoding="ascii", errors="replace").strip() if token else None)


def _print(manners: Manners, found: Verification) -> None:
    manners.out.print(printable(str(found.reference)), soft_wrap=True)
    manners.out.print(f"rule    {printable(found.rule)}", soft_wrap=True)
    for signature in found.signatures:
        by = f" by {signature.issuer}" if signature.issuer else ""
        manners.out.print(printable(f"signed  {signature.signer}{by}"), soft_wrap=True, markup=False)
    if not found.signatures:
        manners.out.print("signed  by nobody, and nobody has to")
