"""The live comparison with a model of the zoo: words, shares, changes, and its page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

if not (Path(__file__).parents[2] / 'benchmarks').exists():
    pytest.skip('an installation has no benchmarks', allow_module_level=True)

from emotion_estimator.model_card import ModelCard, models_dir

import zoo_live

SEVEN = ('angry', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise')
THREE = ('happy', 'unknown', 'sad')


def heard(truth, told, labels):
    times = [at / 10 for at in range(len(labels))]
    return zoo_live.heard('a.mp4', truth, 'm', 5, told, labels, times, [10.0] * len(labels))


def test_three_words_are_those_of_the_robot():
    assert [zoo_live.word(label) for label in (*SEVEN, 'unknown', 'none')] == [
        'unknown', 'unknown', 'unknown', 'happy', 'unknown', 'sad', 'unknown', 'unknown', 'none',
    ]  # fmt: skip


def test_a_neutral_face_that_is_called_angry_is_right_in_three_words_alone():
    found = heard('neutral', SEVEN, ['neutral', 'angry', 'neutral', 'happy'])
    assert (found.right, found.own) == (0.75, 0.5)
    assert found.said == 'neutral 0.50'
    assert found.changes == pytest.approx(3 / 0.3)
    ours = heard('neutral', THREE, ['unknown', 'unknown', 'happy', 'none'])
    assert (ours.right, ours.own) == (0.5, None), 'it cannot say neutral'
    assert heard('sad', THREE, ['sad', 'sad']).own == 1.0


def test_in_a_film_without_a_face_none_is_right_for_every_model():
    found = heard('none', THREE, ['none', 'unknown', 'none', 'none'])
    assert (found.right, found.own) == (0.75, 0.75)


def test_the_images_of_a_film_are_those_that_the_camera_reads(tmp_path):
    film = tmp_path / 'film.avi'
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (64, 48))
    for number in range(7):
        writer.write(np.full((48, 64, 3), 30 * number, np.uint8))
    writer.release()
    assert zoo_live.images_of(film) == 7


def test_the_page_names_the_models_and_every_film(tmp_path):
    card = tmp_path / 'lstm.json'
    card.write_text(json.dumps({'name': 'zoo_lstm', 'version': '1.0.0', 'sha256': 'ab' * 32}))
    rows = [
        heard('happy', SEVEN, ['happy', 'happy']),
        zoo_live.Heard('portrait', 'its script', 'lstm', 10, 9, 0.5, None, '-', None, (1.0, 2.0)),
    ]
    text = zoo_live.page(
        rows, ['lstm: happy 3 of 4'], {'lstm': card}, 'python x.py', ['two were learned from']
    )
    assert '| a.mp4 | happy | m | 5 | 2 | 1.000 | 1.000 | happy 1.00 | 0.00 | 10.0 | 10.0 |' in text
    assert '| portrait | its script | lstm | 10 | 9 | 0.500 | - | - | - | 1.0 | 2.0 |' in text
    assert f'- lstm: `zoo_lstm-1.0.0`, sha256 `{"ab" * 32}`' in text
    assert '- Portrait, lstm: happy 3 of 4.' in text
    assert '- **two were learned from**' in text
    for name in ('emotion_lstm', 'appearance'):
        assert f'`{ModelCard.load(models_dir() / f"{name}.json", name).title}`' in text


def test_a_robot_that_spoke_over_the_person_is_counted(tmp_path, monkeypatch):
    tally = {'frames': 4, 'agreed': 3, 'share': 0.75}
    found = {
        'frames': 9, 'frames_published': 10, 'spoken_over_the_person': 2,
        'latency_p50_ms': 1.0, 'latency_p95_ms': 2.0,
        'agreement': {'settled': tally, 'per_label': {'happy': tally}},
    }  # fmt: skip

    def fails(*_, **__):
        # As the demo does then: exit status 1, and nothing but the unfinished folder.
        (tmp_path / 'unfinished').mkdir()
        (tmp_path / 'unfinished' / 'summary.json').write_text(json.dumps(found))
        return argparse.Namespace(stdout='', returncode=1)

    monkeypatch.setattr(zoo_live.subprocess, 'run', fails)
    one, line = zoo_live.watch_portrait('lstm', None, tmp_path)
    assert (one.right, one.images, one.emotions) == (0.75, 10, 9)
    assert line == (
        'lstm: happy 3 of 4; 9 of 10 images answered; the robot spoke over the person 2 times'
    )


def test_what_cannot_be_run_is_said_in_one_line(tmp_path):
    (tmp_path / 'film.mp4').write_bytes(b'')
    assert zoo_live._film(f'{tmp_path}/film.mp4=happy') == (tmp_path / 'film.mp4', 'happy')
    assert zoo_live._film(f'{tmp_path}/film.mp4=none') == (tmp_path / 'film.mp4', 'none')
    for text in (f'{tmp_path}/film.mp4=glad', f'{tmp_path}/none.mp4=happy', 'film.mp4'):
        with pytest.raises(argparse.ArgumentTypeError, match='give FILM=LABEL'):
            zoo_live._film(text)
    with pytest.raises(SystemExit, match='is not the card of a model'):
        zoo_live.titles(tmp_path / 'none.json')
