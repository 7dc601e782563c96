"""What is on the disk: declarations, generated records, and one module for each noun of the specification."""
