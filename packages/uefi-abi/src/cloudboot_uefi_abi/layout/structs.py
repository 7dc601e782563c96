"""Declarations only: the fixed records of UEFI 2.10, PE/COFF and the TCG PC Client Platform Firmware Profile.

Every integer is little-endian, on all four processors (UEFI 2.10 section 1.9.1), and GUIDs are stored as
``uuid.UUID.bytes_le`` gives them (appendix A).
A ``NaturalStruct`` has the padding a C compiler inserts; a ``Struct`` is packed.
"""

from __future__ import annotations

from construct import Bytes, Int8ul, Int16sl, Int16ul, Int32sl, Int32ul, Int64ul, Struct

from cloudboot_records.declaration import Enumerated, Guid, NaturalStruct
from cloudboot_uefi_abi.constants import CertificateType, EventType, Machine, MemoryType, PixelFormat, Subsystem

# --- what the tables and protocols point to -----------------------------------------------------------------------

EFI_TABLE_HEADER = (
    Struct(
        "Signature" / Bytes(8),
        "Revision" / Int32ul * "major << 16 | minor in hundredths: 2.10 is 2 << 16 | 100",
        "HeaderSize" / Int32ul * "bytes of the whole table, this header included",
        "CRC32" / Int32ul * "over HeaderSize bytes, with this field as zero",
        "Reserved" / Int32ul,
    )
    * "UEFI 2.10 section 4.2"
)

EFI_TIME = (
    Struct(
        "Year" / Int16ul * "1900 to 9999",
        "Month" / Int8ul * "1 to 12",
        "Day" / Int8ul * "1 to 31",
        "Hour" / Int8ul,
        "Minute" / Int8ul,
        "Second" / Int8ul,
        "Pad1" / Int8ul,
        "Nanosecond" / Int32ul,
        "TimeZone" / Int16sl * "minutes from UTC, -1440 to 1440; 2047: local time, offset unknown",
        "Daylight" / Int8ul,
        "Pad2" / Int8ul,
    )
    * "UEFI 2.10 section 8.3"
)

EFI_TIME_CAPABILITIES = (
    NaturalStruct(
        "Resolution" / Int32ul * "in hertz",
        "Accuracy" / Int32ul * "in parts per million of a second",
        "SetsToZero" / Int8ul,
    )
    * "UEFI 2.10 section 8.3"
)

EFI_MEMORY_DESCRIPTOR = (
    NaturalStruct(
        "Type" / Enumerated(Int32ul, MemoryType),
        "PhysicalStart" / Int64ul,
        "VirtualStart" / Int64ul,
        "NumberOfPages" / Int64ul * "of 4096 bytes",
        "Attribute" / Int64ul,
    )
    * "UEFI 2.10 section 7.2.3; an array's stride is DescriptorSize, not this size"
)

EFI_OPEN_PROTOCOL_INFORMATION_ENTRY = (
    Struct(
        "AgentHandle" / Int64ul,
        "ControllerHandle" / Int64ul,
        "Attributes" / Int32ul,
        "OpenCount" / Int32ul,
    )
    * "UEFI 2.10 section 7.3.11"
)

EFI_BLOCK_IO_MEDIA = (
    NaturalStruct(
        "MediaId" / Int32ul,
        "RemovableMedia" / Int8ul,
        "MediaPresent" / Int8ul,
        "LogicalPartition" / Int8ul * "1 for a partition's device",
        "ReadOnly" / Int8ul,
        "WriteCaching" / Int8ul,
        "BlockSize" / Int32ul,
        "IoAlign" / Int32ul * "buffers are multiples of it; 0 and 1: anywhere",
        "LastBlock" / Int64ul,
        "LowestAlignedLba" / Int64ul * "from revision 2 of the protocol on",
        "LogicalBlocksPerPhysicalBlock" / Int32ul * "from revision 2 on",
        "OptimalTransferLengthGranularity" / Int32ul * "from revision 3 on",
    )
    * "UEFI 2.10 section 13.9"
)

EFI_FILE_INFO = (
    Struct(
        "Size" / Int64ul * "of this record, the name and its final null included",
        "FileSize" / Int64ul,
        "PhysicalSize" / Int64ul,
        "CreateTime" / EFI_TIME,
        "LastAccessTime" / EFI_TIME,
        "ModificationTime" / EFI_TIME,
        "Attribute" / Int64ul,
    )
    * "UEFI 2.10 section 13.5; FileName, null-terminated UTF-16, follows"
)

EFI_FILE_SYSTEM_INFO = (
    Struct(
        "Size" / Int64ul * "of this record, the label and its final null included",
        "ReadOnly" / Int8ul,
        "Padding" / Bytes(7),
        "VolumeSize" / Int64ul,
        "FreeSpace" / Int64ul,
        "BlockSize" / Int32ul,
    )
    * "UEFI 2.10 section 13.5; VolumeLabel, null-terminated UTF-16, follows at 36"
)

