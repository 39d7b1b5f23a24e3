"""The documentation names files that exist."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
from pathlib import Path

import pytest

from emotion_estimator.model_card import ModelCard, models_dir

ROOT = Path(__file__).parents[2]
FOLDERS = (
    'benchmarks', 'emotion_estimator', 'examples', 'launch', 'reliability', 'scripts', 'test',
    'training',
)  # fmt: skip
NAMES = ('README', 'CONTRIBUTING', 'QUALITY_DECLARATION', 'SECURITY', 'THIRD_PARTY')
DOCUMENTS = [
    *(ROOT / f'{name}.md' for name in NAMES),
    *sorted((ROOT / 'docs').glob('*.md')),
    *sorted((ROOT / 'models').glob('*.md')),
    ROOT / 'training' / 'README.md',
]


@pytest.fixture(scope='module')
def files() -> str:
    """Every Python file of the repository, one a line."""
    found = [file for folder in FOLDERS for file in (ROOT / folder).rglob('*.py')]
    return '\n'.join(f'/{file.relative_to(ROOT)}' for file in [*found, ROOT / 'setup.py']) + '\n'


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_names_exist(document: Path, files: str):
    text = document.read_text()
    for link in re.findall(r'\]\((?!https?:)([^)#]+)', text):
        assert (document.parent / link).exists(), link
    # As `test_portrait.py`, or with folders above: `perception/face_crop.py`.
    for name in re.findall(r'`((?:\w+/)*\w+\.py)`', text):
        assert f'/{name}\n' in files, name


def test_figures_of_real_people_are_of_the_shipped_model():
    text = (ROOT / 'docs' / 'real_people.md').read_text()
    measured = re.search(r'<!-- model -->\n(.*)\n<!-- end of model -->', text, re.S)
    card = ModelCard.load(models_dir() / 'emotion_lstm.json', 'emotion_lstm')
    assert f'{card.title}, sha256 `{card.sha256}`' in measured[1], (
        'run make bench-real PHOTOGRAPHS=... CLIPS=... FER2013=... ARGS=--docs'
    )


def test_tables_of_accuracy_are_of_the_shipped_model():
    text = (ROOT / 'docs' / 'accuracy.md').read_text()
    card = ModelCard.load(models_dir() / 'emotion_lstm.json', 'emotion_lstm')
    # Their titles name the model.
    titles = re.findall(r'^Thresholds, (\S+),', text, re.MULTILINE)
    assert titles == [card.title] * 2, 'make evaluate, make bench-accuracy; write_accuracy.py'


@pytest.mark.parametrize(
    ('page', 'command'),
    [
        ('training_results.md', 'emotion-estimator training evaluate ... --docs PAGE'),
        ('zoo_results.md', 'emotion-estimator zoo run ... --docs docs/zoo_results.md'),
        ('zoo_live.md', 'make bench-zoo-live MODEL=... FILMS=... ARGS="--docs docs/zoo_live.md"'),
    ],
)
def test_pages_that_commands_write_are_of_this_release(page: str, command: str):
    text = (ROOT / 'docs' / page).read_text()
    assert 'Do not edit: this page is written by the command.' in text
    for name in ('emotion_lstm', 'appearance'):
        card = ModelCard.load(models_dir() / f'{name}.json', name)
        assert set(re.findall(rf'`({name}-[^`]+)`', text)) == {card.title}, command


def test_errors_of_head_pose_are_of_this_release():
    text = (ROOT / 'docs' / 'face_direction.md').read_text()
    measured = (ROOT / 'emotion_estimator' / 'perception' / 'head_pose.py').read_bytes()
    assert f'sha256 `{hashlib.sha256(measured).hexdigest()}`' in text, (
        'run benchmarks/face_direction.py --task ... --pictures ... --docs'
    )


def test_readme_has_the_figures_of_real_people():
    document = (ROOT / 'docs' / 'real_people.md').read_text()
    held = document[document.index(', held-out people') :]
    first = next(
        row for row in held.splitlines() if row.startswith('| face_landmarker | fused | 0.')
    )
    share = re.compile(r'\| face_landmarker \| fused \| [\d.]+ %')
    neutral = next(row for row in held.splitlines() if share.match(row))
    down = [row for row in held.splitlines() if row.startswith('| eyes look down: 0.')][1:3]
    talking = next(
        row
        for row in document.splitlines()
        if row.startswith('| face_landmarker | unknown, talking | fused')
    )
    shown = (ROOT / 'README.md').read_text().partition('## Two commands')[0]

    def cell(row: str, column: int) -> str:
        return row.split('|')[column].strip().partition(' (')[0]

    assert f'neutral faces reported sad | {cell(neutral, 3)} ' in shown
    few, many = sorted(float(cell(row, 5).removesuffix(' %')) for row in down)
    assert f'eyes cast down | {few} to {many} % ' in shown
    assert f'(precision) | {float(cell(first, -2)):.2f},' in shown
    assert f'reported happy | {cell(talking, 6)} ' in shown
    card = ModelCard.load(models_dir() / 'emotion_lstm.json', 'emotion_lstm')
    by_most = card.metrics['most_people']['face_landmarker']['private_test']['three']
    assert f'{by_most["precision"]["sad"]:.2f} on FER2013' in shown


def test_the_moving_picture_is_of_this_release():
    images = ROOT / 'docs' / 'images'
    made = json.loads((images / 'demo.json').read_text())
    script = runpy.run_path(str(ROOT / 'scripts' / 'write_demo_picture.py'))
    assert made['of'] == script['checksums'](), 'make demo, then scripts/write_demo_picture.py'
    assert made['picture'] == hashlib.sha256((images / 'demo.webp').read_bytes()).hexdigest()
    assert '(docs/images/demo.webp)' in (ROOT / 'README.md').read_text()


def test_readme_is_one_that_is_read():
    lines = (ROOT / 'README.md').read_text().splitlines()
    assert len(lines) <= 200
    assert sum(len(line.split()) for line in lines) < 2_000


def test_the_site_has_every_document_once():
    named = re.findall(r'^ +- [^:\n]+: (\w+\.md)$', (ROOT / 'mkdocs.yml').read_text(), re.M)
    assert sorted(named) == sorted(file.name for file in (ROOT / 'docs').glob('*.md'))
