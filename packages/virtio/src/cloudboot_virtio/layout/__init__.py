"""Structures and numbers of virtio 1.2; nothing here behaves."""
