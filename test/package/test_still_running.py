"""Setting up is never silent for long, and frightens nobody."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'scripts' / 'still_running.sh'


def test_what_is_silent_is_told_of_and_its_status_kept(tmp_path):
    log = tmp_path / 'log'
    wait = f'until grep -q "after 2 s" {log}; do sleep 0.05; done; echo result; exit 3'
    with log.open('w') as said:
        done = subprocess.run(
            [SCRIPT, 'sh', '-c', wait],
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | {'PAUSE': '1'},
        )
    assert (done.returncode, done.stdout) == (3, 'result\n')
    assert log.read_text().splitlines()[:2] == [
        '  still running after 1 s', '  still running after 2 s',
    ]  # fmt: skip


def test_what_is_quick_says_nothing_and_ends_at_once():
    # The pipes would stay open for an hour.
    done = subprocess.run(
        [SCRIPT, 'true'],
        capture_output=True,
        timeout=60,
        check=False,
        env=os.environ | {'PAUSE': '3600'},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b'', b'')


def test_make_tells_of_what_takes_long_and_silences_one_remark():
    recipes = (ROOT / 'Makefile').read_text().replace('\\\n', ' ').splitlines()
    long = [each for each in recipes if '$(LOCKED)' in each or '/colcon ' in each]
    long = [each for each in long if each.startswith('\t') and 'BUILD_LOCK' not in each]
    assert len(long) == 6
    assert [each for each in long if '$(STILL)' not in each] == []
    editable = [each for each in recipes if '--editable .' in each]
    assert len(editable) == 2
    assert all("PYTHONWARNINGS='ignore:Editable installation'" in each for each in editable)
