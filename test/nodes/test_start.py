from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from emotion_estimator.nodes import start


def test_the_status_is_that_of_main(monkeypatch, tmp_path):
    (tmp_path / 'made_program.py').write_text('def main():\n    return 7\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit) as ended:
        start('made_program')
    assert ended.value.code == 7


def test_ctrl_c_during_the_import_is_no_error(tmp_path):
    (tmp_path / 'slow_program.py').write_text(
        'import sys, threading\nprint("importing", flush=True)\nthreading.Event().wait(60)\n'
    )
    program = 'from emotion_estimator.nodes import start; start("slow_program")'
    with subprocess.Popen(
        [sys.executable, '-c', f'import sys; sys.path.insert(0, {str(tmp_path)!r}); {program}'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == 'importing\n'
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ''
