"""Faults of files and services: damaged weights, unreadable configuration, disks, servers, bags."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chat_server
import corpus
from chat_server import ChatServer, answering, chunk, cut_off, hanging, speech, status, stream
from fault_scene import Outcome, Scene, fault, last_line
from robot import START_TIMEOUT, ChildProcess
from std_msgs.msg import String

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.context import EmotionHistory
from emotion_estimator.dialogue.prompt import make_prompt

_WEIGHTS = 'weights and cards at the start'
_CONFIG = 'configuration at the start'
_DISK = 'disks and outputs'
_SERVER = 'language model servers'
_BAG = 'bags'

_ENDS = 'The node ends with status 2 and one line; the launch file does not start it again.'


def _damaged(name: str, damage: Callable[[Path], None]) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        from robot import damaged_estimator

        environment = scene.copy_of_install()
        file = next(Path(scene.folder, 'damaged_install').rglob(name))
        damage(file)
        before, scene.graph.environment = scene.graph.environment, environment
        try:
            child = scene.graph.run('damaged', *damaged_estimator(environment, scene.landmarks))
        finally:
            scene.graph.environment = before
        return scene.gives_up(child, Path(name).stem)

    return inflict


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


for _name in ('emotion_lstm', 'appearance', 'blendshape_head'):
    fault(f'{_name} cut', _WEIGHTS, f'{_name}.tflite cut off', _ENDS)(
        _damaged(f'{_name}.tflite', _cut)
    )
    fault(f'{_name} changed', _WEIGHTS, f'one byte of {_name}.tflite changed', _ENDS)(
        _damaged(f'{_name}.tflite', _flip)
    )
fault('speaking changed', _WEIGHTS, 'one byte of speaking.npz changed', _ENDS)(
    _damaged('speaking.npz', _flip)
)
fault('card cut', _WEIGHTS, 'the card emotion_lstm.json cut off', _ENDS)(
    _damaged('emotion_lstm.json', _cut)
)
fault('weights missing', _WEIGHTS, 'emotion_lstm.tflite not there', _ENDS)(
    _damaged('emotion_lstm.tflite', Path.unlink)
)


def _refused(node: str, words: str, **parameters: Any) -> Callable[[Scene], Outcome]:
    return lambda scene: scene.refuses(node, words, **parameters)


for _name, _node, _words, _parameters in (
    ('no such film', 'camera', '/nowhere/film.mp4', {'source': '/nowhere/film.mp4'}),
    ('source /dev/zero', 'camera', '/dev/zero', {'source': '/dev/zero'}),
    ('no such model', 'estimator', '/nowhere/x.json', {'model': '/nowhere/x.json'}),
    ('no face landmarker', 'estimator', '/nowhere/f.task',
     {'landmark_source': 'face_landmarker', 'face_landmarker_path': '/nowhere/f.task'}),
    ('face landmarker /dev/zero', 'estimator', '/dev/zero',
     {'landmark_source': 'face_landmarker', 'face_landmarker_path': '/dev/zero'}),
    ('no such policy', 'dialogue_manager', '/nowhere/rules.yaml',
     {'policy_file': '/nowhere/rules.yaml'}),
    ('rate out of range', 'camera', 'fps', {'source': 'portrait', 'fps': 1000.0}),
    ('no calibration', 'camera', '/nowhere/c.yaml',
     {'source': 'portrait', 'camera_info_url': '/nowhere/c.yaml'}),
):  # fmt: skip
    fault(
        _name, _CONFIG, ', '.join(f'{k}:={v}' for k, v in _parameters.items()) + f' of {_node}',
        _ENDS,
    )(_refused(_node, _words, **_parameters))  # fmt: skip


@fault('unreadable parameters', _CONFIG, 'a parameter file that is not YAML', _ENDS)
def _parameters_file(scene: Scene) -> Outcome:
    path = scene.folder / 'broken.yaml'
    path.write_text('camera: [')
    child = scene.graph.start('camera', '--params-file', str(path))
    return scene.gives_up(child, 'broken.yaml')


@fault(
    'disk full while recording', _DISK, '`record` on a disk that fills (a limit of 300 kB a file)',
    'Stops with status 2 and one line; the images before are in the bag.',
)  # fmt: skip
def _disk(scene: Scene) -> Outcome:
    assert scene.robot
    # One on which it fits, first: the command is right.
    done = scene.command(
        'record', 'portrait', 'full_bag', '--raw', '--duration', '20', shell='ulimit -f 300;'
    )
    assert done.returncode == 2, f'status {done.returncode}: {done.stderr}'
    assert 'Traceback' not in done.stderr, done.stderr[-300:]
    return Outcome(None, last_line(done.stderr))


def _full(*arguments: str) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        from robot import save_face

        assert scene.robot
        save_face(scene.folder / 'face.png')
        done = scene.command(*arguments, shell='> /dev/full')
        assert done.returncode in (1, 2), f'status {done.returncode}'
        assert 'Traceback' not in done.stderr, done.stderr[-300:]
        assert len(done.stderr.splitlines()) <= 3, done.stderr[-300:]
        return Outcome(None, last_line(done.stderr))

    return inflict


fault(
    'output full', _DISK, '`image --json` to /dev/full', 'Status 2 (or 1) and one line.'
)(_full('image', 'face.png', '--json'))  # fmt: skip
fault(
    'picture from /dev/zero', _DISK, '`image /dev/zero`', 'Status 2 and one line.'
)(lambda scene: _verb(scene, 'image', '/dev/zero'))  # fmt: skip


def _verb(scene: Scene, *arguments: str) -> Outcome:
    assert scene.robot
    done = scene.command(*arguments)
    assert done.returncode == 2, f'status {done.returncode}: {done.stderr[-300:]}'
    assert 'Traceback' not in done.stderr, done.stderr[-300:]
    return Outcome(None, last_line(done.stderr))


class _Talk:
    """The language model node beside a server."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.server = ChatServer(answering('Hello there.')).__enter__()
        graph = scene.graph
        self.heard = graph.hear(String, '/talk/dialogue/say')
        self._prompts = graph.node.create_publisher(String, '/talk/dialogue/prompt', 10)
        arguments = ('-r', '__ns:=/talk', '-r', '__node:=talk')
        self.child: ChildProcess = graph.start(
            'llm_dialogue', *arguments, base_url=self.server.url, model='test', timeout=1.5,
            total_timeout=4.0,
        )  # fmt: skip
        robot = scene.robot
        robot.wait(
            lambda: robot.status('talk/talk').get('state') == 'active',
            START_TIMEOUT,
            'it is active',
        )
        robot.wait(self._prompts.get_subscription_count, 30.0, 'it hears')
        robot.wait(lambda: graph.node.count_publishers('/talk/dialogue/say'), 30.0, 'it speaks')
        robot.spin(1.0)
        self._time = 100.0

    def ask(self) -> float:
        """Publish a prompt; return the seconds until something is said."""
        self._time += 10.0
        action = DialogueAction(
            action='check_in', topic='tea', approach='neutral', utterance='How are you just now?',
            reason='', emotion='', confidence=0.0, rule='', face_id='', stamp=self._time,
        )  # fmt: skip
        context = EmotionHistory().describe(
            self._time, mode='running', topic='tea', approach='neutral'
        )
        prompt = make_prompt(action, context)
        before = len(self.heard)
        self._prompts.publish(String(data=json.dumps(prompt)))
        taken = self._scene.robot.wait(
            lambda: len(self.heard) > before, 15.0, 'a sentence is said all the same'
        )
        assert self.child.status() is None, 'the node ended'
        return taken

    def reply(self, *replies: Any) -> None:
        """Set how the server answers from now on."""
        self.server._replies = list(replies)


