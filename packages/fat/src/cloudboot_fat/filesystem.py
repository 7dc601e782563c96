from .reader import FatReader
class FatFileSystem(FatReader):
    def __init__(self, storage, *, codepage="cp437", timestamp=None):
        super().__init__(storage, codepage=codepage)
