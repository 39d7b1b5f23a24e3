"""What the demo shows and summarizes, from synthetic states."""

from __future__ import annotations

import io
import itertools
import json

import cv2
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from rich.console import Console

from emotion_estimator.demo.results import (
    check_turns,
    describe_results,
    draw_timeline,
    summarize,
    write_results,
)
from emotion_estimator.demo.state import (
    VIDEO_QUEUE,
    AnnotatedFrame,
    DemoHistory,
    DemoScene,
    DemoState,
    EmotionReading,
)
from emotion_estimator.demo.view import LiveView, PlainView, latencies, rate, screen, thumbnail
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import NONE, Roi
from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator.film_writer import FilmWriter
from emotion_estimator.timeline import draw_actions, new_figure, stretches


def reading(stamp: float, label: str = 'happy', latency: float = 0.01) -> EmotionReading:
    if label == NONE:
        return EmotionReading(stamp, label, latency=latency)
    scores = {'happy': 0.1, 'unknown': 0.1, 'sad': 0.1, label: 0.8}
    return EmotionReading(stamp, label, 0.8, scores, latency, Roi(40, 30, 60, 70), 'lstm-1')


def action(stamp: float, name: str = 'continue', words: str = 'Lovely.') -> DialogueAction:
    return DialogueAction(name, 'tea', 'warm', words, 'happy long', 'happy', 0.8, 'r', 'a', stamp)


def filled() -> DemoState:
    """Two seconds happy, one second no face, one second sad, at 10 frames per second."""
    state = DemoState()
    labels = ['happy'] * 20 + [NONE] * 10 + ['sad'] * 10
    for i, label in enumerate(labels):
        state.add_truth(1e9 + i / 10, label)
        state.add_reading(reading(1e9 + i / 10, label, latency=0.001 * i))
    state.add_action(action(1e9 + 0.7))
    state.add_action(action(1e9 + 3.9, 'change_topic', ''))
    state.add_health('estimator', {'frames_dropped': '4', 'landmark_source': 'face_mesh'})
    state.add_health('camera', {'frames_published': '44', 'last_error': 'a cable is loose'})
    image = np.zeros((120, 160, 3), np.uint8)
    image[30:100, 40:100] = 255, 0, 0
    state.add_frame(AnnotatedFrame(1e9 + 3.9, image))
    return state


def conversation(said_at: float = 5.0) -> DemoState:
    """Ten seconds at 10 frames per second; the person speaks from 2 to 4 s, the robot answers."""
    state = DemoState(words_per_minute=60.0)
    for i in range(100):
        state.add_truth(1e9 + i / 10, 'unknown')
        state.add_speech(2.0 <= i / 10 < 4.0)
        state.add_reading(reading(1e9 + i / 10, 'unknown'))
    state.add_floor(1e9 + 0.1, 'waiting')
    state.add_floor(1e9 + 2.1, 'person_speaks')
    state.add_floor(1e9 + 3.1, 'person_speaks')
    state.add_floor(1e9 + 5.1, 'robot_speaks')
    state.add_action(action(1e9 + said_at, words='Schön! Und dann?'))
    return state


def shown(renderable, width: int = 120, height: int = 40) -> str:
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True,
        color_system='truecolor',
    )  # fmt: skip
    console.print(renderable)
    return console.file.getvalue()


def test_a_snapshot_covers_the_last_seconds_only():
    snapshot = filled().snapshot(seconds=1.0)
    assert len(snapshot.recent) == 11
    assert (snapshot.label, snapshot.truth, snapshot.received) == ('sad', 'sad', 40)
    assert rate(snapshot) == pytest.approx(10)
    assert latencies(snapshot) == pytest.approx((34, 38.5))


def test_frames_are_queued_for_the_video_and_the_oldest_is_dropped():
    state = DemoState()
    for i in range(VIDEO_QUEUE + 3):
        state.add_frame(AnnotatedFrame(i / 10, np.zeros((1, 1, 3), np.uint8)))
    assert state.history().video_dropped == 3
    assert state.take_frame(age=0.5).stamp == pytest.approx(0.3)
    assert state.take_frame(age=100.0) is None


def test_scene_at_a_stamp_is_what_was_known_by_then():
    state = filled()
    scene = state.scene_at(1e9 + 2.5)
    assert (scene.truth, scene.action.action) == (NONE, 'continue')
    assert state.scene_at(1e9 + 0.1) == DemoScene('happy')
    assert DemoState().scene_at(0.0) == DemoScene()


