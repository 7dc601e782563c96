"""The ``cloudboot-virtio`` command."""
