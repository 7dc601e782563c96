"""FAT12, FAT16 and FAT32 with long names: format, write, read and check, with deterministic bytes."""