def test_scene_at_a_stamp_has_the_turns_until_then():
    state = conversation()
    seen = [state.scene_at(1e9 + t) for t in (0.05, 2.5, 4.5, 5.5)]
    assert [scene.floor for scene in seen] == ['', 'person_speaks', 'person_speaks', 'robot_speaks']
    assert [scene.speaking for scene in seen] == [False, True, False, False]
    assert [[(t.speaker, t.seconds) for t in scene.turns] for scene in seen] == [
        [],
        [('person', pytest.approx(0.5))],
        [('person', pytest.approx(2.0))],
        [('person', pytest.approx(2.0)), ('robot', pytest.approx(3.0))],
    ]


def test_the_screen_shows_everything():
    text = shown(screen(filled().snapshot(), 'ROS_DOMAIN_ID=7', 120, 40))
    for words in ('sad', '0.80', 'truth', 'change_topic', 'Lovely.', 'face_mesh', 'ROS_DOMAIN_ID=7',
                  'a cable is loose', '10.0 per second', '(no utterance)'):  # fmt: skip
        assert words in text, words
    assert '38;2;' in text
    text = shown(screen(conversation().snapshot(), 't', 120, 40))
    for words in (
        'floor: robot speaks',
        'Schön! Und dann? (3.0 s)',
        'person',
        '(speaks for 2.0 s)',
    ):
        assert words in text, words


@pytest.mark.parametrize('size', [(20, 8), (80, 24), (250, 70)])
def test_the_screen_fits_any_terminal_and_any_state(size):
    assert shown(screen(DemoState().snapshot(), 't', *size), *size)
    text = Console(file=io.StringIO(), width=size[0], height=size[1])
    text.print(screen(filled().snapshot(), 't', *size))
    assert max(map(len, text.file.getvalue().splitlines())) <= size[0]


def test_the_thumbnail_shows_the_face():
    frame = filled().snapshot().frame
    full, face = thumbnail(frame, None, 40, 20), thumbnail(frame, Roi(40, 30, 60, 70), 40, 20)
    assert full.plain.splitlines() == ['\N{UPPER HALF BLOCK}' * 40] * 15

    def red(text):
        return np.mean([span.style.color.triplet.red > 200 for span in text.spans])

    assert red(face) > 1.5 * red(full)
    assert thumbnail(frame, Roi(500, 500, 10, 10), 40, 20).plain == full.plain


def test_plain_lines_once_a_second_on_change_and_for_each_action():
    console = Console(file=io.StringIO(), width=80)
    state = DemoState()
    with PlainView(console) as view:
        view.show(state.snapshot())
        for i in range(25):
            state.add_reading(reading(5 + i / 10, 'happy' if i < 15 else 'sad'))
            if i == 7:
                state.add_action(action(5.7))
            view.show(state.snapshot())
            view.show(state.snapshot())
    lines = console.file.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ['0.0', '0.7', '1.0', '1.5']
    assert 'continue: Lovely. (0.5 s); happy long' in lines[1]
    assert 'sad (happy 0.10 unknown 0.10 sad 0.80)' in lines[3]


def test_plain_lines_tell_when_the_person_speaks():
    console = Console(file=io.StringIO(), width=80)
    state = DemoState()
    with PlainView(console) as view:
        for i in range(80):
            # The truth comes with the image, the reading a frame later.
            state.add_truth(5 + i / 10, 'happy')
            state.add_speech(12 <= i < 40)
            view.show(state.snapshot())
            state.add_floor(5.0, 'waiting')
            state.add_reading(reading(5 + i / 10))
    lines = console.file.getvalue().splitlines()
    assert [line.strip() for line in lines if 'person' in line] == [
        '1.2 s  the person speaks',
        '4.0 s  the person has spoken for 2.8 s',
    ]
    assert ', floor waiting, ' in lines[-1]


def test_the_live_view_restores_the_terminal():
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    with pytest.raises(KeyError), LiveView(console, 'title') as view:
        view.show(filled().snapshot())
        raise KeyError
    written = console.file.getvalue()
    assert written.index('\x1b[?1049h') < written.index('Lovely.') < written.index('\x1b[?1049l')


def test_the_summary_counts_and_can_be_json():
    found = summarize(filled().history())
    numbers = json.loads(json.dumps(found.as_dict()))
    assert numbers['frames'] == 40
    assert numbers['fps'] == pytest.approx(10, abs=0.01)
    assert (numbers['frames_dropped'], numbers['frames_published']) == (4, 44)
    assert (numbers['latency_p50_ms'], numbers['latency_p95_ms']) == (19.5, 37.05)
    assert numbers['actions'] == {'continue': 1, 'change_topic': 1}
    assert numbers['agreement']['settled']['share'] == 1.0
    assert set(numbers['agreement']['per_label']) == {'happy', NONE, 'sad'}
    text = '\n'.join(found.lines())
    for words in ('40 in 3.9 s', '4 dropped', 'p50 19.5 ms', 'face_mesh', 'lstm-1', '1.000'):
        assert words in text, words


