"""What the OCI specifications define: references, descriptors, manifests and indexes."""
