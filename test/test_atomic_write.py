"""Files and folders appear complete or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emotion_estimator.atomic_write import atomic_write

#: Writes half of a file, reports that, and never finishes.
PROGRAM = """
import sys, time
from pathlib import Path
from emotion_estimator.atomic_write import atomic_write

with atomic_write(Path(sys.argv[1])) as partial:
    partial.write_text('half of')
    print('writing', flush=True)
    time.sleep(600)
"""


def test_a_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / 'results.tar.gz'
    with atomic_write(target) as partial:
        assert partial.name == target.name
        partial.write_text('complete')
        assert not target.exists()
    assert target.read_text() == 'complete'
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_appears_when_the_block_ends(tmp_path):
    target = tmp_path / 'bag'
    with atomic_write(target) as partial:
        partial.mkdir()
        (partial / 'bag.mcap').write_text('complete')
        assert not target.exists()
    assert [file.name for file in target.iterdir()] == ['bag.mcap']
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_what_was_there_before(tmp_path, error):
    target = tmp_path / 'results.json'
    target.write_text('old')
    with pytest.raises(error), atomic_write(target) as partial:
        partial.write_text('half of')
        raise error
    assert target.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [target]


def test_an_existing_file_is_replaced_but_not_a_folder_with_content(tmp_path):
    target = tmp_path / 'results.json'
    target.write_text('old')
    with atomic_write(target) as partial:
        partial.write_text('new')
    assert target.read_text() == 'new'
    folder = tmp_path / 'bag'
    folder.mkdir()
    (folder / 'precious').touch()
    with pytest.raises(OSError, match='not empty'), atomic_write(folder) as partial:
        partial.mkdir()
    assert (folder / 'precious').exists()


def test_a_block_that_writes_nothing_leaves_nothing(tmp_path):
    with atomic_write(tmp_path / 'bag'):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_is_an_os_error(tmp_path):
    (tmp_path / 'file').touch()
    for folder in ('file', 'missing'):
        with pytest.raises(OSError, match=folder), atomic_write(tmp_path / folder / 'x'):
            pass


def test_a_download_is_resumed_after_an_error(tmp_path):
    target = tmp_path / 'model.task'
    with pytest.raises(ConnectionError), atomic_write(target, resume=True) as partial:
        partial.write_text('half')
        raise ConnectionError
    assert not target.exists()
    with atomic_write(target, resume=True) as partial:
        partial.write_text(f'{partial.read_text()} and half')
    assert target.read_text() == 'half and half'
    with pytest.raises(ValueError, match='checksum'), atomic_write(target, resume=True) as partial:
        raise ValueError('checksum')
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_write_leaves_nothing_that_looks_complete(tmp_path, number):
    target = tmp_path / 'results.json'
    with subprocess.Popen(
        [sys.executable, '-c', PROGRAM, target], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1], text=True, restore_signals=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == 'writing\n'
        process.send_signal(number)
        process.wait(30)
    assert not target.exists()
    if number == signal.SIGINT:
        assert list(tmp_path.iterdir()) == []
    with atomic_write(target) as partial:
        assert not partial.exists()
        partial.write_text('complete')
    assert list(tmp_path.iterdir()) == [target]
