"""Opening and reading a file system, wherever it is."""
