"""Lists that a registry hands out page by page (OCI Distribution Specification 1.1: referrers, tags)."""

from __future__ import annotations

import re
import urllib.parse
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import ContentError, DescriptorError, ProtocolError, RedirectError, StatusError
from cloudboot_oci_stream.http.access import Origin
from cloudboot_oci_stream.http.transport import media_type_of
from cloudboot_oci_stream.spec.descriptor import digest_of
from cloudboot_oci_stream.spec.manifest import INDEX_TYPE, LARGEST_MANIFEST, Document, parse_index, parse_json, settle
from cloudboot_oci_stream.spec.reference import is_tag

if TYPE_CHECKING:
    from cloudboot_oci_stream.deadline import Deadline
    from cloudboot_oci_stream.http.session import Session
    from cloudboot_oci_stream.http.transport import Response
    from cloudboot_oci_stream.spec.descriptor import Descriptor

MOST_PAGES = 256
MOST_REFERRERS = 1 << 14
MOST_TAGS = 1 << 16

# Without the API a registry answers 404 by the specification; others are seen, and GHCR's 303 leads nowhere.
_NO_API = frozenset({303, 400, 403, 404, 405, 406, 410, 501})
_NEXT = re.compile(r'<([^<>"]*)>(?:\s*;\s*[a-zA-Z]+="?[^",;\s]*"?)*\s*;\s*rel="?next"?', re.IGNORECASE)


def read_pages(session: Session, path: str, deadline: Deadline) -> list[Descriptor] | None:
    """The entries of a list of referrers, all pages of it; ``None`` if the first answer shows that there is no API.

    Raises:
        ProtocolError: too many pages or entries, a page on another server, or a later page that is not an index.
        OciError: the registry could not be asked.
    """
    try:
        page, following = _read(session, session.url(path), deadline)
    except (StatusError, RedirectError, ContentError, DescriptorError) as error:
        if isinstance(error, StatusError) and error.status not in _NO_API:
            raise
        return None
    entries = page
    seen = {session.url(path)}
    while following is not None and len(entries) <= MOST_REFERRERS:
        if following in seen or len(seen) == MOST_PAGES:
            raise ProtocolError("the list of referrers does not end", expected=f"at most {MOST_PAGES} pages")
        seen.add(following)
        page, following = _read(session, following, deadline)
        entries += page
    if len(entries) > MOST_REFERRERS:
        raise ProtocolError("too many referrers", expected=f"at most {MOST_REFERRERS}", actual=len(entries))
    return entries


def read_tags(session: Session, path: str, deadline: Deadline) -> list[str]:
    """The tags of a repository, all pages of the list, sorted.

    Raises:
        ProtocolError: too many pages or tags, a page on another server, or a page that is not a list of tags.
        OciError: the registry could not be asked.
    """
    found: set[str] = set()
    following: str | None = session.url(path)
    seen: set[str] = set()
    while following is not None:
        if following in seen or len(seen) == MOST_PAGES or len(found) > MOST_TAGS:
            raise ProtocolError("the list of tags does not end", expected=f"at most {MOST_PAGES} pages")
        seen.add(following)
        headers = {"Accept": "application/json"}
        with session.request("GET", following, headers=headers, deadline=deadline) as response:
            # A repository whose last tag was deleted has null here (distribution 2.8).
            names = parse_json(response.read_document(LARGEST_MANIFEST)).get("tags") or []
            following = _next(session, response)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ProtocolError("not a list of tags", actual=str(names)[:100])
        found.update(name for name in names if is_tag(name))
    return sorted(found)


def _read(session: Session, url: str, deadline: Deadline) -> tuple[list[Descriptor], str | None]:
    """The entries of one page, and where the next one is."""
    headers = {"Accept": INDEX_TYPE}
    accept = frozenset({200, 303})
    with session.request("GET", url, headers=headers, deadline=deadline, accept=accept) as response:
        if response.status != 200:
            raise StatusError("no list of referrers", status=response.status)
        return _entries(response), _next(session, response)


def _entries(response: Response) -> list[Descriptor]:
    data = response.read_document(LARGEST_MANIFEST)
    return parse_index(settle(Document(data, media_type_of(response), digest_of(data))))


def _next(session: Session, response: Response) -> str | None:
    """The URL of the next page, from the ``Link`` header (RFC 8288)."""
    for value in response.headers.get_all("Link") or ():
        if found := _NEXT.search(value):
            try:
                url: str = urllib.parse.urljoin(response.url, found[1]).partition("#")[0]
            except ValueError:
                raise ProtocolError("a Link that is not a URL") from None
            if Origin.of(url) != session.origin:
                raise ProtocolError("the next page is on another server", expected=str(session.origin))
            return url
    return None
