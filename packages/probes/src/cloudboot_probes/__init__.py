"""Boot any operating system from an OCI artifact, and prove every step."""
