"""Windows' formats in Python: registry hives (:mod:`.registry`)."""