def test_the_results_have_the_conversation(tmp_path):
    history = conversation().history()
    written = write_results(history, tmp_path)
    summary = json.loads((tmp_path / 'summary.json').read_text(encoding='utf-8'))
    assert [(t['speaker'], t['begin'], t['end'], t['words']) for t in summary['conversation']] == [
        ('person', 2.0, 4.0, ''),
        ('robot', 5.0, 8.0, 'Schön! Und dann?'),
    ]
    assert summary['spoken_over_the_person'] == 0
    lines = describe_results(history, FilmWriter(tmp_path / 'demo.mp4', 10), written)
    assert lines[1:4] == [
        'conversation',
        '   2.0 s  person  (speaks for 2.0 s)',
        '   5.0 s  robot   Schön! Und dann? (3.0 s)',
    ]
    assert (
        'speech     the robot for 3.0 s, the person for 2.0 s; the robot never while the person did'
        in lines
    )
    check_turns(history)


def test_a_robot_that_speaks_over_the_person_fails_the_demo(tmp_path):
    history = conversation(said_at=3.0).history()
    write_results(history, tmp_path)
    assert json.loads((tmp_path / 'summary.json').read_bytes())['spoken_over_the_person'] == 1
    with pytest.raises(EmotionEstimatorError, match=r'while the person did.* at 3\.0 s: Schön!'):
        check_turns(history)
    check_turns(DemoHistory())


def test_of_a_person_who_is_not_heard_nothing_is_claimed():
    found = summarize(filled().history())
    assert found.as_dict()['spoken_over_the_person'] is None
    (line,) = (line for line in found.lines() if line.startswith('speech'))
    assert line == 'speech     the robot for 0.5 s'


def test_lost_frames_are_reported():
    state = filled()
    state.add_health('estimator', {'frames_dropped': '1', 'frames_bad': '0'})
    found = summarize(state.history())
    assert found.lost == found.as_dict()['frames_lost'] == 3
    assert ', 3 lost between the nodes' in found.lines()[0]
    state.add_health('estimator', {'frames_dropped': '4', 'frames_bad': '0'})
    found = summarize(state.history())
    assert found.lost == 0
    assert 'lost' not in found.lines()[0]


def test_a_face_at_rest_is_right_in_both_vocabularies():
    state = DemoState()
    for i, label in enumerate(['neutral', 'unknown', 'angry', 'neutral']):
        state.add_truth(i / 10, 'unknown')
        state.add_reading(reading(i / 10, label))
    assert summarize(state.history()).agreement.overall.agreed == 3


def test_the_summary_of_nothing_and_without_truth():
    assert summarize(DemoHistory()).as_dict()['agreement'] is None
    assert summarize(DemoHistory()).rate == 0
    assert any('not measured' in line for line in summarize(DemoHistory()).lines())


def test_stretches_join_equal_labels_and_break_at_gaps():
    samples = [(0.0, 'a'), (0.1, 'a'), (0.2, 'b'), (2.0, 'b'), (2.1, 'b')]
    assert list(stretches(samples)) == [(0.0, 0.2, 'a'), (0.2, 0.2, 'b'), (2.0, 2.1, 'b')]
    assert list(stretches([])) == []


def test_sentences_in_the_picture_do_not_overlap():
    figure, (others, speech) = new_figure((1, 2), 4.0)
    # The last one is written to the left of its mark, back to where the first one ends.
    long, short = 'word ' * 17, 'pause'
    said = [(0.5, long), (15, short), (19, short), (22, short), (23, short), (35, long), (36, long)]
    draw_actions(speech, [others], [(t, words, 'happy') for t, words in said], 40.0)
    speech.set_xlim(0, 40)
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in speech.texts]
    assert len(boxes) == len(said)
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def test_the_picture_has_the_labels_colours(tmp_path):
    path = tmp_path / 'demo.png'
    assert draw_timeline(filled().history(), path)
    assert [p.name for p in tmp_path.iterdir()] == ['demo.png']
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    sad, happy = ((image == colour).all(axis=2).sum() for colour in ((86, 180, 233), (230, 159, 0)))
    assert happy > 1.5 * sad > 1000
    purple = (image == (204, 121, 167)).all(axis=2).sum()
    draw_timeline(conversation().history(), path)
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert (image == (204, 121, 167)).all(axis=2).sum() > purple + 1000
    assert not draw_timeline(DemoHistory(), tmp_path / 'none.png')
    assert not (tmp_path / 'none.png').exists()
