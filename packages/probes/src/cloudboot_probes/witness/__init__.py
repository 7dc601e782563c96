"""Witnesses outside the guest: what a machine's memory, processor and disk show, whatever it prints.

:mod:`.kernel` unpacks the image's kernel and finds its text in the machine's RAM; :mod:`.handover` reads in the trace
of the disk which driver held it when.
"""
