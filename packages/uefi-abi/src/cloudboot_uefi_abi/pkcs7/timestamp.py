"""TSTInfo: what a time stamping authority states about a signature (RFC 3161 section 2.4.2)."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_uefi_abi.errors import SignedDataError

from .der import GENERALIZED_TIME, INTEGER, OCTET_STRING, SEQUENCE, Element
from .signed_data import DIGESTS

if TYPE_CHECKING:
    from typing_extensions import Buffer

_STRUCTURE: Final = "TSTInfo"
_TIME: Final = re.compile(rb"(\d{14})(?:\.\d+)?Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class TimestampInfo:
    """When something was there: ``digest`` is that of the stamped bytes, ``time`` is UTC without fractions of a second.

    ``algorithm`` is a name of :mod:`hashlib`, or the object identifier of one that is not known.
    """

    version: int
    policy: str
    algorithm: str
    digest: bytes
    time: dt.datetime

    @classmethod
    def parse(cls, data: Buffer) -> TimestampInfo:
        """Read a TSTInfo; its optional members are not looked at.

        Raises:
            SignedDataError: it is not one.
        """
        outer = Element.read(bytes(memoryview(data))).expect(SEQUENCE, _STRUCTURE)
        parts = list(outer)
        if len(parts) < 5:
            raise SignedDataError(
                "too few elements", structure=_STRUCTURE, offset=outer.offset, expected=5, actual=len(parts)
            )
        imprint = list(parts[2].expect(SEQUENCE, "MessageImprint"))
        algorithm = list(imprint[0].expect(SEQUENCE, "AlgorithmIdentifier")) if imprint else []
        if len(imprint) != 2 or not algorithm:
            raise SignedDataError("not an algorithm and a digest", structure="MessageImprint", offset=parts[2].offset)
        name = algorithm[0].identifier()
        return cls(
            int.from_bytes(parts[0].expect(INTEGER, _STRUCTURE).content, "big", signed=True),
            parts[1].identifier(),
            DIGESTS.get(name, name),
            imprint[1].expect(OCTET_STRING, "MessageImprint").content,
            _time(parts[4].expect(GENERALIZED_TIME, _STRUCTURE)),
        )


def _time(element: Element) -> dt.datetime:
    found = _TIME.fullmatch(element.content)
    try:
        if found is not None:
            return dt.datetime.strptime(f"{found[1].decode()}+0000", "%Y%m%d%H%M%S%z")
    except ValueError:  # no such day, or no such time
        pass
    raise SignedDataError(
        "not a time", structure=_STRUCTURE, field="genTime", offset=element.offset, expected="YYYYMMDDhhmmss[.s]Z",
        actual=element.content,
    )  # fmt: skip
