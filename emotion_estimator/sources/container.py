"""Which videos reach FFmpeg, and how OpenCV opens streams: known containers only, no playlists.

FFmpeg recognizes some hundred formats by content, whatever a file's name. Among them are playlists
and descriptions of streams (HLS, concat, SDP), which open other files and addresses.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import cv2

from emotion_estimator.errors import InputError
from emotion_estimator.picture_header import check_picture
from emotion_estimator.sources.base import silence_opencv
from emotion_estimator.sources.declared_size import declared_sizes
from emotion_estimator.sources.film_kind import is_animated_webp
from emotion_estimator.untrusted import MAX_PIXELS, MAX_SIDE, cannot_read, open_regular, quote

#: For messages.
ACCEPTED_VIDEOS = (
    'MP4, MOV, MKV, WebM, AVI, MPEG-TS, MPEG-PS, Ogg, FLV, ASF, GIF, animated WebP or PNG, MJPEG, '
    'IVF, Y4M, or raw H.264 or H.265'
)

#: FFmpeg's names of the formats that files may have.
FILM_FORMATS = (
    'mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf,gif,apng,mjpeg,ivf,yuv4mpegpipe,h264,'
    'hevc,m4v'
)
#: Further ones that only cameras and servers send: :func:`check_container` lets none through.
NETWORK_FORMATS = f'{FILM_FORMATS},rtsp,hls,mpjpeg,jpeg_pipe,live_flv,aac,ac3,eac3,mp3,webvtt'
_VARIABLE = 'OPENCV_FFMPEG_CAPTURE_OPTIONS'
_WHITELIST = f'format_whitelist;{NETWORK_FORMATS}'
#: UDP loses parts of images, and firewalls stop it.
_OPTIONS = f'rtsp_flags;prefer_tcp|{_WHITELIST}'

#: First boxes of ISO base media files and of QuickTime's.
_BOXES = frozenset(
    (b'ftyp', b'styp', b'moov', b'moof', b'mdat', b'free', b'skip', b'wide', b'pnot', b'sidx')
)
#: Bytes read of a file: several packets of a transport stream, the first image of MJPEG.
_START = 1 << 20


def check_container(path: Path) -> bytes:
    """Check by its first bytes that a file is a video of a known kind, and its size in pixels.

    The size that other kinds than MP4, MOV, Matroska, AVI, GIF, WebP, PNG and MJPEG declare is left
    to the limit that the decoder is given.

    :returns: the first bytes, a megabyte or all.
    :raises InputError: it cannot be read, is no regular file, of another kind, or too large.
    """
    try:
        with open_regular(path) as file:
            return check_start(file, f'video {quote(path)}')
    except (OSError, ValueError) as error:
        raise cannot_read('video', path, error, InputError) from error


def check_start(file: BinaryIO, name: str) -> bytes:
    """Check an open file as :func:`check_container` does, and leave it at its beginning.

    :raises OSError: it cannot be read.
    :raises InputError: as above.
    """
    start = file.read(_START)
    sizes = list(declared_sizes(file, start))
    file.seek(0)
    # FFmpeg takes any text with such a line for a description of a stream on the network.
    describes = b'c=IN IP' in start.partition(b'\0')[0]
    if describes or not any(known(start) for known in _KNOWN):
        raise InputError(
            f'{name} cannot be decoded ({"empty" if not start else "damaged, or not a video"}); '
            f'give {ACCEPTED_VIDEOS}'
        )
    if start.startswith((b'\xff\xd8', b'\x89PNG', b'RIFF')) and start[8:11] != b'AVI':
        check_picture(start, name)
    for width, height in sizes:
        check_frame_size(width, height, name)
    return start


def check_frame_size(width: float, height: float, name: str) -> None:
    """Check a video's size in pixels.

    :raises InputError: it is too large.
    """
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(
            f'{name} is {width:.0f}x{height:.0f} pixels, too large for the limit of {MAX_PIXELS} '
            f'pixels and {MAX_SIDE} a side; scale it down'
        )


def open_ffmpeg(address: str, name: str, parameters: list[int]) -> cv2.VideoCapture:
    """Open a stream with OpenCV's FFmpeg; it may turn out not to be open.

    FFmpeg gets the list of formats, too, as far as OpenCV passes options on: 4.11's wheel does not.

    :param address: of the network.
    :param name: for messages.
    :param parameters: for ``cv2.VideoCapture``: properties and values.
    :raises InputError: its images are too large.
    """
    silence_opencv()
    options = os.environ.setdefault(_VARIABLE, _OPTIONS)
    if 'format_whitelist' not in options:
        os.environ[_VARIABLE] = f'{options}|{_WHITELIST}'
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, parameters)
    try:
        width, height = (
            capture.get(prop) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        check_frame_size(width, height, name)
    except InputError:
        capture.release()
        raise
    return capture


def decoded(read: Callable[[], tuple[bool, Any]], name: str) -> Any:
    """Return the next image of a capture; None if it is damaged, or there is none.

    :param read: the ``read`` or ``retrieve`` of the capture.
    :raises InputError: the image is too large: the size may change within a video.
    """
    try:
        ok, image = read()
    except cv2.error:
        # Of an image of another size than the stream's, or without memory for it.
        return None
    if not ok or image is None or image.size == 0:
        return None
    height, width = image.shape[:2]
    check_frame_size(width, height, name)
    return image


def _is_transport_stream(start: bytes) -> bool:
    # Packets of 188 bytes; with a time code before, or a checksum behind each.
    return any(
        len(start) > begin + 2 * length and all(start[begin + n * length] == 0x47 for n in range(3))
        for begin, length in ((0, 188), (4, 192), (0, 204))
    )


def _is_elementary_stream(start: bytes) -> bool:
    """Return whether it is MPEG-PS, MPEG-1/2/4 or H.264/H.265: a start code and what may follow."""
    head = start[1:] if start.startswith(b'\0\0\0\1') else start
    return head.startswith(b'\0\0\1') and len(head) > 4 and (
        head[3] < 0x80 or head[3] in (0xB0, 0xB3, 0xB5, 0xB8, 0xBA, 0xBB)
    )  # fmt: skip


_KNOWN: tuple[Callable[[bytes], bool], ...] = (
    lambda b: b[4:8] in _BOXES,
    lambda b: b[:4] == b'\x1a\x45\xdf\xa3',
    lambda b: b[:4] == b'RIFF' and b[8:11] == b'AVI',
    _is_transport_stream,
    _is_elementary_stream,
    lambda b: b[:4] == b'OggS',
    lambda b: b[:4] == b'FLV\1',
    lambda b: b[:8] == b'\x30\x26\xb2\x75\x8e\x66\xcf\x11',
    lambda b: b[:6] in (b'GIF87a', b'GIF89a'),
    lambda b: b[:3] == b'\xff\xd8\xff',
    lambda b: b[:8] == b'\x89PNG\r\n\x1a\n',
    is_animated_webp,
    lambda b: b[:4] == b'DKIF',
    lambda b: b[:10] == b'YUV4MPEG2 ',
)
