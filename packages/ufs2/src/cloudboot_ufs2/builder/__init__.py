"""A whole file system in one pass, from a folder, an archive or a mapping."""
