"""The extra ``sign``: what verifies and makes signatures, and is not installed by default."""

from __future__ import annotations

import importlib.util

from cloudboot_oci_stream.errors import MissingExtraError


def require_extra() -> None:
    """Demand that signatures can be verified: a policy is never passed over because something is not installed.

    Raises:
        MissingExtraError: the extra is not installed.
    """
    if importlib.util.find_spec("sigstore") is None:
        raise MissingExtraError(
            "policies and signatures need the extra 'sign' of cloudboot-oci-stream, which is not installed",
            hint="pip install 'cloudboot-oci-stream[sign]'",
        )
