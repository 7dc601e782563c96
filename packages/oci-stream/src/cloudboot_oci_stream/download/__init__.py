"""Blobs on their way: into memory, into files, from one place to another."""
