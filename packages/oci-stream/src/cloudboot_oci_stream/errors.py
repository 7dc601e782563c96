"""What can go wrong between a reference and verified bytes: one type per class of failure.

    OciError
    +-- InvalidReferenceError       the text names no image (also a ValueError)
    +-- DescriptorError             negative size, malformed digest, unknown algorithm ... (also a ValueError)
    +-- NoRoomError                 the bytes do not fit where they are to go
    |   +-- BufferTooSmallError     found before any byte was asked for (also a ValueError)
    +-- ContentError                bytes came, and they are not the ones that were asked for
    |   +-- BodyOverflowError       more bytes than the descriptor promises
    |   +-- ShortBodyError          fewer, and no retry brought the rest (also an EOFError)
    |   |   +-- SourceChangedError  what is pushed became shorter meanwhile
    |   +-- SizeMismatchError       the peer announces another size than the descriptor
    |   +-- DigestMismatchError     the bytes hash to something else
    |   +-- NotAnImageError         no match in an index, several layers, a wrong media type
    |   +-- ManifestTooLargeError   a manifest of more than 4 MiB
    |   +-- ManifestSyntaxError     not the JSON of a manifest, or JSON built to exhaust the reader
    +-- ImageLayoutError            a folder is not an OCI image layout
    +-- RegistryError               the registry answered, but not with what was asked
    |   +-- ProtocolError           an answer that breaks HTTP or the distribution specification
    |   |   +-- NotHttpError           what answers is no HTTP server
    |   |   +-- ContentEncodingError   a body in an encoding that was not asked for
    |   |   +-- ContentRangeError      another range than the one requested
    |   +-- StatusError             a status outside 2xx, with the registry's own code and message
    |       +-- UnauthorizedError   401 and 403 (also a PermissionError)
    |       +-- NotFoundError       404 (also a LookupError); also a tag that a folder lacks
    |       +-- RateLimitedError    429
    +-- RedirectError
    |   +-- RedirectWithoutLocationError
    |   +-- RedirectLoopError       a loop, or too many
    |   +-- RedirectSchemeError     from https to http, or to something else altogether
    +-- CredentialError             the credentials on this machine cannot be read, or no token came of them
    |   +-- TokenServiceError       the token service refuses, or is out of order
    +-- InsecureError               plain HTTP to another machine, without leave
    +-- TransportError              no connection, or it broke (also a ConnectionError)
    |   +-- CertificateError        the peer cannot prove who it is
    |   +-- ProxyError              the proxy cannot be used, or does not pass a request on
    +-- TransferTimeoutError        the deadline passed, or the peer went silent (also a TimeoutError)
    |   +-- SlowPeerError           bytes keep coming, too few to be worth waiting for
    +-- PolicyError                 a policy, or a key or trust root it names, cannot be used (also a ValueError)
    |   +-- KeyFileError            no key, an encrypted one without its password, or one too weak
    +-- SignatureError              an image's signatures do not satisfy the policy
    |   +-- RefusedByPolicyError    the policy refuses images of that name, signed or not
    |   +-- UnsignedError           no signature of the image was found
    |   +-- UntrustedError          there are signatures, and too few of them count; it lists why
    |   +-- BadSignatureError       why one signature does not count
    |       +-- SignatureFormatError    not the JSON, base64, or shape of a signature, or out of bounds
    |       +-- UnsupportedSignatureError  a kind or version this package does not verify
    |       +-- WrongSubjectError       it is about another image, or says so of another repository
    |       +-- WrongSignerError        the signer is not one that the rule names
    |       +-- ForgedSignatureError    the signature does not fit what it is said to sign
    |       +-- SigningCertificateError the certificate does not lead to the trusted root, or not at that time
    |       +-- CertificateLogError     no trusted certificate log vouches for the certificate (the SCT)
    |       +-- TransparencyLogError    entry, inclusion proof, checkpoint or promise of the log do not hold
    |       +-- SigningTimeError        no trusted time of signing
    +-- MissingExtraError           signatures are asked for, and the extra that they need is not installed
    +-- SigstoreError               a service of Sigstore did not do its part
        +-- TrustRootError          the trust root could not be had
        +-- SigningError            no signature could be made

Those named with a builtin exception can be caught as that one, too.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cloudboot_base import Error
from cloudboot_base.command import printable
from cloudboot_base.exit_codes import NO_SPACE, SYSTEM, USAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LONGEST_VALUE = 200


class OciError(Error):
    """An image could not be pushed or fetched.

    ``reference`` is the image as the caller named it (never with credentials), ``digest`` the content concerned,
    ``offset`` in bytes from the start of that content; ``expected`` and ``actual`` are the values compared. ``hint``
    says what the user can do next. ``exit_code`` is what the command ends with.
    """

    def __init__(
        self,
        message: str,
        *,
        reference: str | None = None,
        digest: str | None = None,
        offset: int | None = None,
        expected: object = None,
        actual: object = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.reference = reference
        self.digest = digest
        self.offset = offset
        self.expected = expected
        self.actual = actual

    @property
    def reason(self) -> str:
        """The message with the values compared, without what it is about."""
        values = [
            f"{name} {_shown(value)}"
            for name, value in (("expected", self.expected), ("found", self.actual))
            if value is not None
        ]
        return f"{self.message} ({', '.join(values)})" if values else self.message

    def __str__(self) -> str:
        subject = self.reference or ""
        if self.digest is not None and self.digest not in subject:
            subject = f"{subject} {self.digest}".lstrip()
        if self.offset is not None:
            subject = f"{subject} at byte {self.offset}".lstrip()
        return printable(f"{subject}: {self.reason}" if subject else self.reason)

    @property
    def retryable(self) -> bool:
        """Whether asking again may help."""
        return False

    def facts(self) -> dict[str, object]:
        """Reference, digest, offset, and the values compared."""
        return {
            "reference": self.reference,
            "digest": self.digest,
            "offset": self.offset,
            "expected": self.expected,
            "actual": self.actual,
        }


class InvalidReferenceError(OciError, ValueError):
    """The text names no image."""

    exit_code = USAGE


class DescriptorError(OciError, ValueError):
    """A descriptor that nothing can be fetched by."""


class NoRoomError(OciError):
    """The bytes do not fit where they are to go."""

    exit_code = NO_SPACE


class BufferTooSmallError(NoRoomError, ValueError):
    """The buffer cannot take the blob; nothing was asked of the registry and the buffer is as it was."""


class ContentError(OciError):
    """Bytes came, and they are not the ones that were asked for."""


class BodyOverflowError(ContentError):
    """The peer sends more bytes than the descriptor promises."""


class ShortBodyError(ContentError, EOFError):
    """The peer ended before the descriptor's size was reached, and no retry brought the rest."""

    @property
    def retryable(self) -> bool:
        """A cut connection is resumed from where it broke."""
        return True


