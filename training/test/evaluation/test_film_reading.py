"""Films: the same as the pipeline frame by frame, the debounced label, and clips.csv."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from available import needs_face_mesh

import emotion_estimator
from emotion_estimator.dialogue.debounce import DebouncedEmotion
from emotion_estimator.emotion import BRANCHES, NONE, primary
from emotion_estimator.errors import InputError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator.sources.video import VideoFile
from emotion_estimator_training.evaluation.film_reading import (
    FilmReading,
    LabelledFilm,
    film_figures,
    film_groups,
    labelled_films,
    read_film,
)
from emotion_estimator_training.evaluation.image_reading import AnswerStore, LandmarkChoice


def _film(path: Path, images) -> Path:
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10.0, (width, height))
    for image in images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.fixture(scope='module')
def film(tmp_path_factory) -> Path:
    """Show the portrait for 1.5 s, and 1 s of nobody."""
    shown = Portrait(fps=10, size=(256, 256)).frames()
    frames = [frame.image for frame, _ in zip(shown, range(15))]
    return _film(
        tmp_path_factory.mktemp('film') / 'one.mp4', [*frames, *[np.zeros_like(frames[0])] * 10]
    )


@needs_face_mesh
def test_a_film_is_read_as_the_pipeline_reads_it(film, tmp_path) -> None:
    choice = LandmarkChoice('face_mesh', None, models_dir())
    store = AnswerStore(tmp_path / 'answers.sqlite')
    reading = read_film(film, choice, models_dir(), None, store)
    assert read_film(film, choice, models_dir(), None, store) == reading
    for branch in BRANCHES:
        debounced, labels, changes = DebouncedEmotion(), [], []
        with EmotionEstimator(landmark_source='face_mesh', branches=branch) as estimator:
            for frame in VideoFile(film).frames():
                face = primary(estimator(frame))
                labels.append(NONE if face is None else face.label)
                change = debounced(face, frame.stamp)
                if change:
                    changes.append((round(change.stamp, 3), change.new))
        assert reading.labels[branch] == tuple(labels)
        assert reading.changes[branch] == tuple(changes)
    assert reading.labels['fused'][0] != NONE and reading.labels['fused'][-1] == NONE


@needs_face_mesh
def test_a_film_of_one_frame_is_named(tmp_path) -> None:
    picture = Path(emotion_estimator.__path__[0]) / 'sources' / 'data' / 'astronaut.jpg'
    one = _film(tmp_path / 'single.mp4', [cv2.imread(str(picture))])
    choice = LandmarkChoice('face_mesh', None, models_dir())
    with pytest.raises(InputError, match=r'single\.mp4 has one frame'):
        read_film(one, choice, models_dir(), None, AnswerStore(tmp_path / 'a.sqlite'))


def test_figures_of_a_film() -> None:
    labels = ('none', 'unknown', 'happy', 'happy', 'none', 'happy', 'sad', 'unknown')
    reading = FilmReading(
        tuple(n / 2 for n in range(8)), {'fused': labels}, {'fused': ((1.5, 'happy'),)}
    )
    figures = film_figures(reading, 'fused')
    assert figures['frames'] == 8 and figures['seconds'] == 3.5
    assert figures['found'] == 0.75
    assert (figures['happy'], figures['unknown'], figures['sad']) == (0.5, 0.3333, 0.1667)
    # unknown to happy, happy to sad, sad to unknown; not to and from nobody.
    assert figures['flips_per_s'] == pytest.approx(3 / 3.5, abs=1e-4)
    assert figures['becomes'] == [[1.5, 'happy']]


def test_what_is_wrong_with_the_csv_is_said(tmp_path) -> None:
    for name in ('a', 'b', 'c', 'd'):
        (tmp_path / f'{name}.mp4').write_bytes(b'')
    (tmp_path / 'clips.csv').write_text(
        'Clip,label,speaking,person\na.mp4,neutral,yes,ann\nb,sadness,no,\nb.mp4,happy,no,ben\n'
        'c,bored,perhaps,ann\nz,happy,yes,cy\n'
    )
    films, lines = labelled_films(tmp_path)
    assert [(one.path.stem, one.label, one.speaking, one.person) for one in films] == [
        ('a', 'unknown', True, 'ann'),
        ('b', 'sad', False, 'b'),
        ('c', None, None, 'ann'),
        ('d', None, None, 'd'),
    ]
    assert [line.partition(': ')[2].split(':')[0] for line in lines[:4]] == [
        "'b.mp4' has a row already",
        "label 'bored' is none of happy, unknown, sad, angry, disgust, fear, surprise, neutral",
        "speaking 'perhaps' is neither yes nor no",
        "no film 'z'",
    ]
    assert 'says nothing of 1 films: d.mp4' in lines[4]
    assert film_groups(films) == {'unknown, talking': [0], 'sad, at rest': [1]}


def test_without_a_csv_nothing_is_claimed(tmp_path) -> None:
    (tmp_path / 'a.mp4').write_bytes(b'')
    films, [line] = labelled_films(tmp_path)
    assert films == [LabelledFilm(tmp_path / 'a.mp4', None, None, 'a')]
    assert 'no clips.csv' in line and film_groups(films) == {}
    (tmp_path / 'clips.csv').write_bytes(b'clip\n\xff\n')
    with pytest.raises(InputError, match='cannot be read'):
        labelled_films(tmp_path)
    (tmp_path / 'clips.csv').write_text('film,label\n')
    with pytest.raises(InputError, match='no column clip'):
        labelled_films(tmp_path)
