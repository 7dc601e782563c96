"""The fixed records of UEFI, PE32+ and the TCG event log: declared in :mod:`.structs`, generated into :mod:`.records`."""
