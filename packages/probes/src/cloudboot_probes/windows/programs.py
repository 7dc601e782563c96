"""Whether a Windows program is whole: its format, processor, checksum, and the digest in its signature."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cloudboot_base import FormatError
from cloudboot_probes.errors import WindowsBootError
from cloudboot_probes.loader import MACHINES
from cloudboot_uefi_abi.pe import PEImage, authenticode_digest, certificates, checksum

from .status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping


def examine_program(data: bytes, path: str, architecture: str) -> Mapping[str, object]:
    """The facts of a PE image.

    A signature holds the digest of the image in clear, among what it signs. That it is there is found by its bytes; who
    signed is not looked at.

    Raises:
        WindowsBootError: it is no program for the architecture, or some of its bytes are not those that were signed.
    """
    shown = path.replace("/", "\\")
    facts: dict[str, object] = {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    try:
        image = PEImage.parse(data)
        signatures = certificates(image)
        digests = {name: authenticode_digest(image, name) for name in ("sha256", "sha1")} if signatures else {}
    except FormatError as error:
        raise WindowsBootError(
            f"{path} is no program: {error}", status=Status.INVALID_IMAGE_FORMAT, file=shown, evidence=facts
        ) from None
    facts |= {"machine": image.machine.name, "subsystem": image.subsystem.name, "signatures": len(signatures)}
    if image.machine is not MACHINES.get(architecture):
        raise WindowsBootError(
            f"{path} is a program for {image.machine.name}, not for {architecture}",
            status=Status.INVALID_IMAGE_FORMAT, file=shown, evidence=facts,
        )  # fmt: skip
    stated = image.optional.CheckSum
    if stated and stated != checksum(image):
        raise WindowsBootError(
            f"{path} states the checksum {stated:#x} and has {checksum(image):#x}: some of its bytes were changed",
            status=Status.IMAGE_CHECKSUM_MISMATCH, file=shown, evidence=facts,
        )  # fmt: skip
    if signatures and not any(digest in each.data for each in signatures for digest in digests.values()):
        raise WindowsBootError(
            f"{path} is not as it was signed: no signature in it holds its digest",
            status=Status.IMAGE_CHECKSUM_MISMATCH, file=shown, evidence=facts,
        )  # fmt: skip
    return facts
