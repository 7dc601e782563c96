"""Reading a volume: records, streams, directories, and the files in them."""
