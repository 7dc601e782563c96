"""Device paths, every node of UEFI 2.10 both ways between bytes and text (chapter 10)."""

from __future__ import annotations

from .acpi import Acpi, AcpiAdr, AcpiExtended, NvdimmAcpiAdr, eisa_id, eisa_text
from .hardware import Bmc, Controller, MemoryMapped, PcCard, Pci, VendorHardware
from .media import (
    Bbs,
    CdRom,
    FilePath,
    FirmwareFile,
    FirmwareVolume,
    HardDrive,
    MediaProtocol,
    Offset,
    RamDisk,
    VendorMedia,
)
from .messaging_network import (
    Bluetooth,
    BluetoothLe,
    Dns,
    Infiniband,
    Ipv4,
    Ipv6,
    MacAddress,
    RestService,
    Uri,
    Vlan,
    Wifi,
)
from .messaging_serial import Uart, Usb, UsbClass, UsbWwid, VendorMessage
from .messaging_storage import (
    Ata,
    Emmc,
    FibreChannel,
    FibreChannelEx,
    I2o,
    Ieee1394,
    Iscsi,
    LogicalUnit,
    Nvdimm,
    Nvme,
    NvmeOverFabrics,
    SasEx,
    Sata,
    Scsi,
    Sd,
    Ufs,
)
from .node import GenericNode, Node
from .path import END_ENTIRE, END_INSTANCE, DevicePath
from .relations import first_instance_size, is_strict_prefix, remaining

__all__ = [
    "END_ENTIRE", "END_INSTANCE", "Acpi", "AcpiAdr", "AcpiExtended", "Ata", "Bbs", "Bluetooth", "BluetoothLe", "Bmc",
    "CdRom", "Controller", "DevicePath", "Dns", "Emmc", "FibreChannel", "FibreChannelEx", "FilePath", "FirmwareFile",
    "FirmwareVolume", "GenericNode", "HardDrive", "I2o", "Ieee1394", "Infiniband", "Ipv4", "Ipv6", "Iscsi",
    "LogicalUnit", "MacAddress", "MediaProtocol", "MemoryMapped", "Node", "Nvdimm", "NvdimmAcpiAdr", "Nvme",
    "NvmeOverFabrics", "Offset", "PcCard", "Pci", "RamDisk", "RestService", "SasEx", "Sata", "Scsi", "Sd", "Uart",
    "Ufs", "Uri", "Usb", "UsbClass", "UsbWwid", "VendorHardware", "VendorMedia", "VendorMessage", "Vlan", "Wifi",
    "eisa_id", "eisa_text", "first_instance_size", "is_strict_prefix", "remaining",
]  # fmt: skip
