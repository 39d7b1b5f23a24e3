"""MediaPipe's official Face Landmarker file: where it is kept, and how it is fetched."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

import platformdirs
from tqdm import tqdm

from emotion_estimator.errors import InputError, first_line

FACE_LANDMARKER_URL = (
    'https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/'
    'face_landmarker.task'
)
FACE_LANDMARKER_SHA256 = '64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff'

_CHUNK = 1 << 16


def face_landmarker_path() -> Path:
    """Return where the fetched file lies or would lie, in the user's cache folder."""
    return platformdirs.user_cache_path('emotion_estimator') / 'face_landmarker.task'


def has_sha256(path: Path, sha256: str) -> bool:
    """Tell whether ``path`` is a readable file with this checksum (64 hexadecimal digits)."""
    try:
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def fetch(
    url: str = FACE_LANDMARKER_URL,
    sha256: str = FACE_LANDMARKER_SHA256,
    target: Path | None = None,
    timeout: float = 20.0,
) -> Path:
    """Download a file once: resumed where it broke off, checked, and only then put in its place.

    :param url: http or https address.
    :param sha256: what the file must be.
    :param target: its place; None is :func:`face_landmarker_path`.
    :param timeout: seconds without an answer after which the network is taken as absent.
    :returns: ``target``; at once when it is there and right.
    :raises InputError: no network, or another content; names the URL and the place to put the file.
    """
    target = target or face_landmarker_path()
    if has_sha256(target, sha256):
        return target
    by_hand = f'download {url} elsewhere and put it at {target}'
    part = target.with_name(target.name + '.part')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(url, part, timeout)
        if has_sha256(part, sha256):
            return part.replace(target)
        part.unlink()
    except (OSError, http.client.HTTPException, ValueError) as error:
        # ValueError: no URL, or a header that should be a number.
        reason = first_line(error).removeprefix('<urlopen error ').removesuffix('>')
        raise InputError(f'cannot fetch {target.name} ({reason}); {by_hand}') from error
    raise InputError(f'{url} gave a file with another sha256 than {sha256}; {by_hand}')


def _download(url: str, part: Path, timeout: float) -> None:
    """Append to ``part`` what it lacks of ``url``; a server that cannot resume starts anew."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header('Range', f'bytes={have}-')
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # Range not satisfiable: all of it is here already.
            return
        raise
    with answer:
        resumed = answer.status == 206
        have = have if resumed else 0
        length = answer.headers.get('Content-Length')
        total = have + int(length) if length else None
        with (
            part.open('ab' if resumed else 'wb') as file,
            tqdm(total=total, initial=have, unit='B', unit_scale=True, desc=part.stem) as progress,
        ):
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                progress.update(len(chunk))
    if total is not None and part.stat().st_size < total:
        raise OSError(f'connection lost at {part.stat().st_size} of {total} bytes; run again')
