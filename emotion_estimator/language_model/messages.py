"""The messages of a chat model's request: rules, what was said so far, and what to say now."""

from __future__ import annotations

from collections import deque

from emotion_estimator.dialogue.context import ABOUT
from emotion_estimator.dialogue.prompt import SpeakingPrompt

#: The rules of the robot, unless a file replaces them. They do not change during a conversation,
#: so that a server reads them once.
SYSTEM = (
    'You are a companion robot in conversation with one person, and what you answer is spoken '
    'aloud: answer with the words to say and nothing else, without formatting, emoji or stage '
    'directions. Notes in square brackets come from the dialogue manager, not from the person: '
    'do what they say, and never mention them.\n'
    f'{ABOUT}'
)

#: Maximum number of characters kept of one turn.
_TURN = 2000

#: Maximum number of characters of each part of the note.
_PART = 4000

#: Stands for a turn in which the person said nothing, since turns must alternate.
_SILENCE = '[The person said nothing.]'
_BEGINNING = '[The conversation begins.]'


class ChatHistory:
    """The last turns of person and robot.

    Half of them are forgotten at a time: a server that keeps what it has read, as most do, need
    not read everything again for each prompt.
    """

    def __init__(self, turns: int) -> None:
        """:param turns: maximum number of turns to remember, of both together; 0 keeps none."""
        self._most = turns
        self._turns: deque[tuple[str, str]] = deque()

    def person_said(self, text: str) -> None:
        """Record what the person said; its last 2,000 characters are kept."""
        self._add('user', text)

    def robot_said(self, text: str) -> None:
        """Record what the robot said."""
        self._add('assistant', text)

    def clear(self) -> None:
        """Forget everything."""
        self._turns.clear()

    def __len__(self) -> int:
        return len(self._turns)

    def messages(self) -> list[dict[str, str]]:
        """Return the turns, which alternate and begin with the person's.

        Many models' templates refuse anything else.
        """
        done: list[dict[str, str]] = []
        for role, text in self._turns:
            if not done and role == 'assistant':
                done.append({'role': 'user', 'content': _BEGINNING})
            elif done and done[-1]['role'] == role == 'assistant':
                done.append({'role': 'user', 'content': _SILENCE})
            if done and done[-1]['role'] == role:
                done[-1]['content'] += f' {text}'
            else:
                done.append({'role': role, 'content': text})
        return done

    def heard_last(self) -> str:
        """Return what the person has said since the robot's last words."""
        since: list[str] = []
        for role, text in reversed(self._turns):
            if role == 'assistant':
                break
            since.insert(0, text)
        return ' '.join(since)

    def _add(self, role: str, text: str) -> None:
        text = ' '.join(text.split())[-_TURN:]
        if not text or not self._most:
            return
        if len(self._turns) >= self._most:
            for _ in range(max(1, self._most // 2)):
                self._turns.popleft()
        self._turns.append((role, text))


def chat_messages(
    prompt: SpeakingPrompt, history: ChatHistory, system: str = SYSTEM
) -> list[dict[str, str]]:
    """Return the messages for a prompt: system, turns, and the person's words with a note.

    There is one system message, at the beginning, and then user and assistant alternate.

    :param prompt: what to say now.
    :param history: what was said so far.
    :param system: the robot's rules.
    """
    messages = [{'role': 'system', 'content': system}, *history.messages()]
    note = _note(prompt)
    said = '' if _heard(prompt.said, history.heard_last()) else prompt.said
    if messages[-1]['role'] == 'user':
        messages[-1]['content'] += f' {said}\n\n{note}' if said else f'\n\n{note}'
    else:
        messages.append({'role': 'user', 'content': f'{said}\n\n{note}' if said else note})
    return messages


def _heard(said: str, history: str) -> bool:
    """Return whether the history has the person's words already, spaces apart."""
    return not said.strip() or ''.join(said.split()) in ''.join(history.split())


def _note(prompt: SpeakingPrompt) -> str:
    lines = [
        str(prompt.context.get('summary', '')).strip(),
        f'Now: {prompt.instruction}' if prompt.instruction.strip() else '',
        f'For example: "{prompt.fallback.strip()}"' if prompt.fallback.strip() else '',
    ]
    return f'[{" ".join(line[:_PART] for line in lines if line)}]'
