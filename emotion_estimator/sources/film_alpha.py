"""Transparency of WebM: a second stream of VP8 or VP9 inside the packets, grey for opaque."""

from __future__ import annotations

from typing import Any

import av
import av.error
import numpy as np
from av.codec import CodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from emotion_estimator.untrusted import MAX_PIXELS

#: FFmpeg's own decoders that it is read with. libvpx, which reads both at once, takes gigabytes for
#: a damaged packet, since it knows no limit of pixels.
CODECS = frozenset(('vp8', 'vp9'))
#: What comes before it in a packet's additions: their number, of eight bytes (WebM, BlockAddID).
_HEAD = (1).to_bytes(8, 'big')


class AlphaDecoder:
    """Decodes the transparency of one film's packets, in order.

    :param codec: of :data:`CODECS`.
    """

    def __init__(self, codec: str) -> None:
        self._decoder: Any = CodecContext.create(codec, 'r')
        limit_decoder(self._decoder)

    def add(self, packet: Any, frames: list[VideoFrame]) -> None:
        """Attach the transparency in a packet to the frame decoded from it.

        It becomes the frame's ``opaque``: uint8 (H, W), 0 where it is transparent.
        Without any, or where it is damaged, a frame is left as it is: opaque.

        :param frames: what the packet was decoded to; none or one, of a decoder without delay.
        """
        found: list[VideoFrame] = []
        for addition in packet.iter_sidedata():
            data = bytes(addition)
            if data.startswith(_HEAD):
                try:
                    found = self._decoder.decode(av.Packet(data[len(_HEAD) :]))
                except (av.error.FFmpegError, ValueError, MemoryError):
                    found = []
        for frame, alpha in zip(frames, found):
            same = (alpha.width, alpha.height) == (frame.width, frame.height)
            if same and alpha.format.name == 'yuv420p':
                frame.opaque = _brightness(alpha)


def _brightness(frame: VideoFrame) -> NDArray[np.uint8]:
    # As it is stored: by its converter, 16 would be 0.
    plane: Any = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return np.array(rows[: frame.height, : frame.width])


def limit_decoder(decoder: Any) -> None:
    """Have a decoder refuse images that are too large, and return each at once."""
    decoder.options = {'max_pixels': str(MAX_PIXELS)}
    decoder.thread_type = 'SLICE'
    decoder.thread_count = 1
