from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import pytest

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES, MIRROR
from emotion_estimator.emotion import EXPRESSIONS
from emotion_estimator.errors import EmotionEstimatorError, ModelError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator.resources import resource_dir
from emotion_estimator.runtimes import open_interpreter
from emotion_estimator.untrusted import MAX_JSON


def write_card(folder, weights=b'weights', **changes):
    (folder / 'model.tflite').write_bytes(weights)
    card = {
        'name': 'made',
        'version': '1.0.0',
        'kind': 'emotion_lstm',
        'file': 'model.tflite',
        'sha256': hashlib.sha256(weights).hexdigest(),
        'labels': ['happy', 'unknown', 'sad'],
        'blendshapes': list(BLENDSHAPE_NAMES),
        'settings': {
            'state_size': 4,
            'still_steps': 2,
            'still_dt': 0.03,
            'embedding_size': 8,
            'expressions': list(EXPRESSIONS),
        },
    } | changes
    path = folder / 'model.json'
    path.write_text(json.dumps({key: v for key, v in card.items() if v is not None}))
    return path


def test_a_complete_card_loads(tmp_path):
    card = ModelCard.load(write_card(tmp_path), 'emotion_lstm')
    assert card.title == 'made-1.0.0'
    assert card.labels == ('happy', 'unknown', 'sad')


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'sha256': '0' * 64}, 'its card has 000000000000'),
        ({'file': 'gone.tflite'}, 'gone.tflite cannot be read'),
        ({'kind': 'blendshape_head'}, "is of kind 'blendshape_head', expected 'emotion_lstm'"),
        ({'blendshapes': list(BLENDSHAPE_NAMES[::-1])}, 'lists other blendshapes'),
        ({'name': None}, "is incomplete or invalid ('name')"),
        ({'blendshapes': None}, "is incomplete or invalid ('blendshapes')"),
        ({'settings': 'abc'}, "'settings', which must be an object"),
        ({'labels': [1, 'happy', 'sad']}, "invalid ('labels', which must be a list of strings"),
        ({'labels': 3}, 'is incomplete or invalid'),
        ({'file': 'a\0\nb'}, "'file', which must have 1 to 100 printable characters"),
    ],
)
def test_a_card_that_disagrees_is_refused(tmp_path, changes, says):
    with pytest.raises(ModelError) as caught:
        ModelCard.load(write_card(tmp_path, **changes), 'emotion_lstm')
    assert says in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_missing_or_broken_card_is_named(tmp_path):
    with pytest.raises(ModelError, match=r'nowhere\.json cannot be read'):
        ModelCard.load(tmp_path / 'nowhere.json', 'emotion_lstm')
    broken = tmp_path / 'broken.json'
    broken.write_text('{"name": ')
    with pytest.raises(ModelError, match='is not JSON'):
        ModelCard.load(broken, 'emotion_lstm')
    broken.write_text('[' * 100_000)
    with pytest.raises(ModelError, match='is not JSON'):
        ModelCard.load(broken, 'emotion_lstm')
    broken.write_text('[1, 2]')
    with pytest.raises(ModelError, match='is incomplete or invalid'):
        ModelCard.load(broken, 'emotion_lstm')


@pytest.mark.parametrize(
    'file',
    [
        '../model.tflite',
        './model.tflite',
        'sub/model.tflite',
        '/etc/passwd',
        '.',
        '..',
        '',
        'x' * 101,
        3,
    ],
)
def test_a_card_names_only_a_file_beside_it(tmp_path, file):
    path = write_card(tmp_path, file=file)
    with pytest.raises(ModelError, match=r"model\.json is incomplete or invalid \('file'"):
        ModelCard.load(path, 'emotion_lstm')


def test_a_link_may_not_lead_elsewhere_than_that_of_the_card(tmp_path):
    source, installed = tmp_path / 'source', tmp_path / 'installed'
    source.mkdir()
    installed.mkdir()
    card = write_card(source)
    # As colcon build --symlink-install does.
    for name in ('model.json', 'model.tflite'):
        (installed / name).symlink_to(source / name)
    assert ModelCard.load(installed / 'model.json', 'emotion_lstm').title == 'made-1.0.0'
    (source / 'model.tflite').rename(tmp_path / 'secret')
    for target in (tmp_path / 'secret', '/dev/zero', source / 'model.tflite'):
        (source / 'model.tflite').unlink(missing_ok=True)
        (source / 'model.tflite').symlink_to(target)
        with pytest.raises(ModelError, match=r'model\.tflite'):
            ModelCard.load(card, 'emotion_lstm')


def test_only_a_regular_file_of_limited_size_is_a_card(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'large').write_bytes(b' ' * (MAX_JSON + 1))
    for name in ('pipe', 'large', '', '/dev/zero', '/proc/self/mem', 'a\0b', 'odd\udcff\n'):
        with pytest.raises(ModelError) as caught:
            ModelCard.load(tmp_path / name, 'emotion_lstm')
        line = str(caught.value)
        assert 'model card ' in line and line.isprintable()


