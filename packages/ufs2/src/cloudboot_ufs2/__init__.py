"""UFS2 file systems in Python: newfs, build from a tree or a tar, read, check."""
