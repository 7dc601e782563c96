"""Windows: images of it, what of a volume its boot manager needs, and what the boot manager's screens mean.

- :mod:`.source`: a user's Windows files in a folder, a WIM or a disk image;
- :mod:`.contents`, :mod:`.image`: the disk that is made of them;
- :mod:`.demonstration`: a small tree without a file of Microsoft's.
"""
