"""Films as they are to be shown: decoded by PyAV, turned, mirrored and with square pixels."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import av
import av.error
import av.filter
import av.logging
import cv2
from av.container import InputContainer
from av.sidedata.sidedata import SideData, Type
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.picture_decoding import bgr_to_rgb, over_white
from emotion_estimator.picture_header import turned
from emotion_estimator.sources.base import DEFAULT_FPS
from emotion_estimator.sources.container import FILM_FORMATS, NETWORK_FORMATS, check_frame_size
from emotion_estimator.sources.film_alpha import CODECS, AlphaDecoder, limit_decoder
from emotion_estimator.sources.film_kind import ends_with, png_frames
from emotion_estimator.sources.film_stamps import PAUSE_OF_A_CLOCK, PAUSE_OF_A_FILE
from emotion_estimator.untrusted import MAX_PIXELS, MAX_SIDE

#: Containers that declare more frames a second are wrong.
_MOST_FPS = 1000.0
#: Threads of a decoder: each holds a frame, of 50 MB at 8K.
_THREADS = min(os.cpu_count() or 1, 4)
#: Packets or reads that fail in a row, after which the rest of a file is given up.
_PATIENCE = 300
#: Bytes read of a file at once.
_BUFFER = 1 << 18
#: Widest and narrowest pixels that are believed.
_WIDEST = 16
#: Containers whose times are those of a running clock.
_CLOCKED = frozenset(('mpegts', 'mpeg'))
#: Containers that say at their beginning how long they last.
_DECLARING = frozenset(('matroska,webm', 'avi', 'flv', 'asf', 'ivf'))
#: AVCOL_SPC_UNSPECIFIED; from this height or width on, colours are those of HD (BT.709).
_UNSPECIFIED, _HD = 2, (1280, 720)
#: Formats of 10 and 12 bits that most films of so many have.
_DEEP = frozenset(('yuv420p10le', 'yuv420p12le', 'p010le'))
#: What whole files of some kinds end with: the trailer of GIF, the marker EOI of JPEG.
_ENDS = {'gif': b';', 'mjpeg': b'\xff\xd9'}
#: Pictures beside the sound or the chapters of a file.
_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails
_DAMAGED = (
    '{name} cannot be decoded (damaged, or not a video); re-encode it as MP4 or give another file'
)
#: Orientations of EXIF by what is done: sides swapped, upside down, mirrored.
_ORIENTATIONS = {
    (False, False, False): 1,
    (False, False, True): 2,
    (False, True, True): 3,
    (False, True, False): 4,
    (True, False, False): 5,
    (True, False, True): 6,
    (True, True, True): 7,
    (True, True, False): 8,
}


class Film:
    """A film that FFmpeg, in PyAV's wheel, demultiplexes and decodes.

    The display matrix of the file is applied (turned and mirrored), pixels are made square,
    interlaced frames are deinterlaced, transparent ones laid over white.

    :param file: an open regular file that :func:`.container.check_start` accepts, closed with the
        film; or an address of the network.
    :param name: for messages.
    :param form: FFmpeg's name of the container, where its own guess would be wrong.
    :param timeout: seconds without an answer of the network.
    :raises InputError: it cannot be decoded; the line says why.
    """

    def __init__(
        self,
        file: BinaryIO | str,
        name: str,
        *,
        form: str | None = None,
        timeout: float | None = None,
    ) -> None:
        av.logging.set_level(None)
        self._file = file
        self._name = name
        self.damaged = 0
        self.held = 0.0
        on_network = isinstance(file, str)
        options = {
            'format_whitelist': NETWORK_FORMATS if on_network else FILM_FORMATS,
            # A file opens nothing else, neither files nor addresses.
            'protocol_whitelist': 'http,https,tcp,tls,crypto' if on_network else 'none',
            'max_pixels': str(MAX_PIXELS),
        }
        if form == 'mjpeg':
            # It has no times.
            options['framerate'] = f'{DEFAULT_FPS:g}'
        try:
            self._container: InputContainer = av.open(
                file,
                'r',
                format=form,
                options=options,
                buffer_size=_BUFFER,
                timeout=timeout,
                metadata_errors='replace',
            )
        except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
            raise InputError(_DAMAGED.format(name=name)) from error
        try:
            self._stream = self._choose()
            self._decoder = self._open_decoder()
        except BaseException:
            self._container.close()
            raise
        rates = [self._stream.average_rate, self._stream.guessed_rate]
        if rates[0] and rates[0] < 1:
            # On the average of a film whose times jump, hours are between two frames.
            rates.reverse()
        self.fps = next(
            (float(rate) for rate in rates if rate and 0.0 < rate <= _MOST_FPS), DEFAULT_FPS
        )
        clocked = self._container.format.name in _CLOCKED
        self.pause = PAUSE_OF_A_CLOCK if clocked else PAUSE_OF_A_FILE
        self.declared = self._indexed()
        self._first_orientation = 0
        self._cut = False
        if not isinstance(file, str):
            at = file.tell()
            if self._container.format.name == 'apng':
                self.declared = png_frames(file) or None
            end = _ENDS.get(self._container.format.name)
            self._cut = end is not None and not ends_with(file, end)
            file.seek(at)
        self.seconds = self._declared_seconds()
        if self.seconds is not None:
            self.pause = min(self.pause, max(self.seconds, PAUSE_OF_A_CLOCK))
        self._reformatter, self._shallower = VideoReformatter(), VideoReformatter()
        self._deinterlacer = _Deinterlacer()

    def pictures(self) -> Iterator[tuple[RgbImage, float | None]]:
        """Yield each image as it is to be shown, RGB uint8 (H, W, 3), and its time in seconds.

        Images come in the order of presentation; what an edit list hides is left out.

        :raises InputError: an image is too large: the size may change within a film.
        """
        for decoded in self._decoded():
            for frame in self._deinterlacer.pass_on(decoded):
                yield self._image(frame), self._time(frame)
        for frame in self._deinterlacer.end():
            yield self._image(frame), self._time(frame)
        # The last image is shown as far as it goes.
        self.damaged += self._cut

    def close(self) -> None:
        """Free the decoder, and close the file."""
        self._container.close()
        if not isinstance(self._file, str):
            self._file.close()

    def _choose(self) -> VideoStream:
        films = [each for each in self._container.streams.video if not each.disposition & _NO_FILM]
        if not films:
            if not self._container.streams.audio:
                raise InputError(_DAMAGED.format(name=self._name))
            raise InputError(f'{self._name} has sound only; give a video with pictures')
        best = self._container.streams.best('video')
        chosen = next((each for each in films if each is best), films[0])
        if chosen.codec_context is None:
            raise InputError(
                f'{self._name} is coded in a way that cannot be decoded; re-encode it as MP4'
            )
        check_frame_size(chosen.codec_context.width, chosen.codec_context.height, self._name)
        return chosen

    def _open_decoder(self) -> Any:
        decoder: Any = self._stream.codec_context
        self._alpha = None
        metadata = self._stream.metadata
        if metadata.get('alpha_mode', metadata.get('ALPHA_MODE')) == '1' and decoder.name in CODECS:
            self._alpha = AlphaDecoder(decoder.name)
            limit_decoder(decoder)
            return decoder
        decoder.options = {'max_pixels': str(MAX_PIXELS)}
        decoder.thread_type = 'AUTO'
        decoder.thread_count = _THREADS
        return decoder

    def _indexed(self) -> int | None:
        """Return the number of frames to be shown by the index of MP4 and MOV."""
        if 'mov' not in self._container.format.name or not self._stream.frames:
            return None
        shown = sum(not entry.is_discard for entry in self._stream.index_entries)
        return shown or None

    def _declared_seconds(self) -> float | None:
        if self._container.format.name not in _DECLARING:
            return None
        stream = self._stream
        if self._container.format.name == 'avi' and stream.frames:
            # Its length is corrected if the file is cut off, this number is not.
            return stream.frames / self.fps
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        tag = next((v for k, v in stream.metadata.items() if k.upper() == 'DURATION'), '')
        written = _clock_seconds(tag)
        if written is not None:
            return written
        # Of several streams, the sound may be the longer one.
        if self._container.duration and len(self._container.streams) == 1:
            return self._container.duration / av.time_base
        return None

    def _packets(self) -> Iterator[Any]:
        """Yield packets, going on behind damaged ones."""
        failed = 0
        # On the network, each attempt may take the time that is given.
        while failed <= (0 if isinstance(self._file, str) else _PATIENCE):
            try:
                for packet in self._container.demux(self._stream):
                    failed = 0
                    yield packet
                return
            except (av.error.EOFError, av.error.ExitError, av.error.TimeoutError):
                break
            except (av.error.FFmpegError, OSError, ValueError, MemoryError):
                failed += 1
        yield None

    def _decoded(self) -> Iterator[VideoFrame]:
        failed = 0
        ended = False
        for packet in self._packets():
            if packet is None or packet.size == 0:
                if packet is not None and packet.dts is not None:
                    # The frame before is shown on; the decoder would take it for the end.
                    continue
                # Nothing more comes: what the decoder still holds is asked for once.
                if ended:
                    return
                ended = True
            try:
                frames = self._decoder.decode(packet)
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError, ValueError, MemoryError):
                self.damaged += 1
                failed += 1
                if failed > _PATIENCE or ended:
                    return
                continue
            if self._alpha is not None and packet is not None:
                self._alpha.add(packet, frames)
            if frames:
                failed = 0
            if packet is not None and packet.duration and packet.time_base:
                # Of the packet: the filter's frames have none.
                self.held = float(packet.duration * packet.time_base)
            yield from frames
            if ended:
                return

    def _time(self, frame: VideoFrame) -> float | None:
        ticks = frame.dts if frame.pts is None else frame.pts
        # What a decoder still held at the end of a damaged file comes without its unit.
        unit = frame.time_base or self._stream.time_base
        return None if ticks is None or not unit else float(ticks * unit)

    def _image(self, frame: VideoFrame) -> RgbImage:
        check_frame_size(frame.width, frame.height, self._name)
        width, height = self._square(frame.width, frame.height)
        check_frame_size(width, height, self._name)
        shown = orientation(frame)
        if self._container.format.name == 'apng':
            # Its EXIF is for all images, and comes with the first one.
            shown = self._first_orientation = self._first_orientation or shown
        transparent = any(component.is_alpha for component in frame.format.components)
        transparent |= frame.format.name == 'pal8'
        alpha: Any = frame.opaque if self._alpha is not None else None
        colours = frame.colorspace
        if colours == _UNSPECIFIED:
            hd = frame.width >= _HD[0] or frame.height >= _HD[1]
            colours = Colorspace.ITU709 if hd else Colorspace.ITU601
        if frame.format.name in _DEEP:
            # In one step swscale takes three times as long.
            frame = self._shallower.reformat(frame, format='yuv420p', threads=1)
        try:
            converted = self._reformatter.reformat(
                frame,
                width,
                height,
                'bgra' if transparent else 'rgb24',
                src_colorspace=colours,
                interpolation=Interpolation.BICUBIC,
                src_color_range=frame.color_range,
                threads=1,
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            # YCgCo, ICtCp and others are unknown to swscale.
            raise InputError(
                f'{self._name} has colours that cannot be converted (space {int(colours)} of '
                'H.273); re-encode it as MP4 with BT.709'
            ) from error
        image: Any = converted.to_ndarray()
        if transparent:
            image = bgr_to_rgb(image)
        elif alpha is not None:
            image = over_white(image, cv2.resize(alpha, (width, height)))
        return turned(image, shown)

    def _square(self, width: int, height: int) -> tuple[int, int]:
        """Return the size with square pixels: one side is enlarged."""
        ratio = self._stream.sample_aspect_ratio
        if not ratio or not Fraction(1, _WIDEST) <= ratio <= _WIDEST:
            return width, height
        if ratio > 1:
            width = round(width * ratio)
        else:
            height = round(height / ratio)
        return min(width, 2 * MAX_SIDE), min(height, 2 * MAX_SIDE)


def orientation(frame: VideoFrame) -> int:
    """Return the orientation of EXIF, 1 to 8, that comes next to a frame's display matrix."""
    raw = next((bytes(each) for each in _side_data(frame) if each.type is Type.DISPLAYMATRIX), b'')
    if len(raw) < 36:
        return 1
    # A point (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d = struct.unpack_from('=5i', raw)
    if not (a or b or c or d):
        return 1
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return _ORIENTATIONS[False, d < 0, a < 0]
    return _ORIENTATIONS[True, b < 0, c < 0]