HOSTILE = [
    '[' * 100_000,
    '{"a":' * 5000,
    '1' * 5000,
    '1e999',
    'NaN',
    '"\\ud800"',
    'null',
    '"text"',
    '{}',
    '\ufeff{}',
]
#: In the place of each field.
VALUES: list[Any] = [
    None, True, -1, 0.5, 10**60, '', 'x' * 5000, '\n', '\x1b[31m', [], {}, [[[[]]]], ['a'] * 2000,
    [None], {'a': {'b': []}}, ['\u202e'], ['x' * 5000],
]  # fmt: skip
RAW = {10**400: '1' + '0' * 400, 'half': '"\\udfff"', 'deep': '[' * 60 + ']' * 60}


def one_line(path, load=ModelCard.load):
    with pytest.raises(ModelError) as caught:
        load(path, 'emotion_lstm')
    line = str(caught.value)
    assert line.isprintable() and len(line) < 700, line


@pytest.mark.parametrize('text', HOSTILE, ids=range(len(HOSTILE)))
def test_text_that_is_no_card_gives_one_line(tmp_path, text):
    (tmp_path / 'card.json').write_text(text)
    one_line(tmp_path / 'card.json')


@pytest.mark.parametrize('field', ['name', 'version', 'kind', 'file', 'sha256', 'labels',
                                   'blendshapes', 'settings', 'metrics'])  # fmt: skip
def test_whatever_a_field_holds_gives_one_line(tmp_path, field):
    def load(card, kind):
        # A card may be complete without labels, settings and metrics, a model is not.
        EmotionClassifier.load(card)

    for value in VALUES:
        one_line(write_card(tmp_path, **{field: value}), load)
    card = json.loads(write_card(tmp_path).read_text())
    for raw in RAW.values():
        text = json.dumps({**card, field: 'HERE'}).replace('"HERE"', raw)
        (tmp_path / 'model.json').write_text(text)
        one_line(tmp_path / 'model.json', load)


def test_whatever_a_setting_holds_gives_one_line(tmp_path):
    def load(card, kind):
        EmotionClassifier.load(card)

    known = json.loads((models_dir() / 'emotion_lstm.json').read_text())
    weights = (models_dir() / 'emotion_lstm.tflite').read_bytes()
    for name in ('state_size', 'still_steps', 'still_dt', 'embedding_size', 'expressions',
                 'neutral_blendshapes', 'appearance_sha256'):  # fmt: skip
        for value in VALUES:
            if (name, value) in (
                ('neutral_blendshapes', None),
                ('appearance_sha256', ''),
                ('still_dt', 0.5),
                ('still_dt', True),
            ):
                continue
            changed = {**known['settings'], name: value}
            one_line(write_card(tmp_path, weights, **{**known, 'settings': changed,
                                                      'file': 'model.tflite'}), load)  # fmt: skip


def test_weights_that_are_no_model_are_named(tmp_path):
    card = write_card(tmp_path, weights=b'not a flatbuffer at all')
    with pytest.raises(ModelError, match='is not a TFLite model'):
        EmotionClassifier.load(card)


def test_labels_that_the_code_does_not_know_are_refused(tmp_path):
    card = write_card(tmp_path, labels=['joy', 'unknown', 'sad'])
    with pytest.raises(ModelError, match='joy'):
        EmotionClassifier.load(card)


@pytest.mark.parametrize('setting', [{'state_size': 10**7}, {'still_steps': 0}, {'still_dt': 'x'}])
def test_settings_that_cannot_be_are_refused(tmp_path, setting):
    settings = {'state_size': 4, 'still_steps': 2, 'still_dt': 0.03} | setting
    with pytest.raises(ModelError, match='has a missing or invalid setting'):
        EmotionClassifier.load(write_card(tmp_path, settings=settings))


def test_weights_of_another_model_are_refused(tmp_path):
    shipped = models_dir() / 'blendshape_head.tflite'
    card = write_card(tmp_path, weights=shipped.read_bytes())
    with pytest.raises(ModelError, match='has tensors of shapes'):
        EmotionClassifier.load(card)


def test_a_runtime_that_is_not_there_is_named():
    with pytest.raises(ModelError, match='no_such_runtime does not work here'):
        open_interpreter(models_dir() / 'blendshape_head.tflite', 'no_such_runtime')


@pytest.mark.parametrize('loader', [BlendshapeHead, EmotionClassifier])
def test_the_shipped_models_load(loader):
    assert loader.load().title


def test_mirroring_twice_is_the_identity():
    assert [MIRROR[k] for k in MIRROR] == list(range(52))
    assert BLENDSHAPE_NAMES[MIRROR[BLENDSHAPE_NAMES.index('jawLeft')]] == 'jawRight'
    assert BLENDSHAPE_NAMES[MIRROR[BLENDSHAPE_NAMES.index('jawOpen')]] == 'jawOpen'


def test_an_installation_without_its_folders_says_so():
    with pytest.raises(EmotionEstimatorError, match='has no no_such_room folder; reinstall'):
        resource_dir('no_such_room')
