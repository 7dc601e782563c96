"""Places that hold images: repositories of registries, and folders."""
