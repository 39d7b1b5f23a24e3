"""What was checked is what runs; what is not released is tried in another process first."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from available import TASK
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator import trial
from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.speaking import SpeechModel
from emotion_estimator.perception.upright import UprightNetwork
from emotion_estimator.released_models import RELEASED
from emotion_estimator.runtimes import open_interpreter, runtimes
from emotion_estimator.weights import MAX_ARRAYS_FILE, WeightsFile, read_arrays, stated

#: Not released: made by make_window_model.py.
OWN = Path(__file__).parent / 'helpers' / 'window_model' / 'portrait.tflite'
LSTM = models_dir() / 'emotion_lstm.tflite'


def copied(folder, *names):
    for name in names:
        shutil.copy(models_dir() / name, folder)
    return folder / names[0]


def test_the_pinned_checksums_are_those_of_the_shipped_files():
    """If this fails: scripts/release_model.py --pin, and say in the commit what was released."""
    names = {}
    for file in models_dir().iterdir():
        if file.suffix in ('.tflite', '.npz'):
            card = file.with_suffix('.json')
            raw = json.loads(card.read_text()) if card.is_file() else {}
            title = f'{raw["name"]} {raw["version"]}' if raw else file.stem
            names[hashlib.sha256(file.read_bytes()).hexdigest()] = title
    assert names == RELEASED


def test_a_file_that_is_replaced_after_the_check_does_not_run(tmp_path):
    path = copied(tmp_path, 'emotion_lstm.json', 'emotion_lstm.tflite')
    card = ModelCard.load(path, 'emotion_lstm')
    expected = EmotionClassifier(card).classify_still(np.full(52, 0.3, np.float32))
    # In place, as rsync --inplace or an editor does.
    card.path.write_bytes(OWN.read_bytes())
    after = EmotionClassifier(card)
    assert after.classify_still(np.full(52, 0.3, np.float32)).tolist() == expected.tolist()
    with pytest.raises(ModelError, match='its card has'):
        ModelCard.load(path, 'emotion_lstm')


def test_a_file_that_is_truncated_under_an_open_network_ends_nothing(tmp_path):
    path = copied(tmp_path, 'emotion_lstm.json', 'emotion_lstm.tflite')
    classifier = EmotionClassifier.load(path)
    with (tmp_path / 'emotion_lstm.tflite').open('r+b') as file:
        file.truncate(0)
    assert classifier.classify_still(np.full(52, 0.3, np.float32)).sum() == pytest.approx(1)


@pytest.mark.parametrize('place', ['pipe', 'folder', '/dev/zero', 'gone', 'x' * 300, 'a\0b'])
def test_only_regular_files_are_weights(tmp_path, place):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'folder').mkdir()
    with pytest.raises(ModelError) as caught:
        WeightsFile.read(tmp_path / place)
    line = str(caught.value)
    assert 'cannot be read' in line and '\n' not in line and len(line) < 400


def test_what_is_released_is_said(tmp_path, caplog):
    shipped = ModelCard.load(models_dir() / 'speaking.json', 'speaking')
    assert stated(shipped.sha256) == f'{shipped.sha256[:12]} released'
    content = io.BytesIO()
    with np.load(shipped.path) as arrays:
        np.savez_compressed(content, **arrays)
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    (tmp_path / 'speaking.npz').write_bytes(content.getvalue())
    raw = json.loads((models_dir() / 'speaking.json').read_text()) | {'sha256': sha256}
    (tmp_path / 'speaking.json').write_text(json.dumps(raw))
    assert stated(sha256) == f'{sha256[:12]} not released'
    with caplog.at_level(logging.WARNING):
        SpeechModel.load()
        assert caplog.messages == []
        for _ in range(2):
            assert SpeechModel.load(tmp_path / 'speaking.json').sha256 == sha256
    [line] = caplog.messages
    assert 'speaking.npz is not released' in line and sha256[:12] in line


# Arrays


def archive(**members):
    """Return a zip of members, each bytes, or an array."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            if not isinstance(content, bytes):
                saved = io.BytesIO()
                np.save(saved, content)
                content = saved.getvalue()
            made.writestr(f'{name}.npy', content)
    return file.getvalue()


