"""Turns under way, for the tests of the floor."""

from __future__ import annotations

from emotion_estimator.dialogue.turns import Turns, TurnTimes

#: Two seconds at 150 words a minute.
SAYS, ASKS = 'One two three four five.', 'One two three four five?'
REFUSALS = ('stop', "i don't want to talk", 'lieber nicht', 'möchte nicht', 'やめて')
REPEATS = ('pardon', 'what did you say', 'wie bitte?')
NOES = ('no', 'no thanks', 'nein', "i don't want to", 'नहीं', 'いいえ')
STEP = 0.05


class Course:
    """Turns under way: ``until`` advances them and collects what has happened, with its time."""

    def __init__(self, present: bool = True, **times: float) -> None:
        self.turns = Turns(TurnTimes(**{'after_speaking': 1.2, **times}), REFUSALS, REPEATS, NOES)
        self.happened: list[tuple[float, str]] = []
        self.now = 0.0
        self.turns.presence(present, 0.0)

    def until(self, end: float) -> Course:
        while self.now < end - 1e-9:
            self.now = min(round(self.now + STEP, 6), end)
            for event in self.turns.advance(self.now):
                self.happened.append((self.now, event))
        return self

    def speaks(self, begin: float, end: float, source: str = 'topic') -> Course:
        """Let the person speak from ``begin`` to ``end`` seconds."""
        self.until(begin).turns.user_speaking(True, begin, source)
        self.until(end).turns.user_speaking(False, end, source)
        return self

    def robot(self, text: str, wait: float = 6.0, **how: bool) -> Course:
        self.turns.robot_said(text, self.now, wait, **how)
        return self

    @property
    def floor(self) -> str:
        return self.turns.floor

    @property
    def events(self) -> list[str]:
        return [event for _, event in self.happened]
