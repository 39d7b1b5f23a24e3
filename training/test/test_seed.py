"""The training seed: declared once, and given to every stage of ``training all``."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

import emotion_estimator_training
from emotion_estimator_training.seed import SEED

PACKAGE = Path(emotion_estimator_training.__file__).parent
#: A default or argument that fixes a seed: 0 and 1 are numbers of passes over the stills. Constants
#: in capitals are the seeds of measurements.
LITERAL = re.compile(
    r'(?:\bseed\b[^=\n]*=|random_state=|set_random_seed\(|seed_option.*default=)\s*(?!0\b|1\b)\d'
)


def test_the_default_seed_is_declared_once() -> None:
    found = [
        f'{path.relative_to(PACKAGE)}: {line.strip()}'
        for path in sorted(PACKAGE.rglob('*.py'))
        for line in path.read_text().splitlines()
        if LITERAL.search(line) or re.match(r'SEED\b.*=', line)
    ]
    assert found == ['seed.py: SEED = 11']


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """Return the stages of ``training all --seed 7`` by name, none of them run."""
    for module in ('tensorflow', 'tf_keras', 'jinja2', 'matplotlib'):
        if find_spec(module) is None:
            pytest.skip(f'training needs {module}; pip install ./training')
    from emotion_estimator_training.cli.training import all as verb

    for name in ('images.npz', 'teacher.task'):
        (tmp_path / name).write_bytes(b'')
    planned = {}

    def kept(stages, *_):
        planned.update({stage.name: stage for stage in stages})
        return {'stages': {}, 'seconds': 0.0}

    monkeypatch.setattr(verb, 'run_stages', kept)
    given = {'--data': 'images.npz', '--teacher': 'teacher.task', '--run': 'run', '--seed': '7'}
    paths = [str(tmp_path / one) if key != '--seed' else one for key, one in given.items()]
    done = CliRunner().invoke(
        verb.all,
        [one for pair in zip(given, paths) for one in pair],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    return planned


#: Stages that draw nothing, or whose draws are a measurement's or a pass's own.
SEEDLESS = {'features', 'quantize', 'evaluate'}


def test_training_all_gives_its_seed_to_every_stage(stages) -> None:
    seeds = {name: stage.decided_by.get('seed') for name, stage in stages.items()}
    assert len(seeds) == 15
    assert {name for name, seed in seeds.items() if seed is None} == SEEDLESS
    assert {seed for name, seed in seeds.items() if name not in SEEDLESS} == {7}


def test_verbs_give_their_seed_to_what_they_train(tmp_path, monkeypatch) -> None:
    pytest.importorskip('tf_keras', reason='training needs tf_keras; pip install ./training')
    from emotion_estimator_training.cli.training import training
    from emotion_estimator_training.models import paper_training, streaming_run
    from emotion_estimator_training.models.appearance_run import planned
    from emotion_estimator_training.shipping import blendshape_head

    seen = []

    def stop(*arguments, **_):
        seen.extend(one.seed for one in arguments if hasattr(one, 'seed'))
        raise KeyboardInterrupt

    for module, name in (
        (blendshape_head, 'ship_head'),
        (paper_training, 'run_still'),
        (streaming_run, 'run_streaming'),
    ):
        monkeypatch.setattr(module, name, stop)
    run = ['--run', str(tmp_path), '--seed', '7']
    head = ['blendshapes', '--data', 'x.npz', '--teacher', 'x.task']
    for arguments in (head, ['fit', 'dense'], ['fit', 'streaming', '--data', 'x.npz']):
        CliRunner().invoke(training, [*arguments, *run], standalone_mode=False)
    assert seen == [7, 7, 7]
    before = [part.training.seed - SEED for part in planned().values()]
    assert [part.training.seed - 7 for part in planned(7).values()] == before
