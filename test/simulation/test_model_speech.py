"""A language model finds the robot's words in the simulator, over HTTP from a real server."""

from __future__ import annotations

import json

import pytest
from chat_server import ChatServer, answering, status

from emotion_estimator.cli.main import main
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.settings import LanguageModelSettings, make_settings
from emotion_estimator.simulation.script import load_script
from emotion_estimator.simulation.simulator import simulate

pytest.importorskip('openai', reason='the package openai is not installed')

from emotion_estimator.simulation.model_speech import model_speech

SCRIPT = """
steps:
  - {shows: unknown, for: 12}
  - {shows: unknown, for: 3, speaking: true, said: "My sister had a garden."}
  - {shows: unknown, for: 20}
"""


def settings(url: str) -> LanguageModelSettings:
    return make_settings(LanguageModelSettings, {'base_url': url, 'model': 'any'})


def talk(tmp_path, server: ChatServer):
    path = tmp_path / 'script.yaml'
    path.write_text(SCRIPT)
    manager = DialogueManager.load()
    with model_speech(settings(server.url)) as words:
        return list(simulate(manager, load_script(path).inputs(), words))


def test_the_model_speaks_and_its_words_take_their_time(tmp_path):
    with ChatServer(
        answering('Good mor', 'ning. How did you sleep', ' last night?'),
        answering('Thank you. What grew in it?'),
        answering('Shall we sit a little?'),
    ) as server:
        events = talk(tmp_path, server)
        spoken = [e.action for e in events if e.action is not None and e.action.line]
        # The model has not disclosed the camera as it was asked to, so this is added.
        assert spoken[0].utterance == (
            'Good morning. How did you sleep last night? '
            'I have a camera and guess expressions from faces; I am often wrong.'
        )
        assert [each.utterance for each in spoken[1:]] == [
            'Thank you. What grew in it?',
            'Shall we sit a little?',
        ]
        # A question of the model's gets its time, as one of the file does.
        waits = [e.stamp for e in events if e.floor == 'waiting']
        assert waits[0] == pytest.approx(spoken[0].stamp + 21 * 0.4, abs=0.4)
        assert spoken[2].stamp >= waits[1] + 6.0
        # The model was told what the person said, and nothing of it is an image.
        sent = json.dumps(server.requests[1])
        assert 'My sister had a garden.' in sent and 'image' not in sent.replace('camera', '')


def test_the_conversation_file_speaks_where_the_model_does_not(tmp_path):
    with ChatServer(status(500), status(500), status(500)) as server:
        events = talk(tmp_path, server)
    spoken = [e.action.utterance for e in events if e.action is not None and e.action.line]
    assert len(spoken) == 3 and all(spoken)
    assert 'I have a camera' in spoken[0]


def test_from_the_command_line(tmp_path, capsys):
    path = tmp_path / 'script.yaml'
    path.write_text(SCRIPT)
    with ChatServer(*[answering('Do you like the sea?')] * 3) as server:
        arguments = ['dialogue', '--script', str(path), '--json']
        assert main([*arguments, '--llm-base-url', server.url, '--llm-model', 'any']) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first['utterance'].startswith('Do you like the sea?')
    assert first['seconds'] == pytest.approx(18 * 0.4, abs=0.4)
    assert main([*arguments, '--llm-model', 'any']) == 2
    assert 'go together' in capsys.readouterr().err
