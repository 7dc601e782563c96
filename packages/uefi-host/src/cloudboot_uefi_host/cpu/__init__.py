"""The processor seam: what the firmware needs of a processor, and the back ends that give it.

- :mod:`.processor`: the protocol a back end fulfils;
- :mod:`.architecture`: what differs between the processors, as data;
- :mod:`.unicorn`: the back end over Unicorn (amd64, arm64, riscv64);
- :mod:`.create`: the choice of a back end.
"""
