"""Bags as test cases: the pytest fixture ``emotion_replay``.

.. code-block:: python

    def test_visit(emotion_replay):
        visit = emotion_replay('bags/visit')
        visit.expect('happy', 2.0, 8.0, share=0.9)
        visit.expect_action('celebrate', between=(5.0, 9.0))
        visit.expect_like('expected.jsonl', limits='limits.yaml')

pytest finds it where the package was installed with pip. colcon installs no entry points: there,
``-p emotion_estimator.replay.pytest_plugin``, or in ``conftest.py``
``pytest_plugins = ['emotion_estimator.replay.pytest_plugin']``. The entry point has this module's
name, so that both together are one plugin.

Loaded at the start of every pytest run of an environment, it imports nothing beside pytest before
the fixture is used.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

if TYPE_CHECKING:
    from emotion_estimator.replay.replayed_bag import EmotionReplay, Replays


#: Letters of a figure's name; a file system takes 255 bytes.
_LONGEST = 100


def pytest_addoption(parser: Any) -> None:
    """Add the option for pictures."""
    parser.getgroup('emotion_estimator', 'emotion_replay').addoption(
        '--emotion-figures',
        dest='emotion_figures',
        metavar='DIR',
        help='for a test whose expectations of a bag are not met, draw what was found into DIR',
    )


def _figure_name(nodeid: str) -> str:
    """Return a file's name that no other test has, wherever that stands."""
    name = nodeid.replace('.py::', '-').replace('::', '-').replace('/', '.')
    if re.fullmatch(r'[\w.-]+', name, re.ASCII) and len(name) <= _LONGEST:
        return f'{name}.png'
    # Two parameters may differ in what no file's name can have.
    safe = re.sub(r'[^\w.-]+', '_', name, flags=re.ASCII)[:_LONGEST]
    return f'{safe}-{crc32(nodeid.encode()):08x}.png'


@pytest.fixture(scope='session')
def _emotion_replays(tmp_path_factory: pytest.TempPathFactory) -> Replays:
    """Return what was replayed in this run."""
    try:
        from emotion_estimator.replay.replayed_bag import Replays
    except ModuleNotFoundError as error:
        # rosbags, which no distribution of ROS has.
        name = str(error.name).partition('.')[0]
        pytest.fail(f'emotion_replay needs {name}: pip install {name}', pytrace=False)
    return Replays(tmp_path_factory.mktemp('emotion_replay'))


@pytest.fixture
def emotion_replay(request: pytest.FixtureRequest, _emotion_replays: Replays) -> EmotionReplay:
    """Replay a bag through the estimator and the dialogue manager, and say what is expected of it.

    ``bag = emotion_replay('bags/visit', topic=None, landmarks='auto', policy=None,
    conversation=None, params=None)``,
    then ``bag.expect(label, begin, end, share)``, ``bag.expect_action(action, between)``,
    ``bag.expect_file(yaml)``, ``bag.expect_like(results, limits)``.
    """
    from emotion_estimator.replay.replayed_bag import EmotionReplay, TestLocation

    # Where a test module named this plugin, that was too late for options.
    folder = request.config.getoption('emotion_figures', default=None)
    place = TestLocation(
        folder=Path(request.module.__file__).parent,
        figure=Path(folder).absolute() / _figure_name(request.node.nodeid) if folder else None,
    )
    return EmotionReplay(place, _emotion_replays)