EFI_INPUT_KEY = Struct("ScanCode" / Int16ul, "UnicodeChar" / Int16ul) * "UEFI 2.10 section 12.3"

EFI_KEY_DATA = (
    NaturalStruct(
        "Key" / EFI_INPUT_KEY,
        "KeyShiftState" / Int32ul,
        "KeyToggleState" / Int8ul,
    )
    * "UEFI 2.10 section 12.2; EFI_KEY_STATE stands in place"
)

SIMPLE_TEXT_OUTPUT_MODE = (
    NaturalStruct(
        "MaxMode" / Int32sl,
        "Mode" / Int32sl,
        "Attribute" / Int32sl,
        "CursorColumn" / Int32sl,
        "CursorRow" / Int32sl,
        "CursorVisible" / Int8ul,
    )
    * "UEFI 2.10 section 12.4"
)

EFI_GRAPHICS_OUTPUT_MODE_INFORMATION = (
    Struct(
        "Version" / Int32ul,
        "HorizontalResolution" / Int32ul,
        "VerticalResolution" / Int32ul,
        "PixelFormat" / Enumerated(Int32ul, PixelFormat),
        "RedMask" / Int32ul,
        "GreenMask" / Int32ul,
        "BlueMask" / Int32ul,
        "ReservedMask" / Int32ul,
        "PixelsPerScanLine" / Int32ul,
    )
    * "UEFI 2.10 section 12.9; EFI_PIXEL_BITMASK stands in place"
)

EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE = (
    Struct(
        "MaxMode" / Int32ul,
        "Mode" / Int32ul,
        "Info" / Int64ul,
        "SizeOfInfo" / Int64ul,
        "FrameBufferBase" / Int64ul,
        "FrameBufferSize" / Int64ul,
    )
    * "UEFI 2.10 section 12.9"
)

EFI_SIMPLE_POINTER_MODE = (
    NaturalStruct(
        "ResolutionX" / Int64ul,
        "ResolutionY" / Int64ul,
        "ResolutionZ" / Int64ul,
        "LeftButton" / Int8ul,
        "RightButton" / Int8ul,
    )
    * "UEFI 2.10 section 12.5"
)

EFI_SIMPLE_POINTER_STATE = (
    NaturalStruct(
        "RelativeMovementX" / Int32sl,
        "RelativeMovementY" / Int32sl,
        "RelativeMovementZ" / Int32sl,
        "LeftButton" / Int8ul,
        "RightButton" / Int8ul,
    )
    * "UEFI 2.10 section 12.5"
)

SERIAL_IO_MODE = (
    Struct(
        "ControlMask" / Int32ul,
        "Timeout" / Int32ul * "in microseconds",
        "BaudRate" / Int64ul,
        "ReceiveFifoDepth" / Int32ul,
        "DataBits" / Int32ul,
        "Parity" / Int32ul,
        "StopBits" / Int32ul,
    )
    * "UEFI 2.10 section 12.8"
)

EFI_TCG2_BOOT_SERVICE_CAPABILITY = (
    NaturalStruct(
        "Size" / Int8ul,
        "StructureVersionMajor" / Int8ul,
        "StructureVersionMinor" / Int8ul,
        "ProtocolVersionMajor" / Int8ul,
        "ProtocolVersionMinor" / Int8ul,
        "HashAlgorithmBitmap" / Int32ul,
        "SupportedEventLogs" / Int32ul,
        "TPMPresentFlag" / Int8ul,
        "MaxCommandSize" / Int16ul,
        "MaxResponseSize" / Int16ul,
        "ManufacturerID" / Int32ul,
        "NumberOfPCRBanks" / Int32ul,
        "ActivePcrBanks" / Int32ul,
    )
    * "TCG EFI Protocol Specification 1.0 section 6.4"
)

EFI_TCG2_EVENT = (
    Struct(
        "Size" / Int32ul * "of this record and the event data",
        "HeaderSize" / Int32ul,
        "HeaderVersion" / Int16ul,
        "PCRIndex" / Int32ul,
        "EventType" / Enumerated(Int32ul, EventType),
    )
    * "TCG EFI Protocol Specification 1.0 section 6.6; packed; the event data follow"
)

# --- PE32+ --------------------------------------------------------------------------------------------------------

IMAGE_DOS_HEADER = (
    Struct(
        "e_magic" / Bytes(2) * "MZ",
        "e_stub" / Bytes(58) * "fields of MS-DOS, which nothing here reads",
        "e_lfanew" / Int32ul * "where the PE signature is",
    )
    * "PE/COFF section 2.1"
)

