"""The sound device (5.14): PCM output."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Final

from cloudboot_base.lightdata import dataclass
from cloudboot_virtio.errors import CommandError, DeviceBrokenError
from cloudboot_virtio.layout.constants import DeviceId
from cloudboot_virtio.layout.records import (
    virtio_snd_pcm_hdr,
    virtio_snd_pcm_info,
    virtio_snd_pcm_set_params,
    virtio_snd_pcm_status,
    virtio_snd_query_info,
)

from .base import ChainPool, Driver, Requests

if TYPE_CHECKING:
    from cloudboot_virtio.ring import Chain, Completion

_PCM_INFO, _SET_PARAMS, _PREPARE, _RELEASE, _START, _STOP = 0x100, 0x101, 0x102, 0x103, 0x104, 0x105
_NAMES: Final = {
    _PCM_INFO: "PCM_INFO",
    _SET_PARAMS: "PCM_SET_PARAMS",
    _PREPARE: "PCM_PREPARE",
    _RELEASE: "PCM_RELEASE",
    _START: "PCM_START",
    _STOP: "PCM_STOP",
}
_OK: Final = 0x8000
_ERRORS: Final = {0x8001: "bad message", 0x8002: "not supported", 0x8003: "I/O error"}
_ANSWER_BYTES: Final = 4 + 64 * virtio_snd_pcm_info.SIZE
_REQUEST_BYTES: Final = 64
_MOST_CHANNELS: Final = 255
_STREAM = struct.Struct("<I")
_STATUS = virtio_snd_pcm_status.LAYOUT.struct("little")

RATES: Final = (5512, 8000, 11025, 16000, 22050, 32000, 44100, 48000, 64000, 88200, 96000, 176400, 192000, 384000)
"""Frames a second, in the order of their codes (5.14.6.6.3)."""
FORMATS: Final = {"s8": 3, "u8": 4, "s16": 5, "u16": 6, "s32": 17, "u32": 18, "float": 19}
"""Sample formats with their codes."""
FRAME_BYTES: Final = {"s8": 1, "u8": 1, "s16": 2, "u16": 2, "s32": 4, "u32": 4, "float": 4}


@dataclass(frozen=True, slots=True)
class PcmInfo:
    """What a stream can do; ``rates`` in frames a second, ``channels`` (least, most)."""

    stream: int
    output: bool
    rates: tuple[int, ...]
    formats: tuple[str, ...]
    channels: tuple[int, int]


class SoundDriver(Driver):
    """Controls PCM streams; :meth:`open_output` gives one to write to."""

    DEVICE = DeviceId.SOUND

    def _set_up(self) -> None:
        self.control = Requests(self._queue(0), self._answered)
        self.event_queue = self._queue(1)
        self.transmit_queue = self._queue(2)
        self.receive_queue = self._queue(3)
        self._messages = self._pool(1, [_REQUEST_BYTES], [_ANSWER_BYTES])
        self._answer = b""
        self.transmit = Requests(self.transmit_queue, self._returned)
        self._playing: dict[Chain, PcmOutput] = {}
        self._infos: list[PcmInfo] | None = None
        self.jacks, self.streams, self.channel_maps = struct.unpack("<3I", self.transport.read_config(0, 12))

    def _answered(self, completion: Completion) -> None:
        self._answer = bytes(completion.chain.writable()[: completion.written])
        self._messages.give(completion.chain)

    def _returned(self, completion: Completion) -> None:
        self._playing.pop(completion.chain).returned(completion)

    def play(self, output: PcmOutput, chain: Chain) -> None:
        """Give the device a buffer of an output; :meth:`PcmOutput.returned` is called when it comes back."""
        self._playing[chain] = output
        self.transmit.submit(chain, self.timeout)
        self.transmit_queue.kick()

    def _call(self, command: int, request: bytes, answer: int = 0) -> bytes:
        while (chain := self._messages.take()) is None:  # an earlier call timed out: its message is still the device's
            self.control.wait_one(self.timeout)
        chain.readable()[: len(request)] = request
        chain.fit([len(request)], [4 + answer])
        ticket = self.control.submit(chain, self.timeout)
        self.control.queue.kick()
        self.control.wait_for(ticket, self.timeout)
        if len(self._answer) < 4:
            raise DeviceBrokenError(
                f"the answer to {_NAMES[command]} is short",
                structure="virtio_snd_hdr",
                expected=4,
                actual=len(self._answer),
            )
        code = int.from_bytes(self._answer[:4], "little")
        if code != _OK:
            raise CommandError(_NAMES[command], code, _ERRORS.get(code))
        return self._answer[4:]

    def info(self) -> list[PcmInfo]:
        """What the streams can do.

        Raises:
            CommandError: the device does not say.
        """
        size = virtio_snd_pcm_info.SIZE
        count = min(self.streams, 64)
        request = virtio_snd_query_info(code=_PCM_INFO, start_id=0, count=count, size=size)
        data = self._call(_PCM_INFO, request.pack(), count * size)
        found = []
        for stream in range(min(count, len(data) // size)):
            record = virtio_snd_pcm_info.unpack_from(data, stream * size)
            rates = tuple(rate for code, rate in enumerate(RATES) if record.rates >> code & 1)
            formats = tuple(name for name, code in FORMATS.items() if record.formats >> code & 1)
            channels = (record.channels_min, record.channels_max)
            found.append(PcmInfo(stream, record.direction == 0, rates, formats, channels))
        return found

    def command(self, command: int, stream: int) -> None:
        """Send a command without parameters to a stream.

        Raises:
            CommandError: the device refuses.
        """
        self._call(command, virtio_snd_pcm_hdr(code=command, stream_id=stream).pack())

    def open_output(
        self,
        stream: int = 0,
        *,
        rate: int = 44100,
        channels: int = 2,
        format: str = "s16",  # noqa: A002 - the field's name
        period: int = 4096,
        periods: int = 16,
    ) -> PcmOutput:
        """Set the parameters of a stream, prepare and start it. Several streams can play at once.

        Args:
            stream: which one.
            rate: frames a second, one of :data:`RATES`.
            channels: samples a frame.
            format: a key of :data:`FORMATS`.
            period: bytes of one buffer, whole frames.
            periods: buffers in flight.

        Raises:
            CommandError: the stream does not offer such sound, or the device refuses.
            ValueError: unknown rate or format; no such stream, or one for recording; a period is not whole frames.
        """
        if rate not in RATES or format not in FORMATS:
            raise ValueError(f"no rate {rate} or no format {format!r}")
        if not 0 <= stream < self.streams:
            raise ValueError(f"no stream {stream}; the device has {self.streams}")
        if not 1 <= channels <= _MOST_CHANNELS or periods < 1:
            raise ValueError(f"{channels} channels, {periods} periods")
        frame = channels * FRAME_BYTES[format]
        if period < 1 or period % frame:
            raise ValueError(f"a period of {period} bytes is not a number of whole frames of {frame} bytes")
        self._check_offered(stream, rate, channels, format)
        parameters = virtio_snd_pcm_set_params(
            code=_SET_PARAMS,
            stream_id=stream,
            buffer_bytes=period * periods,
            period_bytes=period,
            channels=channels,
            format=FORMATS[format],
            rate=RATES.index(rate),
        )
        self._call(_SET_PARAMS, parameters.pack())
        self.command(_PREPARE, stream)
        self.command(_START, stream)
        pool = self._pool(min(periods, max(1, self.transmit_queue.size // 3)), [4, period], [_STATUS.size])
        return PcmOutput(self, stream, pool, frame=frame, rate=rate)

    def _check_offered(self, stream: int, rate: int, channels: int, format: str) -> None:  # noqa: A002 -- as above
        """Raise unless the stream's PCM information has these values; a device may give none, and refuse them later."""
        if self._infos is None:
            self._infos = self.info()
        info = next((info for info in self._infos if info.stream == stream), None)
        if info is None:
            return
        if not info.output:
            raise ValueError(f"stream {stream} records")
        least, most = info.channels
        if rate not in info.rates or format not in info.formats or not least <= channels <= most:
            asked = f"{rate} frames a second, {channels} channels, {format}"
            raise CommandError(_NAMES[_SET_PARAMS], 0x8002, f"stream {stream} does not offer {asked}")

    def forget(self, pool: ChainPool) -> None:
        """Give the memory of an output's buffers back; all of them must be the driver's."""
        self._pools.remove(pool)
        pool.release()


