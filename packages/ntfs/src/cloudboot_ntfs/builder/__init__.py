"""Making a volume: empty, or with a tree in it, in one pass."""
