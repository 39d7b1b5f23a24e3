"""A model's streamed answer as what the robot says: sentence by sentence, and not too much."""

# ruff: noqa: RUF001  # punctuation of many scripts

from __future__ import annotations

from emotion_estimator.language_model.sentences import SentenceSplitter
from emotion_estimator.language_model.speakable import (
    HiddenText,
    count_words,
    is_persons_turn,
    speakable,
)

#: What may end a sentence, for an answer that was cut off.
_COMPLETE = tuple('.!?…。！？؟।"”“»')


class SpokenAnswer:
    """Turns pieces of a model's text into sentences to say.

    An answer that is too long ends with the last sentence that fits; one that repeats itself, or
    goes on to speak for the person, ends before that.

    >>> answer = SpokenAnswer(max_words=8)
    >>> answer.feed('**Good morning!** How did you')
    ['Good morning!']
    >>> answer.feed(' sleep? I hope that the night was quiet. Tell me.')
    ['How did you sleep?']
    >>> answer.done, answer.note
    (True, 'too_long')
    """

    def __init__(self, max_words: int) -> None:
        """:param max_words: maximum number of words; the first sentence may exceed it."""
        self._max_words = max_words
        self._hidden = HiddenText()
        self._splitter = SentenceSplitter()
        self._words = 0
        #: The sentences so far, as they are said.
        self.said: list[str] = []
        #: Whether nothing more is to be said.
        self.done = False
        #: Why it ended before the model did: ``too_long``, ``repeats``, ``speaks_for_person``; or
        #: ``thinks_aloud`` when thoughts were taken for the answer at first.
        self.note = ''
        #: Number of characters received, hidden ones included.
        self.received = 0
        #: Whether the server has sent reasoning apart from the answer.
        self.reasoned = False

    def feed(self, text: str) -> list[str]:
        """Take the next piece of the answer and return the sentences to say now."""
        if self.done:
            return []
        self.received += len(text)
        visible = self._hidden.feed(text)
        if self._hidden.stray:
            self.note = 'thinks_aloud'
            self._splitter.flush()
        return self._take(self._splitter.feed(visible))

    def finish(self, complete: bool = True) -> list[str]:
        """Return what is left to say at the end of the answer.

        :param complete: whether the model ended it; otherwise half a sentence is dropped.
        """
        if self.done:
            return []
        sentences = self._splitter.feed(self._hidden.flush())
        rest = self._splitter.flush()
        if complete or rest.rstrip(' \n*_)').endswith(_COMPLETE):
            sentences.append(rest)
        said = self._take(sentences)
        self.done = True
        return said

    def _take(self, sentences: list[str]) -> list[str]:
        taken: list[str] = []
        for raw in sentences:
            if is_persons_turn(raw):
                self._end('speaks_for_person')
            sentence = speakable(raw)
            if self.done or not sentence:
                continue
            words = count_words(sentence)
            if self.said and self._words + words > self._max_words:
                self._end('too_long')
            elif sentence in self.said:
                self._end('repeats')
            else:
                self._words += words
                self.said.append(sentence)
                taken.append(sentence)
        return taken

    def _end(self, why: str) -> None:
        if not self.done:
            self.done, self.note = True, why
