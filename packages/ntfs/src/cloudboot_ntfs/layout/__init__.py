"""What stands on the disk: records, attributes, run lists, indexes, compression. No input or output here."""