def weights(content, path='some.npz'):
    return WeightsFile(Path(path), content, hashlib.sha256(content).hexdigest())


def header(text):
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text)) + text.encode()


def with_size(content, size):
    """Return an archive of one member whose directory claims another size."""
    at = content.index(b'PK\x01\x02')
    return content[: at + 24] + struct.pack('<I', size) + content[at + 28 :]


ONE = np.ones(3, np.float32)
BAD_ARRAYS = {
    'nothing': b'',
    'text': b'no archive',
    'cut': archive(a=ONE)[:-30],
    'objects': archive(a=np.array([{}, None], object)),
    'integers': archive(a=np.arange(3)),
    'text array': archive(a=np.array(['a'])),
    'structured': archive(a=np.zeros(2, [('x', 'f4')])),
    'bomb': with_size(archive(a=bytes(1 << 20)), 600 << 20),
    'bomb that lies': with_size(archive(a=bytes(48 << 20)), 1000),
    'much': archive(**{f'a{i}': bytes(200_000) for i in range(100)}),
    'no header': archive(a=b'abc'),
    'huge': archive(a=header("{'descr': '<f4', 'fortran_order': False, 'shape': (10**11,)}")),
    'huge shape': archive(
        a=header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,)}")
    ),
    'negative': archive(a=header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}")),
    'negative, full': archive(
        a=header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}") + bytes(4)
    ),
    'no shape': archive(a=header("{'descr': '<f4', 'fortran_order': False, 'shape': 'x'}")),
    'deep header': archive(a=header('(' * 900)),
    'long header': archive(a=header(' ' * 60_000)),
    'code': archive(a=header('__import__("os").abort()')),
    'large': b'PK' + bytes(MAX_ARRAYS_FILE),
}


@pytest.mark.parametrize('content', BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_arrays_that_cannot_be_are_refused_without_taking_memory(content):
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r'some\.npz is not a file of arrays') as caught:
        read_arrays(weights(content))
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 500
    # Kilobytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


@given(
    st.lists(st.integers(0, 4), max_size=3),
    st.sampled_from(['<f2', '<f4', '>f4', '<f8']),
    st.booleans(),
)
@settings(max_examples=30)
def test_arrays_are_read_as_numpy_reads_them(shape, kind, by_column):
    made = np.random.default_rng(0).normal(size=shape).astype(kind)
    made = np.asfortranarray(made) if by_column else made
    read = read_arrays(weights(archive(a=made)))['a']
    assert read.shape == made.shape and (read == made).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_damaged_arrays_are_refused_or_read(seed):
    made = random.Random(seed)
    content = bytearray((models_dir() / 'speaking.npz').read_bytes())
    for _ in range(made.choice((1, 4, 16))):
        # Headers, directory, and any byte.
        at = made.choice((made.randrange(300), -1 - made.randrange(400), made.randrange(16_000)))
        content[at] = made.randrange(256)
    try:
        read_arrays(weights(bytes(content)))
    except ModelError as error:
        assert '\n' not in str(error)


def test_upright_weights_that_are_no_numbers_are_refused(tmp_path):
    with np.load(models_dir() / 'upright.npz') as arrays:
        known = dict(arrays)
    np.savez(tmp_path / 'upright.npz', **{**known, 'out': np.full_like(known['out'], np.nan)})
    with pytest.raises(ModelError, match='weights that are not numbers'):
        UprightNetwork.load(tmp_path / 'upright.npz')


# Trials


def mutated(content, seed):
    made = random.Random(seed)
    data = bytearray(content)
    for _ in range(made.choice((1, 2, 4, 8))):
        at = made.randrange(len(data) - 4)
        any_value = made.randrange(2**32)
        special = made.choice((0, 1, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**16))
        value = made.choice((any_value, special))
        data[at : at + 4] = value.to_bytes(4, 'little')
    return bytes(data)