class SourceChangedError(ShortBodyError):
    """What is pushed became shorter while it was read."""

    @property
    def retryable(self) -> bool:
        """Nothing brings the bytes back."""
        return False


class SizeMismatchError(ContentError):
    """The peer announces another size than the descriptor."""


class DigestMismatchError(ContentError):
    """The bytes hash to something else."""


class NotAnImageError(ContentError):
    """The reference resolves to something other than one disk image."""


class ManifestTooLargeError(ContentError):
    """A manifest larger than 4 MiB, the size that every registry must accept."""


class ManifestSyntaxError(ContentError):
    """Not the JSON of a manifest, or JSON built to exhaust whoever parses it."""


class ImageLayoutError(OciError):
    """A folder is not an OCI image layout."""


class RegistryError(OciError):
    """The registry answered, but not with what was asked."""

    exit_code = 8


class ProtocolError(RegistryError):
    """An answer that breaks HTTP or the distribution specification."""


class NotHttpError(ProtocolError):
    """What answers is not HTTP, or not of the form that was asked for: TLS instead of plain HTTP, or the reverse."""


class ContentEncodingError(ProtocolError):
    """A body in an encoding that was not asked for: its bytes are not the ones that were hashed."""


class ContentRangeError(ProtocolError):
    """The registry answers a range request with another range."""


class StatusError(RegistryError):
    """A status outside 2xx (``None`` for a folder). ``code`` is the registry's own error code, where it sent one."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None,
        code: str | None = None,
        retry_after: float | None = None,
        reference: str | None = None,
        digest: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, reference=reference, digest=digest, hint=hint, expected=expected, actual=status)
        self.status = status
        self.code = code
        self.retry_after = retry_after

    @property
    def retryable(self) -> bool:
        """Whether the status speaks of a passing condition."""
        return self.status in {408, 425, 429, 500, 502, 503, 504}

    def as_dict(self) -> dict[str, object]:
        """The facts of the error, ready for JSON."""
        facts = {"status": self.status, "code": self.code, "retry_after": self.retry_after}
        return super().as_dict() | {name: value for name, value in facts.items() if value is not None}


class UnauthorizedError(StatusError, PermissionError):
    """The registry wants other credentials, or none will do."""

    exit_code = 7


class NotFoundError(StatusError, LookupError):
    """There is no such manifest, blob or repository; many registries say the same of one that is private."""

    exit_code = 6


class RateLimitedError(StatusError):
    """Too many requests; ``retry_after`` is in seconds, where the registry said when to come back."""

    exit_code = 9


class RedirectError(OciError):
    """The registry sends the client somewhere it does not go."""

    exit_code = 8


class RedirectWithoutLocationError(RedirectError):
    """A redirect that does not say where to."""


class RedirectLoopError(RedirectError):
    """The redirects come back to where they were, or do not end."""


class RedirectSchemeError(RedirectError):
    """A redirect from https to http, or to a scheme that is neither."""


class CredentialError(OciError):
    """The credentials on this machine cannot be read, or no token came of them."""

    exit_code = 7


class TokenServiceError(CredentialError):
    """The token service answers with another status than 200, which is ``actual``."""

    @property
    def retryable(self) -> bool:
        """Whether the status speaks of a passing condition."""
        return self.actual in {408, 429, 500, 502, 503, 504}


class InsecureError(OciError):
    """Plain HTTP to another machine, without leave."""

    exit_code = USAGE


class TransportError(OciError, ConnectionError):
    """No connection, or it broke. ``is_first_contact`` tells that the peer has never answered before."""

    exit_code = 10

    def __init__(
        self,
        message: str,
        *,
        is_first_contact: bool = False,
        expected: object = None,
        actual: object = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, expected=expected, actual=actual, hint=hint)
        self.is_first_contact = is_first_contact

    @property
    def retryable(self) -> bool:
        """A broken connection is made anew."""
        return True


class CertificateError(TransportError):
    """The peer cannot prove that it is the registry."""

    @property
    def retryable(self) -> bool:
        """It will not know better the next time."""
        return False


class ProxyError(TransportError):
    """The proxy that the environment names cannot be used, or does not pass a request on (``status``)."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        expected: object = None,
        actual: object = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, is_first_contact=True, expected=expected, actual=actual, hint=hint)
        self.status = status

    @property
    def retryable(self) -> bool:
        """A proxy that cannot reach the registry may do so later."""
        return self.status is not None and self.status >= 500


