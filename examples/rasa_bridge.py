#!/usr/bin/env python3
"""Have Rasa find the words for what the dialogue manager decides; examples/rasa is its side.

Each /dialogue/action becomes an intent of Rasa (EXTERNAL_check_in, ...), with entities; where the
person has said something, their words are sent instead. What Rasa answers is published on
/dialogue/say, but neither while the person speaks nor where the robot is to act in silence. Where
Rasa does not answer, the conversation file's words are said.

    cd examples/rasa && rasa train && rasa run --enable-api
    ros2 run emotion_estimator dialogue_manager_node --ros-args -p publish_say:=false
    ./rasa_bridge.py --ros-args -p url:=http://localhost:5005
"""

import json
import os
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import Bool, String

from emotion_estimator.msg import DialogueAction

#: Seconds for which words that were recognised wait for the dialogue manager to take its turn.
PATIENCE = 2.5
#: Actions that have words of their own, whatever the person has said.
LEAVING = ('pause', 'end')
#: Largest answer that is read, in bytes, and what is said of it, in texts and characters of each.
MAX_ANSWER, MAX_TEXTS, MAX_CHARACTERS = 1_000_000, 5, 1000


class RasaError(Exception):
    """Why Rasa did not answer, in one line."""


class RasaServer:
    """The two requests of Rasa's REST API that are needed, each within a time."""

    def __init__(self, url: str, conversation: str, timeout: float, token: str = '') -> None:
        """Remember where Rasa is.

        :param conversation: id of the conversation, which Rasa calls the sender.
        :param timeout: seconds for a whole request.
        :param token: of `rasa run --auth-token`; empty if there is none.
        """
        self._url = url.rstrip('/')
        self._conversation = conversation
        self._timeout = timeout
        self._token = token

    def trigger(self, intent: str, entities: dict) -> list[str]:
        """Inject an intent; return the texts of Rasa's answer.

        :raises RasaError: there is no answer.
        """
        sender = urllib.parse.quote(self._conversation, safe='')
        answer = self._post(
            f'/conversations/{sender}/trigger_intent',
            {'name': intent, 'entities': entities},
            # Answers come back here, and the conversation's history, long after an hour, does not.
            {'output_channel': 'latest', 'include_events': 'NONE'},
        )
        return _texts(answer.get('messages') if isinstance(answer, dict) else None)

    def say(self, text: str) -> list[str]:
        """Send what the person said; return the texts of Rasa's answer.

        :raises RasaError: there is no answer.
        """
        message = {'sender': self._conversation, 'message': text}
        return _texts(self._post('/webhooks/rest/webhook', message, {}))

    def _post(self, path: str, body: dict, query: dict) -> object:
        if self._token:
            query = {**query, 'token': self._token}
        suffix = f'?{urllib.parse.urlencode(query)}' if query else ''
        deadline = time.monotonic() + self._timeout
        answer = b''
        try:
            request = urllib.request.Request(
                f'{self._url}{path}{suffix}',
                json.dumps(body).encode(),
                {'Content-Type': 'application/json'},
            )
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                while part := response.read1(65536):
                    answer += part
                    if len(answer) > MAX_ANSWER:
                        raise RasaError(f'its answer is longer than {MAX_ANSWER} bytes')
                    if time.monotonic() > deadline:
                        raise TimeoutError
            return json.loads(answer)
        except urllib.error.HTTPError as error:
            raise RasaError(_refusal(error, body)) from None
        except TimeoutError:
            raise RasaError(f'no answer within {self._timeout:g} s') from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise RasaError(f'no answer within {self._timeout:g} s') from None
            raise RasaError(f'{self._url} cannot be reached: {error.reason}') from None
        except ValueError as error:
            raise RasaError(f'its answer is no JSON: {error}') from None
        except Exception as error:
            # http.client raises what the server does: IncompleteRead, BadStatusLine, ...
            raise RasaError(f'{type(error).__name__}: {error}') from None


def _refusal(error: urllib.error.HTTPError, body: dict) -> str:
    """Return what an HTTP status means, in Rasa's own words where they help."""
    if error.code == 404 and 'name' in body:
        return f'it has no intent {body["name"]}: declare it in domain.yml and train again'
    if error.code == 404:
        return 'it has no REST channel: add `rest:` to credentials.yml'
    if error.code in (401, 403):
        return 'it wants another token: set RASA_TOKEN'
    try:
        words = json.loads(error.read(10_000)).get('message', '')
    except Exception:
        words = ''
    return ' '.join(f'status {error.code} {words or error.reason}'.split())[:300]