#: With which tflite-runtime segfaults on the mutated file.
CRASHES = [(OWN, 0), (OWN, 1), (LSTM, 5)]


@pytest.mark.parametrize('runtime', runtimes())
def test_damaged_models_that_crash_a_runtime_leave_this_process_alive(tmp_path, runtime):
    path, lines = tmp_path / 'damaged.tflite', []
    for file, seed in CRASHES:
        path.write_bytes(mutated(file.read_bytes(), seed))
        try:
            open_interpreter(path, runtime)
        except ModelError as error:
            lines.append(str(error))
    assert not any('\n' in line for line in lines)
    if runtime == 'tflite_runtime':
        said = 'damaged.tflite is not used: it is not a released file, and a trial of it crashed ('
        assert any(said in line for line in lines)


def test_the_crashes_are_real():
    """Without the trial the process that loads such a file ends."""
    if 'tflite_runtime' not in runtimes():
        pytest.skip('tflite_runtime is not installed')
    program = (
        'import sys; from tflite_runtime.interpreter import Interpreter\n'
        'model = Interpreter(model_content=sys.stdin.buffer.read(), num_threads=1)\n'
        'model.allocate_tensors(); model.invoke()'
    )
    ended = subprocess.run(
        [sys.executable, '-c', program],
        input=mutated(OWN.read_bytes(), 0),
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert ended.returncode == -signal.SIGSEGV


@pytest.fixture
def trials(monkeypatch):
    """Return the trials that are made meanwhile, of this process's own functions."""
    monkeypatch.setattr(trial, '_passed', set())
    monkeypatch.setattr(trial, '_announced', set())
    monkeypatch.syspath_prepend(str(Path(__file__).parent / 'helpers'))
    made, run = [], subprocess.run

    def counted(command, **options):
        made.append(command)
        return run(command, **options)

    monkeypatch.setattr(trial.subprocess, 'run', counted)
    return made


@pytest.mark.parametrize('runtime', runtimes())
def test_an_own_model_is_tried_once_and_announced_once(trials, caplog, runtime):
    open_interpreter(LSTM, runtime)
    assert trials == [], 'a released model needs none'
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            open_interpreter(OWN, runtime)
    assert len(trials) == 1
    assert len(caplog.messages) == 1 and 'is not released' in caplog.messages[0]


@pytest.mark.parametrize(
    ('function', 'says'),
    [
        ('hang', 'a trial of it was still busy after'),
        ('sleep', r'a trial of it took over 1 s'),
        ('fill', r'some\.tflite cannot be used \(MemoryError'),
        ('leave', 'a trial of it ended with status 3'),
        ('abort', r'crashed \(SIGABRT\)'),
        ('refuse', 'some.tflite is not for me'),
    ],
)
def test_whatever_a_trial_does_is_one_line(trials, monkeypatch, function, says):
    monkeypatch.setattr(trial, 'BUSY', 0)
    if function == 'sleep':
        monkeypatch.setattr(trial, 'PATIENCE', 1)
    with pytest.raises(ModelError, match=says) as caught:
        trial.admit(weights(b'abc', 'some.tflite'), 'trial_functions', function)
    assert '\n' not in str(caught.value)
    assert trial._passed == set()


def test_a_library_that_does_not_work_is_no_fault_of_the_file(trials):
    with pytest.raises(ImportError, match='not here'):
        trial.admit(weights(b'abc'), 'trial_functions', 'unfit')


def test_another_task_file_is_tried_and_announced(trials, tmp_path, caplog):
    from emotion_estimator.perception.landmarks.face_landmarker import (
        FACE_LANDMARKER_SHA256,
        FaceLandmarker,
    )

    assert WeightsFile.read(TASK).sha256 == FACE_LANDMARKER_SHA256
    other = tmp_path / 'face_landmarker.task'
    other.write_bytes(TASK.read_bytes() + b'\0')
    with caplog.at_level(logging.WARNING):
        opened = FaceLandmarker(other)
    assert len(trials) == 1
    assert stated(opened.checksums['face_landmarker']).endswith(' not released')
    assert 'face_landmarker.task is not released' in caplog.text
