"""Push disk images to OCI registries and fetch them back, verified, into one buffer."""
