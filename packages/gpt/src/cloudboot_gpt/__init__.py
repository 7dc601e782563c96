"""GUID partition tables and protective MBRs: create, read, check, repair; partitions as sliced files."""