class TransferTimeoutError(OciError, TimeoutError):
    """The deadline passed, or the peer went silent. ``is_first_contact`` tells that it has never answered before."""

    exit_code = 11

    def __init__(
        self,
        message: str,
        *,
        final: bool = False,
        is_first_contact: bool = False,
        offset: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, offset=offset, hint=hint)
        self._final = final
        self.is_first_contact = is_first_contact

    @property
    def retryable(self) -> bool:
        """A silent peer is asked again; a deadline is final."""
        return not self._final


class SlowPeerError(TransferTimeoutError):
    """Bytes keep coming, too few to be worth waiting for."""


class PolicyError(OciError, ValueError):
    """A policy, or a key or trust root it names, cannot be used."""

    exit_code = USAGE


class KeyFileError(PolicyError):
    """No key, an encrypted one without its password, or one too weak."""


class SignatureError(OciError):
    """An image's signatures do not satisfy the policy."""

    exit_code = 13


class RefusedByPolicyError(SignatureError):
    """The policy refuses images of that name, signed or not; or no rule is for them, and it refuses those."""


class UnsignedError(SignatureError):
    """No signature of the image was found."""


class UntrustedError(SignatureError):
    """There are signatures, and too few of them count. ``refusals`` says of each of the others why it does not."""

    def __init__(self, message: str, *, refusals: Sequence[BadSignatureError], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.refusals = tuple(refusals)

    def as_dict(self) -> dict[str, object]:
        """The facts of the error, ready for JSON."""
        return super().as_dict() | {"refusals": [refusal.as_dict() for refusal in self.refusals]}


class BadSignatureError(SignatureError):
    """Why one signature does not count; ``digest`` is the blob that holds it."""


class SignatureFormatError(BadSignatureError):
    """Not the JSON, base64, or shape of a signature, or out of bounds."""


class UnsupportedSignatureError(BadSignatureError):
    """A kind or version of signature that this package does not verify."""


class WrongSubjectError(BadSignatureError):
    """It is about another image, or says that it is about one of another repository."""


class WrongSignerError(BadSignatureError):
    """The signer is not one that the rule names."""


class ForgedSignatureError(BadSignatureError):
    """The signature does not fit what it is said to sign, under any key of the rule."""


class SigningCertificateError(BadSignatureError):
    """The certificate does not lead to the trusted root, was not valid at the time, or is for another use."""


class CertificateLogError(BadSignatureError):
    """No trusted certificate log vouches for the certificate: its signed certificate timestamp does not hold."""


class TransparencyLogError(BadSignatureError):
    """Entry, inclusion proof, checkpoint or promise of the transparency log do not hold."""


class SigningTimeError(BadSignatureError):
    """No trusted time of signing: neither a timestamp authority nor the log vouches for one."""


class MissingExtraError(OciError):
    """Signatures are asked for, and the extra that they need is not installed."""

    exit_code = SYSTEM


class SigstoreError(OciError):
    """A service of Sigstore did not do its part."""

    exit_code = 14


class TrustRootError(SigstoreError):
    """The trust root could not be had."""


class SigningError(SigstoreError):
    """No signature could be made."""


@contextlib.contextmanager
def about(*, reference: object = None, digest: str | None = None) -> Iterator[None]:
    """Say of every error that leaves the block which image and content it is about, unless it says so itself."""
    try:
        yield
    except OciError as error:
        if error.reference is None and reference is not None:
            error.reference = str(reference)
        if error.digest is None:
            error.digest = digest
        raise


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
