"""Tagged unions in which unknown tags survive: device-path nodes, attributes, cells, capabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from cloudboot_base.lightdata import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from .cursor import Cursor

Tag = TypeVar("Tag")
Member_ = TypeVar("Member_", bound="type[Member]")


class Member(Protocol):
    """A member of a family: it is parsed from a cursor over its own bytes, and packs into the same bytes."""

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        """Read the member; ``cursor`` ends where the member does."""

    def pack(self) -> bytes:
        """The member's bytes, without the head that carries tag and length."""


@dataclass(frozen=True, slots=True)
class Unknown(Generic[Tag]):
    """A member whose tag no codec is registered for; its bytes are kept as they are."""

    tag: Tag
    data: bytes

    def pack(self) -> bytes:
        """The bytes that were read."""
        return self.data


class TaggedFamily(Generic[Tag]):
    """Which codec reads the member of a tag.

    A family is filled once, while its module is imported, and does not change afterwards::

        NODES: TaggedFamily[tuple[int, int]] = TaggedFamily("device-path node")

        @NODES.member((4, 4))
        @dataclass(frozen=True)
        class FilePath: ...
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._members: dict[Tag, type[Member]] = {}

    def member(self, *tags: Tag) -> Callable[[Member_], Member_]:
        """A class decorator that registers a codec for ``tags``.

        Raises:
            ValueError: a tag has a codec already.
        """

        def register(codec: Member_) -> Member_:
            for tag in tags:
                if tag in self._members:
                    raise ValueError(f"{self.name} {tag} is registered twice")
                self._members[tag] = codec
            return codec

        return register

    def parse(self, tag: Tag, cursor: Cursor) -> Member | Unknown[Tag]:
        """The member that ``cursor`` holds from its position to its end; raises what its codec raises."""
        codec = self._members.get(tag)
        return Unknown(tag, cursor.rest()) if codec is None else codec.parse(cursor)

    def codec(self, tag: Tag) -> type[Member] | None:
        """The codec of ``tag``, or ``None``."""
        return self._members.get(tag)

    def __iter__(self) -> Iterator[Tag]:
        return iter(self._members)

    def __contains__(self, tag: object) -> bool:
        return tag in self._members
