"""Messaging nodes of networks (UEFI 2.10 section 10.3.4)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Final, Self

from cloudboot_base.lightdata import dataclass

from .arguments import guid_from, guid_text, ipv4_text, ipv6_text, is_plain
from .node import LayoutError, Node, generic_text, keyword, node

if TYPE_CHECKING:
    from uuid import UUID

    from .arguments import Arguments

__all__ = [
    "Bluetooth", "BluetoothLe", "Dns", "Infiniband", "Ipv4", "Ipv6", "MacAddress", "RestService", "Uri", "Vlan", "Wifi",
]  # fmt: skip

_PROTOCOLS: Final = {"TCP": 6, "UDP": 17}
_PROTOCOL_NAMES: Final = {number: name for name, number in _PROTOCOLS.items()}


@node(3, 9)
@dataclass(frozen=True, slots=True)
class Infiniband(Node):
    """An InfiniBand device: resource flags, port's identifier, service or IOC, target port, device."""

    flags: int
    port_guid: UUID
    service: int
    target: int
    device: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<I16sQQQ")

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """The fields, the port's identifier as a GUID."""
        if len(body) != cls.LAYOUT.size:
            raise LayoutError
        flags, guid, service, target, device = cls.LAYOUT.unpack(body)
        return cls(flags, guid_from(guid), service, target, device)

    def body(self) -> bytes:
        """The fields."""
        return self._packed(self.LAYOUT, self.flags, self.port_guid.bytes_le, self.service, self.target, self.device)

    def _plain(self) -> str:
        """``Infiniband(0x3,C10DDB00-...,0x1,0x2,0x3)``."""
        numbers = f"0x{self.service:X},0x{self.target:X},0x{self.device:X}"
        return f"Infiniband(0x{self.flags:X},{guid_text(self.port_guid)},{numbers})"


@keyword("Infiniband")
def _infiniband(arguments: Arguments) -> Node:
    flags, guid = arguments.integer(32), arguments.guid()
    return Infiniband(flags, guid, arguments.integer(64), arguments.integer(64), arguments.integer(64))


@node(3, 11)
@dataclass(frozen=True, slots=True)
class MacAddress(Node):
    """A network interface: its address, padded with zeros to 32 bytes, and its type (RFC 3232; 1: Ethernet)."""

    address: bytes
    interface_type: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32sB")

    def _plain(self) -> str:
        """``MAC(525400123456,0x1)``: six bytes for types 0 and 1, all 32 for the others."""
        size = 6 if self.interface_type <= 1 else 32
        return f"MAC({self.address[:size].hex().upper()},0x{self.interface_type:X})"

    def is_lossless(self) -> bool:
        """What the text leaves out of the address is zero."""
        return self.interface_type > 1 or not any(self.address[6:])


@keyword("MAC")
def _mac(arguments: Arguments) -> Node:
    address, kind = arguments.hexdump(), arguments.integer(8, 0)
    if len(address) > 32:
        raise arguments.error("an address has at most 32 bytes", expected=32, actual=len(address))
    return MacAddress(address.ljust(32, b"\0"), kind)


def _protocol_text(protocol: int) -> str:
    return _PROTOCOL_NAMES.get(protocol) or f"0x{protocol:X}"


@node(3, 12)
@dataclass(frozen=True, slots=True)
class Ipv4(Node):
    """An IPv4 connection. ``gateway`` and ``subnet_mask`` are missing together in nodes older than UEFI 2.3.1."""

    local: bytes
    remote: bytes
    local_port: int = 0
    remote_port: int = 0
    protocol: int = 0
    static: int = 0
    gateway: bytes | None = bytes(4)
    subnet_mask: bytes | None = bytes(4)

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<4s4sHHHB4s4s")
    SHORT: ClassVar[struct.Struct] = struct.Struct("<4s4sHHHB")

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Both lengths of the node."""
        if len(body) == cls.SHORT.size:
            local, remote, local_port, remote_port, protocol, static = cls.SHORT.unpack(body)
            return cls(local, remote, local_port, remote_port, protocol, static, None, None)
        if len(body) != cls.LAYOUT.size:
            raise LayoutError
        return cls(*cls.LAYOUT.unpack(body))

    def body(self) -> bytes:
        """The fields."""
        head = (self.local, self.remote, self.local_port, self.remote_port, self.protocol, self.static)
        if self.gateway is None:
            return self._packed(self.SHORT, *head)
        return self._packed(self.LAYOUT, *head, self.gateway, self.subnet_mask)

    def _plain(self) -> str:
        """``IPv4(10.0.2.2,UDP,Static,10.0.2.15,10.0.2.1,255.255.255.0)``."""
        return self._with_ports(0, 0)

    def _displayed(self) -> str:
        """The remote address only."""
        return f"IPv4({ipv4_text(self.remote)})"

    def _with_ports(self, local_port: int, remote_port: int) -> str:
        remote, local = ipv4_text(self.remote, remote_port), ipv4_text(self.local, local_port)
        text = f"IPv4({remote},{_protocol_text(self.protocol)},{'Static' if self.static else 'DHCP'},{local}"
        if self.gateway is None or self.subnet_mask is None:
            return text + ")"
        return f"{text},{ipv4_text(self.gateway)},{ipv4_text(self.subnet_mask)})"

    def is_lossless(self) -> bool:
        """The node has its full length, and no ports, which EDK2's text has not."""
        return self.gateway is not None and self.static <= 1 and not self.local_port and not self.remote_port

    def _exact(self) -> str:
        """With the ports, where there are any, as the specification writes them (section 10.6.1.6)."""
        if self.gateway is None or self.static > 1:
            return generic_text(self)
        return self._with_ports(self.local_port, self.remote_port)


