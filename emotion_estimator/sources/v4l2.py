"""The cameras that Linux lists (Video4Linux), and why one of them cannot be opened."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import quote

#: Major number of Video4Linux devices.
_MAJOR = 81
#: ``VIDIOC_QUERYCAP``: reads a ``struct v4l2_capability`` of 104 bytes.
_QUERYCAP, _CAPABILITY_BYTES = 0x80685600, 104
#: Offset of its fields ``capabilities`` (of all nodes of the hardware) and ``device_caps`` (of
#: this node, valid if the flag is set in the former).
_CAPABILITIES_AT, _HAS_DEVICE_CAPS = 84, 0x80000000
#: ``V4L2_CAP_VIDEO_CAPTURE`` and its multi-planar form.
_CAPTURES = 0x00000001 | 0x00001000

#: What to do about a device that the user may not open.
GROUP_HINT = 'add the user to group video (sudo usermod -aG video $USER) and log in again'


@dataclass(frozen=True)
class VideoNode:
    """A ``/dev/videoN``; a camera often has several, of which one delivers images.

    :param path: under ``/dev``.
    :param name: what the driver calls the camera; empty if the kernel does not say.
    :param exists: False if the kernel lists it but it is not in ``/dev``, as in a container.
    :param readable: whether this user may open it.
    :param captures: whether it delivers images, and not metadata or the input of a codec.
    """

    path: Path
    name: str
    exists: bool
    readable: bool
    captures: bool

    def __str__(self) -> str:
        """Return path and name."""
        return f'{self.path} ({self.name})' if self.name else str(self.path)


def node_capabilities(path: Path) -> int | None:
    """Return the V4L2 capability flags of a node, or None if it does not answer."""
    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(device, _QUERYCAP, bytes(_CAPABILITY_BYTES))
    except OSError:
        return None
    finally:
        os.close(device)
    of_all, of_node = struct.unpack_from('=II', answer, _CAPABILITIES_AT)
    return int(of_node if of_all & _HAS_DEVICE_CAPS else of_all)


def find_video_nodes(
    listed: Path = Path('/sys/class/video4linux'),
    devices: Path = Path('/dev'),
    capabilities: Callable[[Path], int | None] = node_capabilities,
) -> list[VideoNode]:
    """Return all video nodes, by number.

    :param listed: the folder in which the kernel lists them.
    :param devices: the folder that holds them.
    :param capabilities: returns the V4L2 capability flags of a node, or None if it cannot. Then a
        node captures if it is the first one of its camera.
    """
    names = {entry.name for folder in (listed, devices) for entry in _entries(folder)}
    numbers = sorted(int(name[5:]) for name in names if re.fullmatch(r'video\d{1,9}', name))
    nodes = []
    for number in numbers:
        path, entry = devices / f'video{number}', listed / f'video{number}'
        readable = os.access(path, os.R_OK | os.W_OK)
        flags = capabilities(path) if readable else None
        captures = (
            bool(flags & _CAPTURES) if flags is not None else _text(entry / 'index') in ('', '0')
        )
        nodes.append(VideoNode(path, _text(entry / 'name'), path.exists(), readable, captures))
    return nodes


def check_device(spec: str) -> None:
    """Check that a path under ``/dev`` is no file, folder, pipe or device of another kind.

    One that does not exist may be plugged in later.

    :param spec: a path or number.
    :raises InputError: it exists and is no camera of Linux.
    """
    if spec.isdigit():
        return
    try:
        found = Path(spec).stat()
    except (OSError, ValueError):
        return
    if not stat.S_ISCHR(found.st_mode) or os.major(found.st_rdev) != _MAJOR:
        raise InputError(f'{quote(spec)} is not a camera; choose another source')


def why_closed(device: int | str, nodes: list[VideoNode]) -> str:
    """Return why a camera cannot be opened and what to do, in one line.

    :param device: its number, or its path under ``/dev``.
    :param nodes: from :func:`find_video_nodes`.
    """
    path = Path(f'/dev/video{device}') if isinstance(device, int) else Path(device)
    # Links such as /dev/v4l/by-id/... lead to a node.
    name = Path(os.path.realpath(path)).name
    node = next((node for node in nodes if node.path.name == name), None)
    others = [one for one in nodes if one.captures and one.exists and one is not node]
    found = f'cameras found: {", ".join(map(str, others))}' if others else 'no camera was found'
    if node is None and path.exists():
        return f'{path} is not a camera; {found}'
    if node is None:
        return f'there is no {path}; {found}; plug it in, or choose another source'
    if not node.exists:
        return f'{node} is not in /dev; pass it to the container (docker run --device {path})'
    if not node.readable:
        return f'you may not read {node}; {GROUP_HINT}'
    if not node.captures:
        return f'{node} delivers no images; {found}'
    return f'{node} does not answer; close other programs that use it, or plug it in again'


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(errors='replace').strip()
    except OSError:
        return ''
