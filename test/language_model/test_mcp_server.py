"""What the MCP server needs of the process: standard output for itself, and a socket."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.language_model.mcp_server import listen

PROGRAM = """
import ctypes, os, subprocess, sys
from emotion_estimator.language_model.mcp_server import reserved_output

with reserved_output() as wire:
    print('a print')
    os.write(1, b'a write\\n')
    ctypes.CDLL(None).puts(b'from C')
    ctypes.CDLL(None).fflush(None)
    subprocess.run([sys.executable, '-c', 'print("a child")'])
    os.write(wire, b'the protocol\\n')
print('afterwards')
"""


def test_whatever_else_is_printed_goes_to_standard_error():
    run = subprocess.run(
        [sys.executable, '-c', PROGRAM], capture_output=True, text=True, check=True
    )
    assert run.stdout == 'the protocol\nafterwards\n'
    assert sorted(run.stderr.splitlines()) == ['a child', 'a print', 'a write', 'from C']


@pytest.mark.parametrize('closed', [1, 2])
def test_a_closed_stream_is_reported(closed):
    code = (
        'from emotion_estimator.errors import InputError\n'
        'from emotion_estimator.language_model.mcp_server import reserved_output\n'
        'try:\n'
        '    with reserved_output():\n'
        '        pass\n'
        'except InputError as error:\n'
        '    raise SystemExit(7 if "closed" in str(error) else 8)\n'
    )
    run = subprocess.run(
        [sys.executable, '-c', code], check=False, preexec_fn=lambda: os.close(closed)
    )
    assert run.returncode == 7


def test_it_listens_on_this_machine_alone():
    with listen(0) as one:
        address, port = one.getsockname()
        assert address == '127.0.0.1'
        with pytest.raises(InputError, match=f'cannot listen on 127.0.0.1:{port}'):
            listen(port)