IMAGE_FILE_HEADER = (
    Struct(
        "Machine" / Enumerated(Int16ul, Machine),
        "NumberOfSections" / Int16ul,
        "TimeDateStamp" / Int32ul,
        "PointerToSymbolTable" / Int32ul,
        "NumberOfSymbols" / Int32ul,
        "SizeOfOptionalHeader" / Int16ul,
        "Characteristics" / Int16ul,
    )
    * "PE/COFF section 2.3"
)

IMAGE_OPTIONAL_HEADER64 = (
    Struct(
        "Magic" / Int16ul * "0x20B: PE32+",
        "MajorLinkerVersion" / Int8ul,
        "MinorLinkerVersion" / Int8ul,
        "SizeOfCode" / Int32ul,
        "SizeOfInitializedData" / Int32ul,
        "SizeOfUninitializedData" / Int32ul,
        "AddressOfEntryPoint" / Int32ul,
        "BaseOfCode" / Int32ul,
        "ImageBase" / Int64ul,
        "SectionAlignment" / Int32ul,
        "FileAlignment" / Int32ul,
        "MajorOperatingSystemVersion" / Int16ul,
        "MinorOperatingSystemVersion" / Int16ul,
        "MajorImageVersion" / Int16ul,
        "MinorImageVersion" / Int16ul,
        "MajorSubsystemVersion" / Int16ul,
        "MinorSubsystemVersion" / Int16ul,
        "Win32VersionValue" / Int32ul,
        "SizeOfImage" / Int32ul,
        "SizeOfHeaders" / Int32ul,
        "CheckSum" / Int32ul,
        "Subsystem" / Enumerated(Int16ul, Subsystem),
        "DllCharacteristics" / Int16ul,
        "SizeOfStackReserve" / Int64ul,
        "SizeOfStackCommit" / Int64ul,
        "SizeOfHeapReserve" / Int64ul,
        "SizeOfHeapCommit" / Int64ul,
        "LoaderFlags" / Int32ul,
        "NumberOfRvaAndSizes" / Int32ul,
    )
    * "PE/COFF section 2.4; the data directories follow"
)

IMAGE_DATA_DIRECTORY = Struct("VirtualAddress" / Int32ul, "Size" / Int32ul) * "PE/COFF section 2.4.3"

IMAGE_SECTION_HEADER = (
    Struct(
        "Name" / Bytes(8),
        "VirtualSize" / Int32ul,
        "VirtualAddress" / Int32ul,
        "SizeOfRawData" / Int32ul,
        "PointerToRawData" / Int32ul,
        "PointerToRelocations" / Int32ul,
        "PointerToLinenumbers" / Int32ul,
        "NumberOfRelocations" / Int16ul,
        "NumberOfLinenumbers" / Int16ul,
        "Characteristics" / Int32ul,
    )
    * "PE/COFF section 3"
)

IMAGE_BASE_RELOCATION = (
    Struct("VirtualAddress" / Int32ul * "the page", "SizeOfBlock" / Int32ul * "bytes, this header included")
    * "PE/COFF section 5.6; 16-bit entries follow: type in the top 4 bits, offset below"
)

WIN_CERTIFICATE = (
    Struct(
        "dwLength" / Int32ul * "of this header and the certificate, without the padding to 8 bytes",
        "wRevision" / Int16ul * "0x0200",
        "wCertificateType" / Enumerated(Int16ul, CertificateType),
    )
    * "UEFI 2.10 section 32.2.4"
)

# --- variables ----------------------------------------------------------------------------------------------------

EFI_VARIABLE_AUTHENTICATION_3 = (
    Struct(
        "Version" / Int8ul * "1",
        "Type" / Int8ul * "1: a time, 2: a nonce",
        "MetadataSize" / Int32ul * "of what precedes the variable's data, this header included",
        "Flags" / Int32ul,
    )
    * "UEFI 2.10 section 8.2.1, packed; a time or a nonce follows, then certificates or their identifier"
)

EFI_VARIABLE_AUTHENTICATION_3_CERT_ID = (
    Struct("Type" / Int8ul * "1: SHA-256 of the tbsCertificate", "IdSize" / Int32ul) * "UEFI 2.10 section 8.2.1, packed"
)

EFI_FIRMWARE_VOLUME_HEADER = (
    Struct(
        "ZeroVector" / Bytes(16),
        "FileSystemGuid" / Guid,
        "FvLength" / Int64ul,
        "Signature" / Bytes(4) * "_FVH",
        "Attributes" / Int32ul,
        "HeaderLength" / Int16ul,
        "Checksum" / Int16ul * "makes the 16-bit sum of the header zero",
        "ExtHeaderOffset" / Int16ul,
        "Reserved" / Int8ul,
        "Revision" / Int8ul,
    )
    * "PI 1.8 volume 3 section 3.2.1; the block map follows"
)

