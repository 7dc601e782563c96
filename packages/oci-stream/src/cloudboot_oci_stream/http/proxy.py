"""The proxy that the environment names for a server, by the rules that curl and Go's clients share.

``https_proxy`` and ``http_proxy`` are for servers of that scheme, ``all_proxy`` for both; ``no_proxy`` lists what is
reached directly: host names (with all below them), addresses, networks in CIDR notation, each with or without a port.
Names in lower case go before those in upper case.
"""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import os
import re
import urllib.parse
from typing import TYPE_CHECKING

from cloudboot_oci_stream.errors import ProtocolError, ProxyError
from cloudboot_oci_stream.http.access import Origin
from cloudboot_oci_stream.spec.reference import address_of, is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENTRY = re.compile(r"\[(?P<address>[0-9a-fA-F:.]+)\](?::(?P<port6>[0-9]+))?|(?P<name>[^:\[\]]+)(?::(?P<port>[0-9]+))?")


@dataclasses.dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, and the header fields that it wants."""

    origin: Origin
    headers: Mapping[str, str] = dataclasses.field(repr=False)


def proxy_for(origin: Origin) -> Proxy | None:
    """The proxy that the environment names for ``origin``; this machine's own registries never go through one.

    Raises:
        ProxyError: the variable does not name an HTTP proxy. The message does not quote its value, which may hold a
            password.
    """
    if is_loopback(origin.host) or is_exempt(origin, _variable("no_proxy")[1]):
        return None
    name, value = _variable(f"{origin.scheme}_proxy")
    if not value:
        name, value = _variable("all_proxy")
    if not value:
        return None
    url = value if "://" in value else f"http://{value}"
    hint = f"set {name} to http://HOST:PORT, or list the registry in no_proxy"
    scheme = url.partition("://")[0].lower()
    if scheme != "http":
        kind = scheme if re.fullmatch("[a-z0-9+.-]{1,20}", scheme) else "unknown"
        raise ProxyError(
            f"{name} names a proxy of a kind that is not supported", expected="http", actual=kind, hint=hint
        )
    try:
        where = Origin.of(url)
        parts = urllib.parse.urlsplit(url)
        user, password = parts.username, parts.password
    except (ProtocolError, ValueError):
        raise ProxyError(f"{name} is not the URL of a proxy", hint=hint) from None
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        # A password with one of "/?#" in it, not percent-encoded: what looks like host and port is part of it.
        raise ProxyError(f"{name} is not the URL of a proxy", hint=hint)
    if user is None:
        return Proxy(where, {})
    pair = urllib.parse.unquote_to_bytes(user) + b":" + urllib.parse.unquote_to_bytes(password or "")
    return Proxy(where, {"Proxy-Authorization": "Basic " + base64.b64encode(pair).decode()})


def is_exempt(origin: Origin, exemptions: str) -> bool:
    """Whether ``exemptions``, in the form of ``no_proxy``, list the server."""
    address = address_of(origin.host)
    for entry in re.split(r"[,\s]+", exemptions.lower()):
        if entry == "*":
            return True
        if not entry:
            continue
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            pass
        else:
            if address is not None and address in network:
                return True
            continue
        if _is_named(origin, address, entry):
            return True
    return False


def _is_named(origin: Origin, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, entry: str) -> bool:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return False
    port = found["port6"] or found["port"]
    if port is not None and int(port[:9]) != origin.port:
        return False
    if found["address"] is not None:
        try:
            return address == ipaddress.ip_address(found["address"])
        except ValueError:
            return False
    name = found["name"].rstrip(".")
    if name.startswith(("*.", ".")):
        return origin.host.endswith(name.lstrip("*"))
    return origin.host == name or (address is None and origin.host.endswith("." + name))


def _variable(name: str) -> tuple[str, str]:
    """A variable of the environment, in lower case or in upper case: its name and its value."""
    if value := os.environ.get(name, "").strip():
        return name, value
    upper = name.upper()
    # A web server passes a client's "Proxy" header to a CGI program as HTTP_PROXY.
    if upper == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ:
        return upper, ""
    return upper, os.environ.get(upper, "").strip()