_talks: dict[int, _Talk] = {}


def _serving(reply: Callable[[], Any], fallback: bool = True) -> Callable[[Scene], Outcome]:
    def inflict(scene: Scene) -> Outcome:
        talk = _talks.get(id(scene))
        if talk is None:
            talk = _talks[id(scene)] = _Talk(scene)
        begin = len(talk.child.log.read_text())
        talk.reply(reply())
        bad = talk.ask()
        scene.robot.spin(1.0)
        said = talk.heard[-1].data
        if fallback:
            assert said == 'How are you just now?', said
        assert bad < 5.0, f'{bad:.1f} s until something was said'
        scene.robot.spin(3.0)
        log = talk.child.log.read_text()[begin:]
        assert 'Traceback' not in log, last_line(log)
        talk.reply(answering('Hello there.'))
        begun = time.monotonic()
        talk.ask()
        assert talk.heard[-1].data == 'Hello there.', talk.heard[-1].data
        return Outcome(time.monotonic() - begun, last_line(log))

    return inflict


def _large() -> Any:
    text = json.dumps({'choices': [{'message': {'content': 'x' * 10_000_000}}]})
    return status(200, text)


def _endless() -> Any:
    def reply(handler: chat_server.Handler) -> None:
        handler.begin()
        end = time.monotonic() + 20.0
        while not handler.server.stopping.is_set() and time.monotonic() < end:
            handler.write(chunk('and on '))
            time.sleep(0.005)

    return reply


