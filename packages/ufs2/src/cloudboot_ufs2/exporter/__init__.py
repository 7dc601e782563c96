"""What leaves a file system: archives, copies, comparisons."""
