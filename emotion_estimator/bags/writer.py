"""Write bags that rosbag2, Foxglove and PlotJuggler read, without ROS."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer, WriterError

from emotion_estimator.bags.messages import (
    Header,
    action_message,
    complete_definition,
    definition,
    emotion_message,
    emotions_message,
    image_message,
    serialize,
    truth_message,
)
from emotion_estimator.bags.storage import BagMessage
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import primary
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult, RgbImage

EMOTION_TOPIC = '/emotion'
EMOTIONS_TOPIC = '/emotions'
ACTION_TOPIC = '/dialogue/action'
TRUTH_TOPIC = '/ground_truth'

_STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
STORAGES = tuple(_STORAGES)
COMPRESSIONS = ('none', 'zstd')


#: As ROS writes a time without end.
_EVER = QosTime(9223372036, 854775807)
#: A reliable offer matches every subscriber, and `ros2 bag play` offers what was recorded.
_RELIABLE = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    deadline=_EVER,
    lifespan=_EVER,
    liveliness=QosLiveliness.AUTOMATIC,
    liveliness_lease_duration=_EVER,
    avoid_ros_namespace_conventions=False,
)


class BagWriter:
    """A bag that is being written; the folder is made with the first message.

    Whatever ends it, what was written is a whole bag. The same messages give the same bytes.

    :param folder: which must not exist.
    :param storage: ``mcap`` or ``sqlite3``.
    :param compression: ``none``, or ``zstd``: of chunks in MCAP, of messages in SQLite.
    :raises InputError: the folder exists, or cannot be made.
    """

    def __init__(self, folder: Path, storage: str = 'mcap', compression: str = 'none') -> None:
        if storage not in STORAGES or compression not in COMPRESSIONS:
            raise ValueError(f'{storage}, {compression}')
        self._writer: Writer | None = None
        self._folder = folder
        self._storage = storage
        self._compression = compression
        self._connections: dict[tuple[str, str], Connection] = {}
        if folder.exists() or folder.is_symlink():
            raise InputError(f'{folder} exists; give another folder for the bag, or remove it')
        # rosbags puts the name into a URI as it is, and SQLite would write elsewhere.
        if storage == 'sqlite3' and any(sign in str(folder) for sign in '?#%'):
            raise InputError(f'{folder}: sqlite3 takes no name with ?, # or %; choose mcap instead')

    def copy(self, message: BagMessage) -> bool:
        """Write a message of another bag as it is, unless new results take its place.

        :returns: False for a message of the topics of results, which is left out.
        """
        if message.topic in (EMOTION_TOPIC, EMOTIONS_TOPIC, ACTION_TOPIC):
            return False
        source = message.connection
        key = (source.topic, source.msgtype)
        if key not in self._connections:
            text, digest = complete_definition(source.msgtype, source.msgdef.data)
            more: Any = source.ext
            profiles, wire = more.offered_qos_profiles, more.serialization_format
            self._add(*key, text, source.digest or digest, profiles, wire)
        self._write(self._connections[key], message.log_time, message.data)
        return True

    def image(
        self, topic: str, image: RgbImage, header: Header, quality: int | None = None
    ) -> None:
        """Write an image.

        :param image: uint8 (H, W, 3), RGB.
        :param quality: of the JPEG, 1 to 100; None writes the pixels as they are.
        """
        self._put(topic, image_message(image, header, quality), header)

    def truth(self, label: str, header: Header) -> None:
        """Write what the image of a header is known to show."""
        self._put(TRUTH_TOPIC, truth_message(label, header), header)

    def result(
        self, result: FrameResult, header: Header, model: str, log_time: int | None = None
    ) -> None:
        """Write what the estimator node would publish for an image.

        :param header: of the image.
        :param model: of the estimator, for frames without a face.
        :param log_time: when the image was recorded, in nanoseconds, beside which the results then
            lie; None is its stamp.
        """
        main = primary(result.faces)
        self._put(EMOTION_TOPIC, emotion_message(main, header, model), header, log_time)
        emotions = emotions_message(result.faces, header, model)
        self._put(EMOTIONS_TOPIC, emotions, header, log_time)

    def action(self, action: DialogueAction, header: Header, log_time: int | None = None) -> None:
        """Write what the dialogue manager decided upon an image; arguments as of a result."""
        self._put(ACTION_TOPIC, action_message(action, header), header, log_time)

    def close(self) -> None:
        """Complete the bag; more than once does no harm.

        :raises InputError: the disk is full, or the like.
        """
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except (OSError, sqlite3.Error) as error:
                raise self._unwritable(error) from error

    def __enter__(self) -> BagWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the bag, also after an error: what was written is worth keeping."""
        self.close()

    def _put(self, topic: str, message: Any, header: Header, log_time: int | None = None) -> None:
        key = (topic, message.__msgtype__)
        if key not in self._connections:
            self._add(*key, *definition(message.__msgtype__), [_RELIABLE], 'cdr')
        time = header.nanoseconds if log_time is None else log_time
        self._write(self._connections[key], time, serialize(message))

    def _write(self, connection: Connection, time: int, data: bytes) -> None:
        assert self._writer is not None
        try:
            # No storage has a time before the epoch.
            self._writer.write(connection, max(time, 0), data)
        except (OSError, sqlite3.Error) as error:
            raise self._unwritable(error) from error

    def _add(
        self, topic: str, kind: str, text: str, digest: str, profiles: list[Qos], wire: str
    ) -> None:
        self._connections[topic, kind] = self._opened().add_connection(
            topic,
            kind,
            msgdef=text,
            rihs01=digest,
            serialization_format=wire,
            offered_qos_profiles=profiles,
        )

    def _opened(self) -> Writer:
        if self._writer is None:
            try:
                # Version 8 is one that Humble's rosbag2 reads too; 9 is not.
                writer = Writer(self._folder, version=8, storage_plugin=_STORAGES[self._storage])
                if self._compression == 'zstd':
                    mcap = self._storage == 'mcap'
                    mode = CompressionMode.STORAGE if mcap else CompressionMode.MESSAGE
                    writer.set_compression(mode, CompressionFormat.ZSTD)
                writer.open()
            except (OSError, sqlite3.Error, WriterError) as error:
                raise self._unwritable(error) from error
            self._writer = writer
        return self._writer

    def _unwritable(self, error: Exception) -> InputError:
        reason = getattr(error, 'strerror', None) or error
        return InputError(f'bag {self._folder} cannot be written ({reason})')
