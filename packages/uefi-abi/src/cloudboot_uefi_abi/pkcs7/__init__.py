"""PKCS #7 SignedData, as signatures of variables and of images have it (RFC 2315, RFC 5652): read, not verified."""

from __future__ import annotations

from .der import Element
from .signed_data import DIGESTS, SignedData, Signer
from .timestamp import TimestampInfo

__all__ = ["DIGESTS", "Element", "SignedData", "Signer", "TimestampInfo"]
