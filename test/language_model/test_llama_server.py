"""The voice against llama.cpp's own server, with a model made here that says one text."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip('openai', reason="needs openai: pip install 'emotion-estimator[llm]'")
pytest.importorskip('gguf', reason='needs gguf, to make a model: pip install gguf')
SERVER = shutil.which('llama-server')
if SERVER is None:
    pytest.skip("needs llama.cpp's llama-server on the PATH", allow_module_level=True)

from fixed_model import write_fixed_model

from emotion_estimator.dialogue.prompt import SpeakingPrompt
from emotion_estimator.language_model.voice import LanguageVoice
from emotion_estimator.settings import LanguageModelSettings

TEXT = 'Schön, dass Sie da sind. **Haben** sie gut geschlafen? 😊 Draußen scheint die Sonne.'
SENTENCES = [
    'Schön, dass Sie da sind.',
    'Haben sie gut geschlafen?',
    'Draußen scheint die Sonne.',
]
PATIENCE = 30.0


def wait(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def serving(model: Path, *arguments: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    log = model.with_suffix('.log')
    command = [SERVER, '--model', str(model), '--host', '127.0.0.1', '--port', str(port),
               '--threads', '1', '--ctx-size', '8192', *arguments]  # fmt: skip
    with log.open('w') as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            wait(lambda: process.poll() is not None or _healthy(port))
            assert process.poll() is None, log.read_text()
            yield f'http://127.0.0.1:{port}/v1'
        finally:
            process.terminate()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/health', timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def voice(url: str, key: str = '', **settings: object) -> Iterator[tuple[LanguageVoice, list[str]]]:
    given = {'model': 'fixed', 'timeout': PATIENCE, 'total_timeout': PATIENCE, **settings}
    said: list[str] = []
    made = LanguageVoice(LanguageModelSettings(base_url=url, **given), said.append, key)
    yield made, said
    made.close()


def test_its_stream_is_understood(tmp_path):
    model = write_fixed_model(tmp_path / 'fixed.gguf', TEXT)
    with serving(model) as url, voice(url) as (made, said):
        for turn in range(3):
            made.speak(SpeakingPrompt('Greet.', context={'summary': 'Nobody is in view.'}))
            wait(lambda turn=turn: made.answered > turn)
            made.person_said('Ja, danke.')
        assert said == SENTENCES * 3 and not made.failures


def test_an_endless_answer_is_cut_and_its_server_is_free_again(tmp_path):
    model = write_fixed_model(tmp_path / 'endless.gguf', TEXT.replace('Sonne.', 'Sonne. '), True)
    # One slot: the next request has to wait for the end of the one before.
    with serving(model, '--parallel', '1') as url, voice(url, max_words=10) as (made, said):
        for turn in range(2):
            made.speak(SpeakingPrompt('Greet.'))
            wait(lambda turn=turn: made.answered > turn)
        assert said == SENTENCES[:2] * 2 and not made.failures


def test_its_errors_are_understood(tmp_path):
    model = write_fixed_model(tmp_path / 'fixed.gguf', TEXT)
    with serving(model, '--api-key', 'secret') as url:
        for key, words, kind in (('', 'Fallback.', 'rejected'), ('secret', SENTENCES[0], '')):
            with voice(url, key) as (made, said):
                made.speak(SpeakingPrompt('Greet.', fallback='Fallback.'))
                wait(lambda made=made: made.answered)
                assert said[0] == words and dict(made.failures) == ({kind: 1} if kind else {})
        long = SpeakingPrompt('Greet. ' * 600, fallback='Fallback.')
        with voice(url, 'secret', history_turns=200) as (made, said):
            for _ in range(20):
                made.person_said('Lang. ' * 300)
            made.speak(long)
            wait(lambda: made.answered)
            # More than the model can read: status 400.
            assert said == ['Fallback.'] and made.failures == {'rejected': 1}
            assert 'context' in made.problem
