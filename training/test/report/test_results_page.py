"""The page of the papers' networks: tables of the report, versions, pictures, what is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_report import material, plan

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator_training.cli.training import training
from emotion_estimator_training.data.stills import FER_CLASSES, SPLITS
from emotion_estimator_training.evaluation.measuring import measure
from emotion_estimator_training.report.papers import HEADER, comparison
from emotion_estimator_training.report.results_page import (
    results_page,
    undetected_tables,
    write_results,
)
from emotion_estimator_training.tables import write_json

VERSIONS = ['emotion_lstm-9.1.0', 'appearance-9.2.0']


@pytest.fixture
def report(tmp_path: Path) -> dict:
    found = measure(plan(tmp_path, public_only=False), material())
    found['comparison'] = {
        split: [dict(zip(HEADER, row)) for row in comparison(found['stills'], split)]
        for split in ('public_test', 'private_test')
    }
    return {**found, 'card_tables': {'In int8': {'header': ['way', 'bytes'], 'rows': [['a', 7]]}}}


def missed(scale: float, count: int) -> dict:
    cells = {name: {'images': 10, 'undetected': count} for name in FER_CLASSES}
    return {'enlarge': scale, 'sources': {'face_mesh': dict.fromkeys(SPLITS, cells)}}


def relevant(*indices: int) -> dict:
    return {
        'face_mesh': {
            'images': 28_000,
            'threshold': 0.4,
            'least': 100,
            'indices': list(indices),
            'relevant': [BLENDSHAPE_NAMES[index] for index in indices],
        }
    }


def test_it_has_every_table_with_the_release_it_is_of(report: dict) -> None:
    tables = {1.0: missed(1.0, 3), 4.0: missed(4.0, 1)}
    pictures = ('flips-against-delay.png', 'training-dense.png')
    # Two of the author's, one that his report calls irrelevant, one of neither.
    page = results_page(report, tables, relevant(1, 44, 6, 50), pictures, VERSIONS)
    assert f'    {report["command"]}' in page
    assert 'with `emotion_lstm-9.1.0` and `appearance-9.2.0`' in page
    assert page.index('As they are, 48 pixels') < page.index('| all | 70 | 21 | 2997 | 28709 |')
    assert page.index('Enlarged 4 times') < page.index('| all | 70 | 7 | 2997 | 28709 |')
    assert '| face_mesh | 28,000 | 4 | 2 | 1 |' in page
    assert 'the paper has 27' in page
    for split in ('public_test', 'private_test'):
        for row in report['comparison'][split]:
            assert '| ' + ' | '.join(row.values()) + ' |' in page
    assert '| 30 fps | dense |' in page
    assert '| 10 fps | dense |' not in page
    assert '![training dense](images/training-dense.png)' in page
    assert '## In int8\n\n| way | bytes |' in page
    assert all(f'**{note}**' in page for note in report['notes'])


def test_what_is_missing_has_no_heading(report: dict) -> None:
    report['stability']['constructed'] = {}
    page = results_page(report, {}, {}, (), VERSIONS)
    assert 'Table 3' not in page
    assert 'Over time' not in page
    assert 'Relevant' not in page
    assert 'Learning curves' not in page
    assert '![' not in page


def test_pictures_come_along_and_every_link_leads_to_one(report: dict, tmp_path: Path) -> None:
    out, run, page = tmp_path / 'out', tmp_path / 'run', tmp_path / 'docs' / 'results.md'
    write_json(report, out / 'report.json')
    for picture in (
        out / 'figures' / 'flips-against-delay.png',
        run / 'figures' / 'dense-history.png',
        run / 'figures' / 'streaming-history.png',
        run / 'figures' / 'other-history.png',
    ):
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(picture.name.encode())
    write_json(missed(4.0, 2), run / 'tables' / 'undetected.json')
    write_json(missed(1.0, 5), run / 'tables' / 'undetected-enlarge-1.json')
    assert list(undetected_tables(run)) == [1.0, 4.0]
    write_results(out, run, models_dir(), page)
    text = page.read_text()
    links = re.findall(r'\]\((images/[^)]+)\)', text)
    assert links == ['images/flips-against-delay.png', 'images/training-dense.png']
    assert (page.parent / links[1]).read_bytes() == b'dense-history.png'
    for name in ('emotion_lstm', 'appearance'):
        assert f'`{ModelCard.load(models_dir() / f"{name}.json", name).title}`' in text


def test_a_report_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'results\.md cannot be written from .*report\.json'):
        write_results(tmp_path, tmp_path, models_dir(), tmp_path / 'results.md')
    (tmp_path / 'report.json').write_text(json.dumps({'models': []}))
    with pytest.raises(InputError, match=r'results\.md cannot be written'):
        write_results(tmp_path, tmp_path, models_dir(), tmp_path / 'results.md')
    assert not (tmp_path / 'results.md').exists()


def test_a_page_is_not_of_one_model(tmp_path: Path) -> None:
    asked = ['evaluate', '--model', str(tmp_path), '--docs', str(tmp_path / 'page.md')]
    result = CliRunner().invoke(training, asked)
    assert result.exit_code == 2
    assert '--docs is for the report of all models' in result.output
