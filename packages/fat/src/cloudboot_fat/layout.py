"""The on-disk records of FAT12, FAT16 and FAT32, under the names of the specification.

Source: Microsoft Extensible Firmware Initiative FAT32 File System Specification, version 1.03 (fatgen103); section
names are cited per record. All integers are little-endian.
"""

from construct import Bytes, Int8ul, Int16ul, Int32ul, Struct

#: "Boot Sector and BPB": the fields up to offset 36, the same for every FAT type.
BPB = (
    Struct(
        "BS_jmpBoot" / Bytes(3) * "x86 jump over the parameters",
        "BS_OEMName" / Bytes(8) * "who formatted the volume; informative",
        "BPB_BytsPerSec" / Int16ul * "512, 1024, 2048 or 4096",
        "BPB_SecPerClus" / Int8ul * "a power of two from 1 to 128",
        "BPB_RsvdSecCnt" / Int16ul * "sectors before the first FAT, at least 1",
        "BPB_NumFATs" / Int8ul * "copies of the FAT",
        "BPB_RootEntCnt" / Int16ul * "entries of the fixed root directory; 0 on FAT32",
        "BPB_TotSec16" / Int16ul * "sectors of the volume, or 0 if BPB_TotSec32 holds them",
        "BPB_Media" / Int8ul * "media descriptor; repeated in FAT[0]",
        "BPB_FATSz16" / Int16ul * "sectors of one FAT; 0 on FAT32",
        "BPB_SecPerTrk" / Int16ul * "sectors per track of the CHS geometry",
        "BPB_NumHeads" / Int16ul * "heads of the CHS geometry",
        "BPB_HiddSec" / Int32ul * "sectors before the volume on its disk",
        "BPB_TotSec32" / Int32ul * "sectors of the volume, or 0 if BPB_TotSec16 holds them",
    )
    * "BIOS parameter block: the part common to FAT12, FAT16 and FAT32."
)

#: "Fat12 and Fat16 Structure Starting at Offset 36"; the same fields follow at offset 64 on FAT32.
ExtendedBootRecord = (
    Struct(
        "BS_DrvNum" / Int8ul * "INT 13h drive number",
        "BS_Reserved1" / Int8ul * "Windows NT keeps its dirty bits here; formatted as 0",
        "BS_BootSig" / Int8ul * "0x29: the three fields that follow are present",
        "BS_VolID" / Int32ul * "volume serial number",
        "BS_VolLab" / Bytes(11) * "label, as in the root directory, or 'NO NAME    '",
        "BS_FilSysType" / Bytes(8) * "informative; never tells the FAT type",
    )
    * "Extended boot record: drive number, serial number and label."
)

#: "FAT32 Structure Starting at Offset 36"; an ExtendedBootRecord follows at offset 64.
BPB32 = (
    Struct(
        "BPB_FATSz32" / Int32ul * "sectors of one FAT",
        "BPB_ExtFlags" / Int16ul * "bit 7: only the FAT in bits 0-3 is active",
        "BPB_FSVer" / Int16ul * "0",
        "BPB_RootClus" / Int32ul * "first cluster of the root directory",
        "BPB_FSInfo" / Int16ul * "sector of the FSInfo structure",
        "BPB_BkBootSec" / Int16ul * "sector of the boot sector's backup, or 0",
        "BPB_Reserved" / Bytes(12),
    )
    * "BIOS parameter block: the part only FAT32 has."
)

#: "FAT32 FSInfo Sector Structure and Backup Boot Sector".
FSInfo = (
    Struct(
        "FSI_LeadSig" / Int32ul * "0x41615252",
        "FSI_Reserved1" / Bytes(480),
        "FSI_StrucSig" / Int32ul * "0x61417272",
        "FSI_Free_Count" / Int32ul * "free clusters, or 0xFFFFFFFF if not known",
        "FSI_Nxt_Free" / Int32ul * "where to start looking for a free cluster, or 0xFFFFFFFF",
        "FSI_Reserved2" / Bytes(12),
        "FSI_TrailSig" / Int32ul * "0xAA550000",
    )
    * "File system information sector of FAT32."
)

#: "FAT Directory Structure": the FAT 32 Byte Directory Entry Structure.
DirectoryEntry = (
    Struct(
        "DIR_Name" / Bytes(11) * "short name: 8 characters, 3 of extension, padded with spaces",
        "DIR_Attr" / Int8ul,
        "DIR_NTRes" / Int8ul * "bit 3: base in lower case, bit 4: extension in lower case",
        "DIR_CrtTimeTenth" / Int8ul * "hundredths of a second, 0 to 199",
        "DIR_CrtTime" / Int16ul,
        "DIR_CrtDate" / Int16ul,
        "DIR_LstAccDate" / Int16ul,
        "DIR_FstClusHI" / Int16ul,
        "DIR_WrtTime" / Int16ul,
        "DIR_WrtDate" / Int16ul,
        "DIR_FstClusLO" / Int16ul,
        "DIR_FileSize" / Int32ul * "bytes; 0 for a directory",
    )
    * "Directory entry with a short name."
)

#: "FAT Long Directory Entries": the FAT Long Directory Entry Structure.
LongNameEntry = (
    Struct(
        "LDIR_Ord" / Int8ul * "1, 2, ...; bit 6 marks the last, which stands first",
        "LDIR_Name1" / Bytes(10) * "characters 1 to 5, UTF-16",
        "LDIR_Attr" / Int8ul * "0x0F",
        "LDIR_Type" / Int8ul * "0",
        "LDIR_Chksum" / Int8ul * "of the short name that follows",
        "LDIR_Name2" / Bytes(12) * "characters 6 to 11",
        "LDIR_FstClusLO" / Int16ul * "0",
        "LDIR_Name3" / Bytes(4) * "characters 12 and 13",
    )
    * "Directory entry with 13 characters of a long name."
)
