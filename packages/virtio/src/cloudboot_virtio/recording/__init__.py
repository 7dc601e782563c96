"""What crosses a queue, in a file: recording it from a running driver, and replaying it without a machine.

A recording is a text file of JSON documents, one a line. The first describes device, features and queues; each of the
others is an event: ``submit`` (id, descriptors, the bytes the device will read), ``kick``, ``used`` (id and length as
the device wrote them), ``complete`` (the bytes it wrote), ``broken``, ``timeout`` and ``reset`` (with the size of the
new ring). Bytes are hexadecimal.
"""

from .recorder import Recorder, record
from .replay import Replay, replay

__all__ = ["Recorder", "Replay", "record", "replay"]
