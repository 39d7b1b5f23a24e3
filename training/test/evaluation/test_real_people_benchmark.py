"""`make bench-real` on a folder of six pictures: what it writes, continues, and says is missing."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from available import needs_face_mesh

import emotion_estimator
from emotion_estimator.errors import InputError
from emotion_estimator.model_card import ModelCard, models_dir

FILE = Path(__file__).parents[3] / 'benchmarks' / 'real_people.py'
if not FILE.exists():
    pytest.skip('an installation has no benchmarks', allow_module_level=True)

PICTURE = Path(emotion_estimator.__path__[0]) / 'sources' / 'data' / 'astronaut.jpg'


@pytest.fixture(scope='module')
def bench():
    spec = importlib.util.spec_from_file_location('benchmark_real_people', FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Six pictures of one face, of four people as far as anybody knows; one shows nobody."""
    folder = tmp_path_factory.mktemp('photographs')
    face = cv2.resize(cv2.imread(str(PICTURE)), (240, 240), interpolation=cv2.INTER_AREA)
    changed = [
        face,
        face[:, ::-1],
        (face * 0.4).astype(np.uint8),
        face[20:220, 20:220],
        cv2.resize(face, (130, 130)),
        np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8),
    ]
    for number, image in enumerate(changed):
        cv2.imwrite(str(folder / f'{number}.png'), image)
    (folder / 'labels.csv').write_text(
        'image,label,person,split\n0.png,happy,ann,train\n1.png,happy,ben,test\n'
        '2.png,neutral,cy,test\n3.png,happiness,cy,test\n4.png,sad,dee,test\n'
        '5.png,neutral,dee,test\n6.png,sad,dee,test\n'
    )
    return folder


@needs_face_mesh
def test_photographs_alone_are_measured_and_the_rest_said_missing(
    bench, folder, tmp_path, capsys
) -> None:
    arguments = [
        *('--photographs', str(folder), '--landmarks', 'face_mesh', '--out', str(tmp_path)),
        *('--fer', str(tmp_path), '--fer2013', str(tmp_path / 'absent.npz')),
    ]
    assert bench.main(arguments) == 0
    said = capsys.readouterr().err
    assert 'fer is left out' in said and 'clips: not given' in said
    assert 'fer2013: left out: ' in said and 'absent.npz' in said
    assert 'rows left out, picture missing: 1 (6.png)' in said
    report = json.loads((tmp_path / 'report.json').read_text())
    everybody = report['photographs']['parts']['everybody']['face_mesh']
    held_out = report['photographs']['parts']['held-out people']['face_mesh']
    assert (everybody['pictures'], everybody['found'], everybody['people']) == (6, 5, 4)
    # Cy's and dee's are copies of ann's, darker and smaller, so of these only ben is held out.
    assert (held_out['pictures'], held_out['people']) == (1, 1)
    assert set(everybody['models']) == {'fused', 'blendshapes', 'appearance'}
    assert everybody['models']['fused']['recall_happy'][0] == 1
    assert everybody['models']['fused']['recall_sad'][0] == 0
    for name in ('tables.md', 'errors.md', 'errors.png', 'curve_everybody.png'):
        assert (tmp_path / name).stat().st_size > 100
    card = ModelCard.load(models_dir() / 'emotion_lstm.json', 'emotion_lstm')
    assert report['models']['emotion_lstm'] == {'title': card.title, 'sha256': card.sha256}
    # The second time everything is known.
    made = (tmp_path / 'tables.md').read_text()
    assert bench.main(arguments) == 0
    assert (tmp_path / 'tables.md').read_text() == made


def test_nothing_to_measure_is_one_line(bench, tmp_path, capsys) -> None:
    arguments = ['--out', str(tmp_path), '--landmarks', 'face_landmarker']
    assert bench.main(arguments) == 2
    assert 'no landmark source is available' in capsys.readouterr().err


@needs_face_mesh
def test_an_interruption_is_said(bench, folder, tmp_path, capsys, monkeypatch) -> None:
    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, 'measure_pictures', interrupt)
    arguments = ['--photographs', str(folder), '--landmarks', 'face_mesh', '--out', str(tmp_path)]
    assert bench.main(arguments) == 130
    assert 'interrupted; the same command continues' in capsys.readouterr().err


def test_tables_replace_those_between_their_markers(bench) -> None:
    document = 'a\n<!-- clips -->\nold\n<!-- end of clips -->\nb\n'
    assert bench.replaced(document, {'clips': 'new'}) == (
        'a\n<!-- clips -->\n\nnew\n\n<!-- end of clips -->\nb\n'
    )
    with pytest.raises(InputError, match='has no <!-- model -->'):
        bench.replaced(document, {'model': 'new'})
    text = bench.DOCUMENT.read_text()
    for marker in ('model', 'photographs', 'clips', 'ferplus'):
        assert text.count(f'<!-- {marker} -->') == text.count(f'<!-- end of {marker} -->') == 1
