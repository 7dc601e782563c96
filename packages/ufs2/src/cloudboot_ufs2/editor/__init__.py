"""Changing a file system in place, and repairing one."""
