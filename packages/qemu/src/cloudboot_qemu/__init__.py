"""QEMU machines with UEFI firmware: QMP, serial console with expect, screenshots, in-memory disks, block traces."""
