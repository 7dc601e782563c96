"""What a firmware tells an operating system about the machine: ACPI and SMBIOS tables."""