@keyword("IPv4")
def _ipv4(arguments: Arguments) -> Node:
    (remote, remote_port), protocol = arguments.ipv4(), arguments.choice(_PROTOCOLS, 16, 17)
    static = arguments.choice({"Static": 1, "DHCP": 0}, 1, 0)
    local, local_port = arguments.ipv4("0.0.0.0")  # noqa: S104 -- an address of the node, not one to listen on
    gateway, mask = arguments.ipv4("0.0.0.0")[0], arguments.ipv4("0.0.0.0")[0]  # noqa: S104 -- as above
    return Ipv4(local, remote, local_port, remote_port, protocol, static, gateway, mask)


_ORIGINS: Final = {"Static": 0, "StatelessAutoConfigure": 1, "StatefulAutoConfigure": 2}
_ORIGIN_NAMES: Final = {number: name for name, number in _ORIGINS.items()}


@node(3, 13)
@dataclass(frozen=True, slots=True)
class Ipv6(Node):
    """An IPv6 connection; ``prefix_length`` in bits belongs to the local address."""

    local: bytes
    remote: bytes
    local_port: int = 0
    remote_port: int = 0
    protocol: int = 0
    origin: int = 0
    prefix_length: int = 0
    gateway: bytes = bytes(16)

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<16s16sHHHBB16s")

    def _plain(self) -> str:
        """``IPv6(remote,UDP,Static,local,0x40,gateway)``."""
        return self._with_ports(0, 0)

    def _displayed(self) -> str:
        """The remote address only."""
        return f"IPv6({ipv6_text(self.remote)})"

    def _with_ports(self, local_port: int, remote_port: int) -> str:
        remote, local = ipv6_text(self.remote, remote_port), ipv6_text(self.local, local_port)
        origin = _ORIGIN_NAMES.get(self.origin, "StatefulAutoConfigure")
        tail = f"{origin},{local},0x{self.prefix_length:X},{ipv6_text(self.gateway)}"
        return f"IPv6({remote},{_protocol_text(self.protocol)},{tail})"

    def is_lossless(self) -> bool:
        """There are no ports, which EDK2's text has not."""
        return self.origin in _ORIGIN_NAMES and not self.local_port and not self.remote_port

    def _exact(self) -> str:
        """With the ports, where there are any, as the specification writes them (section 10.6.1.6)."""
        if self.origin not in _ORIGIN_NAMES:
            return generic_text(self)
        return self._with_ports(self.local_port, self.remote_port)


@keyword("IPv6")
def _ipv6(arguments: Arguments) -> Node:
    (remote, remote_port), protocol = arguments.ipv6(), arguments.choice(_PROTOCOLS, 16, 17)
    origin = arguments.choice(_ORIGINS, 8, 0)
    local, local_port = arguments.ipv6("::")
    prefix, gateway = arguments.integer(8, 0), arguments.ipv6("::")[0]
    return Ipv6(local, remote, local_port, remote_port, protocol, origin, prefix, gateway)


@node(3, 20)
@dataclass(frozen=True, slots=True)
class Vlan(Node):
    """A virtual LAN by its identifier."""

    vlan_id: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<H")

    def _plain(self) -> str:
        """``Vlan(100)``."""
        return f"Vlan({self.vlan_id})"


@keyword("Vlan")
def _vlan(arguments: Arguments) -> Node:
    return Vlan(arguments.integer(16))


@node(3, 24)
@dataclass(frozen=True, slots=True)
class Uri(Node):
    """A URI (RFC 3986); bytes outside ASCII as Latin-1."""

    uri: str

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """All of the body."""
        return cls(body.decode("latin-1"))

    def body(self) -> bytes:
        """The URI, without a null."""
        return self.uri.encode("latin-1")

    def _plain(self) -> str:
        """``Uri(http://x.y/z)``."""
        return f"Uri({self.uri})"

    def is_lossless(self) -> bool:
        """The URI fits into an argument."""
        return is_plain(self.uri)


@keyword("Uri")
def _uri(arguments: Arguments) -> Node:
    uri = arguments.rest()
    if any(each > "\xff" for each in uri):
        raise arguments.error("a URI is ASCII", actual=uri)
    return Uri(uri)


@node(3, 27)
@dataclass(frozen=True, slots=True)
class Bluetooth(Node):
    """A Bluetooth device by its address, six bytes."""

    address: bytes

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<6s")

    def _plain(self) -> str:
        """``Bluetooth(112233445566)``."""
        return f"Bluetooth({self.address.hex().upper()})"


