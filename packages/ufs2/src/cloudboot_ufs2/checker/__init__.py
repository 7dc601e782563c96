"""Every invariant recomputed, and what of a repair needs nothing but that."""