VARIABLE_STORE_HEADER = (
    Struct(
        "Signature" / Guid,
        "Size" / Int32ul * "of the store, this header included",
        "Format" / Int8ul * "0x5A: formatted",
        "State" / Int8ul * "0xFE: healthy",
        "Reserved" / Int16ul,
        "Reserved1" / Int32ul,
    )
    * "EDK2 MdeModulePkg, VariableFormat.h"
)

AUTHENTICATED_VARIABLE_HEADER = (
    Struct(
        "StartId" / Int16ul * "0x55AA",
        "State" / Int8ul,
        "Reserved" / Int8ul,
        "Attributes" / Int32ul,
        "MonotonicCount" / Int64ul,
        "TimeStamp" / EFI_TIME,
        "PubKeyIndex" / Int32ul,
        "NameSize" / Int32ul * "bytes, the final null included",
        "DataSize" / Int32ul,
        "VendorGuid" / Guid,
    )
    * "EDK2 MdeModulePkg, VariableFormat.h; the name and the data follow"
)

VARIABLE_HEADER = (
    Struct(
        "StartId" / Int16ul * "0x55AA",
        "State" / Int8ul,
        "Reserved" / Int8ul,
        "Attributes" / Int32ul,
        "NameSize" / Int32ul * "bytes, the final null included",
        "DataSize" / Int32ul,
        "VendorGuid" / Guid,
    )
    * "EDK2 MdeModulePkg, VariableFormat.h; stores without authentication"
)

EC2_VARIABLE_STORE = (
    Struct(
        "Magic" / Bytes(8) * "AMZNUEFI",
        "Checksum" / Int32ul * "CRC-32C of what follows",
        "Version" / Int32ul * "0",
    )
    * "uefivars 1.2, aws.py; a zlib stream with a preset dictionary follows"
)

EFI_IMAGE_EXECUTION_INFO = (
    Struct(
        "Action" / Int32ul * "what the firmware found; bit 3: the image was started",
        "InfoSize" / Int32ul * "bytes of the entry, this head included",
    )
    * "UEFI 2.10 section 32.4.2; the name, null-terminated UTF-16, the device path and signature lists follow"
)

EFI_SIGNATURE_LIST = (
    Struct(
        "SignatureType" / Guid,
        "SignatureListSize" / Int32ul * "of this header and everything after it",
        "SignatureHeaderSize" / Int32ul,
        "SignatureSize" / Int32ul * "of each signature, its owner's GUID included",
    )
    * "UEFI 2.10 section 32.4.1"
)

EFI_LOAD_OPTION = (
    Struct("Attributes" / Int32ul, "FilePathListLength" / Int16ul)
    * "UEFI 2.10 section 3.1.3; Description, FilePathList and OptionalData follow"
)

# --- TCG event log ------------------------------------------------------------------------------------------------

TCG_PCR_EVENT = (
    Struct(
        "PCRIndex" / Int32ul,
        "EventType" / Enumerated(Int32ul, EventType),
        "Digest" / Bytes(20) * "SHA-1",
        "EventSize" / Int32ul,
    )
    * "TCG PFP 1.05 section 10.2.1; the event data follow"
)

TCG_PCR_EVENT2 = (
    Struct("PCRIndex" / Int32ul, "EventType" / Enumerated(Int32ul, EventType), "DigestCount" / Int32ul)
    * "TCG PFP 1.05 section 10.2.2; digests, EventSize and the event data follow"
)

TCG_EfiSpecIDEvent = (
    Struct(
        "signature" / Bytes(16) * "'Spec ID Event03' and a null",
        "platformClass" / Int32ul,
        "specVersionMinor" / Int8ul,
        "specVersionMajor" / Int8ul,
        "specErrata" / Int8ul,
        "uintnSize" / Int8ul * "1: 32-bit, 2: 64-bit",
        "numberOfAlgorithms" / Int32ul,
    )
    * "TCG PFP 1.05 section 10.4.5.1; algorithm sizes and vendor information follow"
)

UEFI_IMAGE_LOAD_EVENT = (
    Struct(
        "ImageLocationInMemory" / Int64ul,
        "ImageLengthInMemory" / Int64ul,
        "ImageLinkTimeAddress" / Int64ul,
        "LengthOfDevicePath" / Int64ul,
    )
    * "TCG PFP 1.05 section 10.2.3; the device path follows"
)

UEFI_VARIABLE_DATA = (
    Struct(
        "VariableName" / Guid * "the vendor's GUID",
        "UnicodeNameLength" / Int64ul * "in characters, without a final null",
        "VariableDataLength" / Int64ul * "in bytes",
    )
    * "TCG PFP 1.05 section 10.2.6; the name and the data follow"
)
