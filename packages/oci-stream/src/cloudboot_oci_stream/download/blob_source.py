"""Reading a blob from wherever a store begins to send it."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import ContentRangeError, DigestMismatchError, OciError, ShortBodyError
from cloudboot_oci_stream.retry import Attempts
from cloudboot_oci_stream.spec.descriptor import algorithm_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.retry import RetryPolicy
    from cloudboot_oci_stream.spec.descriptor import Descriptor
    from cloudboot_oci_stream.stores.store import Part, Store


def skip(part: Part, position: int) -> None:
    """Pass over what is here already, where the registry sends everything again."""
    if part.start > position:
        raise ContentRangeError("the body starts too late", expected=position, actual=part.start)
    at = part.start
    scratch = memoryview(bytearray(min(1 << 16, position - at)))
    while at < position:
        count = part.readinto(scratch[: position - at])
        if count == 0:
            raise ShortBodyError("the body ended early", offset=at, expected=position)
        at += count


class BlobSource:
    """A blob of a store as the source of an upload: read in order, never held as a whole.

    The last of it is handed out once the digest of all of it is right. Who goes back makes it begin anew.
    """

    def __init__(self, store: Store, descriptor: Descriptor, deadline: Deadline, retry: RetryPolicy) -> None:
        self._store, self._descriptor = store, descriptor
        self._deadline, self._retry = deadline, retry
        self.size = descriptor.size
        self._part: Part | None = None
        self.problem: OciError | None = None
        """What kept the blob from being read, for those who also write and see both kinds of errors."""
        self._begin()

    def _begin(self) -> None:
        self.close()
        self._position = 0
        self._hash = hashlib.new(algorithm_of(self._descriptor.digest))
        self._attempts = Attempts(self._retry, self._deadline, 0, self.size)

    def readinto_at(self, offset: int, buffer: Buffer) -> None:
        """Fill ``buffer`` from ``offset``.

        Raises:
            ContentError: the blob is not what its descriptor says.
            OciError: it does not come.
        """
        if offset < self._position:
            self._begin()
        scratch = memoryview(bytearray(min(1 << 16, offset - self._position)))
        while self._position < offset:
            self._read(scratch[: offset - self._position])
        view = memoryview(buffer).cast("B")
        while view:
            view = view[self._read(view) :]
        if self._position == self.size:
            self._finish()

    def close(self) -> None:
        """Close the connection."""
        if self._part is not None:
            self._part.close()
            self._part = None

    def _read(self, view: memoryview) -> int:
        while True:
            try:
                if self._part is None:
                    self._part = self._store.open_blob(self._descriptor, self._position, self.size, self._deadline)
                    skip(self._part, self._position)
                count = self._part.readinto(view)
                if count == 0:
                    raise ShortBodyError("the body ended early", offset=self._position, expected=self.size)
            except OciError as error:
                self.close()
                self.problem = error
                self._attempts.again(error, self._position)
            else:
                self._hash.update(view[:count])
                self._position += count
                return count

    def _finish(self) -> None:
        if self._part is not None:
            with contextlib.closing(self._part) as part:
                self._part = None
                part.readinto(memoryview(bytearray(1)))  # what follows the last byte must be the end
        actual = f"{algorithm_of(self._descriptor.digest)}:{self._hash.hexdigest()}"
        if actual != self._descriptor.digest:
            self.problem = DigestMismatchError(
                "the bytes are not the ones described", expected=self._descriptor.digest, actual=actual
            )
            raise self.problem
