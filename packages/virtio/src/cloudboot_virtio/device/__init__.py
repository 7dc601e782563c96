"""The device side of a virtqueue: what a vhost-user back end or a fake device works with."""

from .chain import DeviceChain, GuestMemory
from .packed import PackedDeviceRing
from .split import SplitDeviceRing

__all__ = ["DeviceChain", "GuestMemory", "PackedDeviceRing", "SplitDeviceRing"]
