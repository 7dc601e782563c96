"""Installation media and virtual machines' disks as sources of an image: their boot loader and their root's tree.

- :mod:`.medium`: a folder, a tar archive, an ISO 9660 image or a disk image, opened as a list of volumes;
- :mod:`.iso`: ISO 9660 through pycdlib, an optional dependency;
- :mod:`.choice`: which file of the volumes is the boot loader;
- :mod:`.prepare`: from a recipe and a medium to a recipe whose files are on this machine;
- :mod:`.download`: a medium from a URL, verified and cached.
"""
