"""``cloudboot verify`` and ``cloudboot sign``, and who signs in ``cloudboot push``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

from cloudboot_base import UsageError
from cloudboot_base.command import OK, printable
from cloudboot_base.storage import read_file
from cloudboot_oci_stream import (
    IdentitySigner,
    KeySigner,
    Policy,
    Signer,
    Trust,
    sign_image,
    verify_signature,
)

from .registry import reach

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from cloudboot_oci_stream import Verification

    from .console import Console

Format = Literal["bundle", "cosign"]

_LARGEST: Final = 1 << 20  # bytes of a password or a token


def verify(options: argparse.Namespace, console: Console) -> int:
    """Verify an image's signatures."""
    single = bool(options.key or options.identity or options.issuer or options.trust_root)
    if (options.policy is None) != single:
        raise UsageError("give either --policy, or --key or --identity with --issuer")
    access, deadline, retry = reach(options)
    wanted = (
        Policy.load(options.policy, deadline=deadline)
        if options.policy is not None
        else Policy.of_one_rule(
            keys=options.key or (),
            subject=options.identity,
            issuer=options.issuer,
            trust_root=options.trust_root,
            deadline=deadline,
        )
    )
    found = verify_signature(options.reference, wanted, access=access, deadline=deadline, retry=retry)
    if console.json:
        console.result(found.as_dict())
    else:
        _print(console, found)
    return OK


def sign(options: argparse.Namespace, console: Console) -> int:
    """Sign an image that was pushed."""
    if [options.key is not None, options.identity_token is not None, options.ambient_identity].count(True) != 1:
        raise UsageError("give one of --key, --identity-token and --ambient-identity")
    signer = (
        key_signer(options.key, options.key_password_file)
        if options.key
        else _identity_signer(options.identity_token, options.trust_config)
    )
    access, deadline, retry = reach(options)
    signed = sign_image(
        options.reference,
        signer,
        formats=formats(options.format),
        name=options.name,
        access=access,
        deadline=deadline,
        retry=retry,
    )
    if console.json:
        console.result(signed.as_dict())
    else:
        console.print(printable(str(signed.reference)))
    return OK


def key_signer(key: Path, password_file: Path | None) -> KeySigner:
    """Sign with a key in a file.

    Raises:
        KeyFileError: the key cannot be used.
        BudgetError: the password's file is too large.
        OSError: a file cannot be read.
    """
    password = read_file(password_file, _LARGEST).rstrip(b"\r\n") if password_file is not None else None
    return KeySigner.load(key, password)


def formats(form: Literal["bundle", "cosign", "both"]) -> tuple[Format, ...]:
    """The forms a signature is to have."""
    return ("bundle", "cosign") if form == "both" else (form,)


def _identity_signer(token: Path | None, trust_config: Path | None) -> Signer:
    trust = Trust(file=trust_config) if trust_config is not None else Trust(tuf="production")
    return IdentitySigner(trust, None if token is None else _token(token))


def _token(path: Path) -> str:
    """The identity token in a file.

    Raises:
        UsageError: the file is not ASCII text, as a token is.
        BudgetError: the file is too large.
        OSError: the file cannot be read.
    """
    try:
        return read_file(path, _LARGEST).decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"not a token: byte {error.start} is not ASCII", path=os.fspath(path)) from None


def _print(console: Console, found: Verification) -> None:
    console.print(printable(str(found.reference)))
    console.print(f"rule    {printable(found.rule)}")
    for signature in found.signatures:
        by = f" by {signature.issuer}" if signature.issuer else ""
        console.print(printable(f"signed  {signature.signer}{by}"))
    if not found.signatures:
        console.print("signed  not required by this rule")
