"""Modern virtio-pci over any bus: configuration space, BARs, capabilities, transport (virtio 1.2, 4.1)."""

from .host import PciFunction, PciHost
from .transport import PciTransport

__all__ = ["PciFunction", "PciHost", "PciTransport"]