def _kind_unknown(cls: type[Type], value: int) -> Type:
    # PyAV 18's list ends where FFmpeg 7's did, and one kind more, such as EXIF, is an exception.
    member: Any = object.__new__(cls)
    member._name_, member._value_ = f'UNKNOWN_{value}', value
    found: Type = member
    return found


Type._missing_ = classmethod(_kind_unknown)  # type: ignore[assignment,method-assign]


def _side_data(frame: VideoFrame) -> list[SideData]:
    # Iterating over it gives the values, although it is called a mapping.
    data: Any = frame.side_data
    return [data[number] for number in range(len(data))]


def _clock_seconds(text: str) -> float | None:
    """Return the seconds in a tag of Matroska such as ``00:00:02.400000000``."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(':'))
    except ValueError:
        return None
    total = 3600.0 * hours + 60.0 * minutes + seconds
    return total if math.isfinite(total) and total > 0.0 else None


class _Deinterlacer:
    """Passes frames on, from the first interlaced one on through FFmpeg's filter bwdif.

    The number of frames, their times and their order stay as they are.
    """

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] = (0, 0, '')

    def pass_on(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Yield the frames that are ready."""
        kind = frame.width, frame.height, frame.format.name
        if self._graph is not None and kind != self._kind:
            yield from self.end()
        if self._graph is None:
            if not frame.interlaced_frame:
                yield frame
                return
            self._graph, self._kind = _bwdif(frame), kind
        self._graph.vpush(frame)
        yield from self._ready()

    def end(self) -> Iterator[VideoFrame]:
        """Yield what the filter still holds."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
            self._graph = None

    def _ready(self) -> Iterator[VideoFrame]:
        assert self._graph is not None
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _bwdif(frame: VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base,
        ),
        graph.add('bwdif', 'mode=send_frame:deint=interlaced'),
        graph.add('buffersink'),
    ).configure()
    return graph