def _texts(messages: object) -> list[str]:
    """Return the texts of a list of messages; images, buttons and the like cannot be spoken."""
    if not isinstance(messages, list):
        raise RasaError('its answer is no list of messages')
    texts = [m.get('text') for m in messages if isinstance(m, dict)]
    spoken = [' '.join(text.split()) for text in texts if isinstance(text, str)]
    return [text[:MAX_CHARACTERS] for text in spoken if text][:MAX_TEXTS]


class RasaBridge(Node):
    """Sends one request at a time; what has become stale meanwhile is neither sent nor said."""

    def __init__(self) -> None:
        super().__init__('rasa_bridge')
        self._rasa = RasaServer(
            self.declare_parameter('url', 'http://localhost:5005').value,
            self.declare_parameter('conversation', 'robot').value,
            self.declare_parameter('timeout', 5.0).value,
            os.environ.get('RASA_TOKEN', ''),
        )
        self._words: list[str] = []
        self._words_due = 0.0
        self._speaking = False
        #: Number of the newest action or words; an answer to an older one comes too late.
        self._newest = 0
        self._requests: queue.Queue = queue.Queue()
        self._answers: queue.Queue = queue.Queue()
        self._say = self.create_publisher(String, 'dialogue/say', 10)
        self.create_subscription(DialogueAction, 'dialogue/action', self._on_action, 10)
        self.create_subscription(String, 'dialogue/user_said', self._on_words, 10)
        self.create_subscription(Bool, 'dialogue/user_speaking', self._on_speaking, 10)
        self.create_timer(0.05, self._look)
        threading.Thread(target=self._work, daemon=True).start()

    def _on_words(self, message: String) -> None:
        if message.data.strip():
            self._words.append(message.data.strip()[:MAX_CHARACTERS])
            self._words_due = time.monotonic() + PATIENCE

    def _on_speaking(self, message: Bool) -> None:
        self._speaking = message.data

    def _on_action(self, action: DialogueAction) -> None:
        if self._words and action.line and action.action not in LEAVING:
            self._send_words(action.utterance)
            return
        entities = {
            'line': action.line,
            'topic': action.topic,
            'approach': action.approach,
            'emotion': action.emotion,
            'person': action.face_id,
        }
        given = {name: value for name, value in entities.items() if value}
        # Without a line, as for a short absence, nothing is to be said; Rasa is told all the same.
        fallback = action.utterance if action.line else None
        self._send(fallback, self._rasa.trigger, f'EXTERNAL_{action.action}', given)

    def _send_words(self, fallback: str) -> None:
        words, self._words = ' '.join(self._words), []
        self._send(fallback, self._rasa.say, words)

    def _send(self, fallback: str | None, *request: object) -> None:
        """Have the worker ask Rasa; ``fallback`` is None where the answer is not to be said."""
        self._newest += 1
        self._requests.put((self._newest, fallback, request))

    def _work(self) -> None:
        """In a thread of its own: requests, the newest only."""
        while True:
            number, fallback, (ask, *arguments) = self._requests.get()
            texts, problem = [], ''
            # The person's words are sent in any case: they belong to the conversation.
            if number == self._newest or ask == self._rasa.say:
                try:
                    texts = ask(*arguments)
                except RasaError as error:
                    texts, problem = ([fallback] if fallback else []), str(error)
                if fallback is None:
                    texts = []
            self._answers.put((number, texts, problem))

    def _look(self) -> None:
        """Say the answers that are there; send words that no action has come for."""
        while not self._answers.empty():
            number, texts, problem = self._answers.get()
            if problem:
                instead = "saying the conversation file's words" if texts else 'saying nothing'
                self.get_logger().warning(f'Rasa: {problem}; {instead}')
            if number != self._newest or self._speaking:
                if texts:
                    self.get_logger().info(f'too late to be said: {texts[0]}')
                continue
            for text in texts:
                self._say.publish(String(data=text))
        if self._words and not self._speaking and time.monotonic() > self._words_due:
            self._send_words('')


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(RasaBridge())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # rclpy raises this when Ctrl-C arrives while it takes a message.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