class PcmOutput:
    """A running output stream.

    The device returns a buffer when it has played it, so :meth:`write` keeps the pace of the device. ``played`` counts
    the bytes of the buffers that came back. QEMU mixes its streams: one that has nothing to play holds up the others
    until it is stopped.
    """

    def __init__(self, driver: SoundDriver, stream: int, pool: ChainPool, *, frame: int, rate: int) -> None:
        """``pool`` has one chain for each period; ``frame`` is in bytes, ``rate`` in frames a second."""
        self._driver = driver
        self._pool = pool
        self.stream = stream
        self.period = pool.sizes[1]
        self.frame = frame
        self.byte_rate = rate * frame
        self.played = 0
        self._sizes: dict[Chain, int] = {}
        self._failed: CommandError | DeviceBrokenError | None = None
        self._closed = False

    @property
    def pending(self) -> int:
        """Buffers that are with the device."""
        return len(self._sizes)

    def returned(self, completion: Completion) -> None:
        """Take a buffer back; the driver calls this."""
        chain = completion.chain
        status, _ = _STATUS.unpack_from(chain.writable())
        size = self._sizes.pop(chain)
        if completion.written < _STATUS.size:
            self._failed = DeviceBrokenError(
                "the status of a PCM buffer is short",
                structure="virtio_snd_pcm_status",
                expected=_STATUS.size,
                actual=completion.written,
            )
        elif status == _OK:
            self.played += size
        else:
            self._failed = CommandError("PCM buffer", status, _ERRORS.get(status))
        self._pool.give(chain)

    def write(self, samples: bytes | memoryview) -> None:
        """Play samples; returns when the last of them is with the device.

        Raises:
            CommandError: the device could not play a buffer.
            DeviceBrokenError: the status of a buffer is short.
            CompletionTimeoutError: the device stopped playing; its buffers stay its, and :meth:`abort` is the way out.
            ValueError: the samples are not whole frames, or the output is closed.
        """
        transmit = self._driver.transmit
        view = memoryview(samples)
        if len(view) % self.frame:
            raise ValueError(f"{len(view)} bytes are not a number of whole frames of {self.frame} bytes")
        self._check_open()
        for at in range(0, len(view), self.period):
            transmit.collect()
            while (chain := self._pool.take()) is None:
                transmit.queue.kick()
                transmit.wait_one(self._driver.timeout)
            part = view[at : at + self.period]
            _STREAM.pack_into(chain.readable(0), 0, self.stream)
            chain.readable(1)[: len(part)] = part
            _STATUS.pack_into(chain.writable(), 0, 0, 0)
            chain.fit((4, len(part)), (_STATUS.size,))
            self._sizes[chain] = len(part)
            self._driver.play(self, chain)
        self._check()

    def drain(self) -> None:
        """Wait until the device has returned every buffer of this stream.

        Raises:
            CommandError: the device could not play a buffer.
            DeviceBrokenError: the status of a buffer is short.
            CompletionTimeoutError: the device stopped playing.
        """
        self._collect_all()
        self._check()

    def _collect_all(self) -> None:
        while self._sizes:
            self._driver.transmit.wait_one(self._driver.timeout)

    def _check(self) -> None:
        if self._failed is not None:
            failure, self._failed = self._failed, None
            raise failure

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"the output of stream {self.stream} is closed")

    def close(self, *, settle: float = 0.0) -> None:
        """Drain, stop and release the stream, and give the memory of its buffers back.

        A device may still hold samples of returned buffers in its backend; ``settle`` seconds give it time to play
        them. With QEMU, writing 1,024 frames of silence first does the same.
        """
        self._check_open()
        self.drain()
        if settle:
            time.sleep(settle)
        self._stop()

    def abort(self) -> None:
        """Stop and release the stream without waiting for its buffers to be played.

        On a release the device returns all buffers of the stream (5.14.6.6.5.1), so nothing is reclaimed that is its.

        Raises:
            CommandError: the device refuses.
            CompletionTimeoutError: the device keeps a buffer; only a device reset frees it.
        """
        self._check_open()
        self._stop()

    def _stop(self) -> None:
        self._driver.command(_STOP, self.stream)
        self._driver.command(_RELEASE, self.stream)
        self._collect_all()
        self._closed = True
        self._driver.forget(self._pool)
