"""Bags as test cases: the pytest fixture ``emotion_replay``.

.. code-block:: python

    def test_visit(emotion_replay):
        visit = emotion_replay('bags/visit')
        visit.expect('happy', 2.0, 8.0, share=0.9)
        visit.expect_action('celebrate', between=(5.0, 9.0))
        visit.expect_like('expected.jsonl', limits='limits.yaml')

pytest finds the fixture after an installation with pip. colcon installs no entry points: there,
give ``-p emotion_estimator.replay.pytest_plugin``, or write
``pytest_plugins = ['emotion_estimator.replay.pytest_plugin']`` into ``conftest.py``. The entry
point has this module's name, so that both together are one plugin.

Every pytest run in the environment loads this module, so it imports only pytest until the fixture
is used.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

if TYPE_CHECKING:
    from emotion_estimator.replay.replayed_bag import EmotionReplay, ReplayCache


#: Longest figure name; file systems allow 255 bytes.
_LONGEST = 100


def pytest_addoption(parser: Any) -> None:
    """Add the option ``--emotion-figures``."""
    parser.getgroup('emotion_estimator', 'emotion_replay').addoption(
        '--emotion-figures',
        dest='emotion_figures',
        metavar='DIR',
        help='draw the results of tests whose expectations of a bag are not met into DIR',
    )


def _figure_name(nodeid: str) -> str:
    """Return a file name that no other test shares, in any folder."""
    name = nodeid.replace('.py::', '-').replace('::', '-').replace('/', '.')
    if re.fullmatch(r'[\w.-]+', name, re.ASCII) and len(name) <= _LONGEST:
        return f'{name}.png'
    # Two parameters may differ only in characters that a file name cannot have.
    safe = re.sub(r'[^\w.-]+', '_', name, flags=re.ASCII)[:_LONGEST]
    return f'{safe}-{crc32(nodeid.encode()):08x}.png'


@pytest.fixture(scope='session')
def _replay_cache(tmp_path_factory: pytest.TempPathFactory) -> ReplayCache:
    """Return the replays of this test run."""
    try:
        from emotion_estimator.replay.replayed_bag import ReplayCache
    except ModuleNotFoundError as error:
        # rosbags, which no ROS distribution includes.
        name = str(error.name).partition('.')[0]
        pytest.fail(f'emotion_replay needs {name}: pip install {name}', pytrace=False)
    return ReplayCache(tmp_path_factory.mktemp('emotion_replay'))


@pytest.fixture
def emotion_replay(request: pytest.FixtureRequest, _replay_cache: ReplayCache) -> EmotionReplay:
    """Replay a bag through the estimator and the dialogue manager, and check expectations of it.

    ``bag = emotion_replay('bags/visit', topic=None, landmarks='auto', policy=None,
    conversation=None, params=None, speech=None)``,
    then ``bag.expect(label, begin, end, share)``, ``bag.expect_action(action, between)``,
    ``bag.expect_file(yaml)``, ``bag.expect_like(results, limits)``.
    """
    from emotion_estimator.replay.replayed_bag import CallingTest, EmotionReplay

    # The option is missing if a test module named this plugin, which is too late for options.
    folder = request.config.getoption('emotion_figures', default=None)
    caller = CallingTest(
        folder=Path(request.module.__file__).parent,
        figure=Path(folder).absolute() / _figure_name(request.node.nodeid) if folder else None,
    )
    return EmotionReplay(caller, _replay_cache)