@keyword("Bluetooth")
def _bluetooth(arguments: Arguments) -> Node:
    return Bluetooth(arguments.hexdump(6))


@node(3, 30)
@dataclass(frozen=True, slots=True)
class BluetoothLe(Node):
    """A Bluetooth Low Energy device: address, address type (0 public, 1 random)."""

    address: bytes
    address_type: int

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<6sB")

    def _plain(self) -> str:
        """``BluetoothLE(112233445566,0x01)``."""
        return f"BluetoothLE({self.address.hex().upper()},0x{self.address_type:02X})"


@keyword("BluetoothLE")
def _bluetooth_le(arguments: Arguments) -> Node:
    return BluetoothLe(arguments.hexdump(6), arguments.integer(8, 0))


@node(3, 28)
@dataclass(frozen=True, slots=True)
class Wifi(Node):
    """A Wi-Fi network by its SSID, padded with zeros to 32 bytes."""

    ssid: bytes

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<32s")

    def _plain(self) -> str:
        """``Wi-Fi(ssid)``."""
        return f"Wi-Fi({self.ssid.partition(bytes(1))[0].decode('latin-1')})"

    def is_lossless(self) -> bool:
        """Zeros are at the end only, and the name fits into an argument."""
        name = self.ssid.rstrip(b"\0").decode("latin-1")
        return "\0" not in name and bool(name) and is_plain(name) and name == name.strip(" ")


@keyword("Wi-Fi")
def _wifi(arguments: Arguments) -> Node:
    name = arguments.word()
    if len(name) > 32 or not name.isascii():
        raise arguments.error("an SSID has at most 32 bytes", expected=32, actual=name)
    return Wifi(name.encode("ascii").ljust(32, b"\0"))


@node(3, 31)
@dataclass(frozen=True, slots=True)
class Dns(Node):
    """DNS servers: whether they are IPv6, and their addresses in 16 bytes each (the first four of an IPv4 address)."""

    is_ipv6: int
    servers: tuple[bytes, ...]

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """The flag, then addresses."""
        if len(body) % 16 != 1:
            raise LayoutError
        return cls(body[0], tuple(body[start : start + 16] for start in range(1, len(body), 16)))

    def body(self) -> bytes:
        """The flag and the addresses."""
        return self._packed(struct.Struct("<B" + "16s" * len(self.servers)), self.is_ipv6, *self.servers)

    def _plain(self) -> str:
        """``Dns(8.8.8.8)``."""
        servers = (ipv6_text(server) if self.is_ipv6 else ipv4_text(server[:4]) for server in self.servers)
        return f"Dns({','.join(servers)})"

    def is_lossless(self) -> bool:
        """There is a server, and zeros follow an IPv4 address."""
        if self.is_ipv6:
            return self.is_ipv6 == 1 and bool(self.servers)
        return bool(self.servers) and not any(any(server[4:]) for server in self.servers)


@keyword("Dns")
def _dns(arguments: Arguments) -> Node:
    is_ipv6 = int(":" in arguments.whole)
    servers = []
    while arguments.remaining:
        servers.append(arguments.ipv6()[0] if is_ipv6 else arguments.ipv4()[0].ljust(16, b"\0"))
    return Dns(is_ipv6, tuple(servers))


_VENDOR_SERVICE: Final = 0xFF


@node(3, 33)
@dataclass(frozen=True, slots=True)
class RestService(Node):
    """A REST service (1 Redfish, 2 OData, 0xFF a vendor's) and access mode (1 in-band, 2 out-of-band).

    A vendor's service has its GUID and data of its own.
    """

    service: int
    access_mode: int
    vendor: UUID | None = None
    data: bytes = b""

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("<BB")

    @classmethod
    def unpack(cls, body: bytes) -> Self:
        """Two numbers; a vendor's GUID and data for service 0xFF."""
        if len(body) == 2 and body[0] != _VENDOR_SERVICE:
            return cls(body[0], body[1])
        if len(body) < 18 or body[0] != _VENDOR_SERVICE:
            raise LayoutError
        return cls(body[0], body[1], guid_from(body[2:18]), body[18:])

    def body(self) -> bytes:
        """The numbers, and a vendor's GUID and data."""
        vendor = b"" if self.vendor is None else self.vendor.bytes_le + self.data
        return self._packed(self.LAYOUT, self.service, self.access_mode) + vendor

    def _plain(self) -> str:
        """``RestService(0x1,0x2)``, or ``RestService(0xFF,0x1,GUID,DATA)``."""
        vendor = "" if self.vendor is None else f",{guid_text(self.vendor)}"
        data = f",{self.data.hex().upper()}" if self.data else ""
        return f"RestService(0x{self.service:X},0x{self.access_mode:X}{vendor}{data})"


@keyword("RestService")
def _rest_service(arguments: Arguments) -> Node:
    service, mode = arguments.integer(8), arguments.integer(8)
    if service != _VENDOR_SERVICE:
        return RestService(service, mode)
    return RestService(service, mode, arguments.guid(), arguments.hexdump(default=""))