def _refusing(handler: chat_server.Handler) -> None:
    handler.break_off()


for _name, _what, _reply, _fallback in (
    ('server refuses', 'a server that closes each connection at once', lambda: _refusing, True),
    ('server hangs', 'a server that never answers', hanging, True),
    ('server hangs half-way', 'a server that begins an answer and falls silent',
     lambda: hanging(*speech('How', finish=None)[:2]), True),
    ('endless answer', 'an answer without end', _endless, False),
    ('junk', 'an answer of noise', lambda: stream(b'data: \x00\xff{[[[\n\n'), True),
    ('10 MB', 'an answer of 10 MB', _large, True),
    ('server error', 'status 500 to each request', lambda: status(500, {'error': 'no'}), True),
    ('answer cut off', 'a connection that breaks before the first sentence is complete',
     lambda: cut_off(*speech('How', finish=None)[:2]), True),
    ('a page', 'a page of HTML, as from a hotel', lambda: status(200, '<html>', 'text/html'), True),
):  # fmt: skip
    fault(
        _name, _SERVER, _what,
        'The shipped words are said within timeout (here 1.5 s), the failure is counted by its '
        'kind; the next prompt is answered.' if _fallback else
        'It is cut at max_words and total_timeout; the next prompt is answered.',
    )(_serving(_reply, _fallback))  # fmt: skip


def _made_bag(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(corpus.bags('mcap')[0])
    return path


@fault(
    'bag damaged while playing', _BAG, 'bag_player_node, its file cut to a third meanwhile',
    'Plays what can be read, says what is missing, ends by itself.',
)  # fmt: skip
def _cut_bag(scene: Scene) -> Outcome:
    from made_bag import make_bag
    from sensor_msgs.msg import CompressedImage

    folder = scene.folder / 'played_bag'
    if not folder.exists():
        make_bag(folder, duration=6.0)
    file = next(folder.glob('*.mcap'))
    images = scene.graph.hear(CompressedImage, '/bag/image_raw/compressed', 5)
    assert scene.robot
    player = scene.graph.run(
        'bag_player', *scene_player(str(folder), '--rate', '0.5', '--wait', '10'),
        '--ros-args', '-r', '/image_raw/compressed:=/bag/image_raw/compressed',
        '-r', '/clock:=/bag/clock',
    )  # fmt: skip
    scene.robot.wait(lambda: len(images) > 3, START_TIMEOUT, 'it plays')
    size = file.stat().st_size
    with file.open('r+b') as opened:
        opened.truncate(size // 3)
    scene.robot.wait(lambda: player.status() is not None, 60.0, 'it ends')
    log = player.log.read_text()
    assert 'Traceback' not in log, last_line(log)
    assert player.status() in (0, 2), f'status {player.status()}'
    return Outcome(None, last_line(log))


def scene_player(*arguments: str) -> list[str]:
    """Return the command line of the bag player."""
    from robot import program

    return [*program('bag_player_node'), *arguments]


for _name, _what, _index in (
    ('endless view', 'a SQLite bag whose messages are an endless view', -2),
    ('message bomb', 'a SQLite bag with a message that decompresses to 1 GB', -1),
):  # fmt: skip

    def _sqlite(scene: Scene, index: int = _index) -> Outcome:
        path = scene.folder / 'hostile.db3'
        path.write_bytes(corpus.sqlite_bombs()[index])
        found = _verb(scene, 'replay', str(path), '--json')
        assert 'does not exist' not in found.said, found.said
        return found

    fault(_name, _BAG, f'`replay` of {_what}', 'Status 2 and one line.')(_sqlite)
