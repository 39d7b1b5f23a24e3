"""Write bags for rosbag2, Foxglove and PlotJuggler, without ROS."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
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

from emotion_estimator.bags.image_annotations import annotations_message
from emotion_estimator.bags.messages import (
    Header,
    action_message,
    bool_message,
    complete_definition,
    definition,
    emotion_message,
    emotions_message,
    image_message,
    serialize,
    string_message,
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
ANNOTATIONS_TOPIC = '/emotions/annotations'
USER_SPEAKING_TOPIC = '/dialogue/user_speaking'
USER_SAID_TOPIC = '/dialogue/user_said'
TRUTH_TOPIC = '/ground_truth'

_STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
STORAGES = tuple(_STORAGES)
COMPRESSIONS = ('none', 'zstd')

#: ROS's infinite duration.
_FOREVER = QosTime(9223372036, 854775807)
#: A reliable publisher matches every subscriber, and `ros2 bag play` uses the recorded settings.
_RELIABLE = Qos(
    QosHistory.KEEP_LAST,
    10,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    deadline=_FOREVER,
    lifespan=_FOREVER,
    liveliness=QosLiveliness.AUTOMATIC,
    liveliness_lease_duration=_FOREVER,
    avoid_ros_namespace_conventions=False,
)


#: Bytes of messages after which a database keeps what it has, if the next ones do not fit.
_COMMIT = 16 << 20


class BagWriteError(InputError):
    """A bag cannot be written any further, for example because the disk is full."""


class BagWriter:
    """Writes a bag; the folder is created with the first message.

    The bag is valid however writing ends, but on a full disk: it is left as it is then, without
    index and metadata, and can be read. The same messages give the same bytes.

    :param folder: the bag's folder, which must not exist.
    :param storage: ``mcap`` or ``sqlite3``.
    :param compression: ``none``, or ``zstd`` for chunks in MCAP or messages in SQLite.
    :raises InputError: the folder exists, or cannot be created.
    """

    def __init__(self, folder: Path, storage: str = 'mcap', compression: str = 'none') -> None:
        if storage not in STORAGES or compression not in COMPRESSIONS:
            raise ValueError(f'{storage}, {compression}')
        self._writer: Writer | None = None
        self._folder = folder
        self._storage = storage
        self._compression = compression
        self._connections: dict[tuple[str, str], Connection] = {}
        self._uncommitted = 0
        if folder.exists() or folder.is_symlink():
            raise InputError(f'{folder} exists; give another folder for the bag, or remove it')
        # rosbags does not escape the name in its URI, so SQLite would write elsewhere.
        if storage == 'sqlite3' and any(sign in str(folder) for sign in '?#%'):
            raise InputError(f'{folder}: sqlite3 cannot write to names with ?, # or %; choose mcap')

    def copy(self, message: BagMessage) -> bool:
        """Copy a message of another bag, unless it is a result, which new results replace.

        :returns: False for a message on a topic of results, which is skipped.
        """
        if message.topic in (EMOTION_TOPIC, EMOTIONS_TOPIC, ACTION_TOPIC, ANNOTATIONS_TOPIC):
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
        :param quality: JPEG quality, 1 to 100; None writes raw pixels.
        """
        self._put(topic, image_message(image, header, quality), header)

    def truth(self, label: str, header: Header) -> None:
        """Write the ground truth of the image with this header."""
        self._put(TRUTH_TOPIC, truth_message(label, header), header)

    def result(
        self, result: FrameResult, header: Header, model: str, log_time: int | None = None
    ) -> None:
        """Write what the estimator node would publish for an image, and its drawing.

        :param header: the image's header.
        :param model: the estimator's model, for frames without a face.
        :param log_time: when the image was recorded, in nanoseconds; None uses its stamp.
        """
        main = primary(result.faces)
        self._put(EMOTION_TOPIC, emotion_message(main, header, model), header, log_time)
        emotions = emotions_message(result.faces, header, model)
        self._put(EMOTIONS_TOPIC, emotions, header, log_time)
        self._put(ANNOTATIONS_TOPIC, annotations_message(result.faces, header), header, log_time)

    def user_speaking(self, speaking: bool, header: Header) -> None:
        """Write that the person begins or ends to speak, at a header's stamp."""
        self._put(USER_SPEAKING_TOPIC, bool_message(speaking), header)

    def user_said(self, text: str, header: Header) -> None:
        """Write what the person said, at a header's stamp."""
        self._put(USER_SAID_TOPIC, string_message(text), header)

    def action(self, action: DialogueAction, header: Header, log_time: int | None = None) -> None:
        """Write the dialogue manager's decision on an image; see :meth:`result`."""
        self._put(ACTION_TOPIC, action_message(action, header), header, log_time)

    def close(self) -> None:
        """Complete the bag; may be called more than once.

        :raises BagWriteError: the bag cannot be written, e.g. because the disk is full.
        """
        if self._writer is not None:
            try:
                self._writer.close()
            except (OSError, sqlite3.Error) as error:
                raise self._give_up(error) from error
            self._writer = None

    def __enter__(self) -> BagWriter:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the bag, also after an error: earlier messages are worth keeping."""
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
            # Storages cannot hold times before the epoch.
            self._writer.write(connection, max(time, 0), data)
            self._uncommitted += len(data)
            if self._storage == 'sqlite3' and self._uncommitted > _COMMIT:
                storage: Any = self._writer.storage
                storage.conn.commit()
                self._uncommitted = 0
        except (OSError, sqlite3.Error) as error:
            raise self._give_up(error) from error

    def _add(
        self, topic: str, kind: str, text: str, digest: str, profiles: list[Qos], wire: str
    ) -> None:
        self._connections[topic, kind] = self._open_writer().add_connection(
            topic,
            kind,
            msgdef=text,
            rihs01=digest,
            serialization_format=wire,
            offered_qos_profiles=profiles,
        )

    def _open_writer(self) -> Writer:
        if self._writer is None:
            try:
                # Humble's rosbag2 reads version 8, but not 9.
                writer = Writer(self._folder, version=8, storage_plugin=_STORAGES[self._storage])
                if self._compression == 'zstd':
                    mcap = self._storage == 'mcap'
                    mode = CompressionMode.STORAGE if mcap else CompressionMode.MESSAGE
                    writer.set_compression(mode, CompressionFormat.ZSTD)
                writer.open()
            except (OSError, sqlite3.Error, WriterError) as error:
                raise self._write_error(error) from error
            self._writer = writer
        return self._writer

    def _give_up(self, error: Exception) -> BagWriteError:
        """Close the files as they are; what follows would not fit either."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError, sqlite3.Error):
                writer.abort()
            # Half of it would be taken for damage.
            with suppress(OSError):
                writer.metapath.with_suffix('.yaml.tmp').unlink()
        return self._write_error(error)

    def _write_error(self, error: Exception) -> BagWriteError:
        reason = getattr(error, 'strerror', None) or error
        return BagWriteError(f'bag {self._folder} cannot be written ({reason})')
