"""Windows' formats in Python: registry hives (:mod:`.registry`) and boot configurations (:mod:`.bcd`)."""
