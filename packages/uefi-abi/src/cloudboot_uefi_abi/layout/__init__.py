"""Fixed records of UEFI, PE32+ and the TCG event log: :mod:`.structs` declares them, :mod:`.records` is generated."""
