"""Text that arrives in pieces, divided into sentences for a text-to-speech node."""

# ruff: noqa: RUF001  # punctuation of many scripts

from __future__ import annotations

import re
import unicodedata

#: Maximum number of characters of a sentence; longer text is divided at a comma or a space.
LONGEST = 240

#: Where a sentence may end, with what may close it. Those of East Asia need no space after them.
_ENDS, _WIDE_ENDS = '.!?…؟۔।॥።။', '。！？｡．'
_CLOSERS = '"\'”“’‘»«›‹)]}*_~`」』）】］〉》'
_END = re.compile(f'(?:[{_ENDS}{_WIDE_ENDS}]+[{re.escape(_CLOSERS)}]*)+|\n')

#: Words before a full stop that ends no sentence, in lower case.
_ABBREVIATIONS = frozenset({
    *('mr', 'mrs', 'ms', 'dr', 'prof', 'st', 'jr', 'sr', 'vs', 'etc', 'eg', 'ie', 'approx', 'inc'),
    *('bzw', 'ca', 'dh', 'evtl', 'fr', 'ggf', 'hr', 'inkl', 'nr', 'str', 'usw', 'vgl', 'zb', 'sog'),
    *('mme', 'mlle', 'sra', 'srta', 'sig', 'dott', 'pág', 'ud', 'uds', 'cf'),
})  # fmt: skip

#: Words before an ordinal number, in German, where nouns after it begin with a capital.
_BEFORE_ORDINALS = frozenset((
    'der', 'die', 'das', 'den', 'dem', 'des', 'am', 'vom', 'zum', 'im', 'beim', 'seit', 'bis',
))  # fmt: skip

#: A word right before the end of a sentence, with full stops inside ("z.B", "e.g").
_LAST_WORD = re.compile(r'[^\W_]+(?:\.[^\W_]+)*$')

#: Marks at which too long a sentence is divided.
_CLAUSE = re.compile(r'.*[,;:，、；：–—]\s*', re.DOTALL)
_SPACE = re.compile(r'.*\s', re.DOTALL)

_OPENERS = {'(': ')', '[': ']', '（': '）', '【': '】'}


class SentenceSplitter:
    """Divides a stream of text into sentences, in any language.

    Nothing is changed: the pieces joined are the text. How the text arrives does not matter, since
    a sentence is complete once the character after it is known. In doubt (an abbreviation, a
    number) two sentences stay one. Text in brackets or asterisks is not divided.

    >>> splitter = SentenceSplitter()
    >>> splitter.feed('I met Dr. Meyer. He is')
    ['I met Dr. Meyer. ']
    >>> splitter.feed(' 80! And you')
    ['He is 80! ']
    >>> splitter.flush()
    'And you'
    """

    def __init__(self) -> None:
        self._text = ''

    def feed(self, text: str) -> list[str]:
        """Take the next piece of the text and return the sentences that it completes."""
        self._text += text
        begin, done = 0, []
        while (end := self._next_end(begin)) is not None:
            done.append(self._text[begin:end])
            begin = end
        self._text = self._text[begin:]
        return done

    def flush(self) -> str:
        """Return the rest at the end of the text and begin anew."""
        rest, self._text = self._text, ''
        return rest

    def _next_end(self, begin: int) -> int | None:
        """Return the index after the sentence that begins at ``begin``; None if it is not complete.

        Every decision is made upon characters that are there, and none depends on how many follow.
        """
        text, limit = self._text, begin + LONGEST
        for found in _END.finditer(text, begin, limit):
            after = found.end()
            while after < len(text) and text[after].isspace():
                after += 1
            if after == len(text):
                # The next word decides, unless the sentence is too long already.
                break
            if self._is_end(begin, found, after) and after <= limit:
                return after
        return self._divide(begin, limit) if len(text) > limit else None

    def _is_end(self, begin: int, found: re.Match[str], after: int) -> bool:
        text = self._text
        sentence, mark = text[begin : found.end()], found[0]
        if not sentence.strip() or _is_open(sentence):
            return False
        gap = text[found.end() : after]
        if mark == '\n':
            # A line that is merely wrapped continues in lower case.
            return '\n' in gap or not text[after].islower()
        if '\n' in gap or mark.rstrip(_CLOSERS)[-1] in _WIDE_ENDS:
            return True
        if not gap or text[after].islower():
            return False
        return not (mark == '.' and _abbreviates(text[begin : found.start()]))

    def _divide(self, begin: int, limit: int) -> int:
        """Return where to divide a sentence that is longer than ``LONGEST``."""
        part = self._text[begin:limit]
        for pattern in (_CLAUSE, _SPACE):
            found = pattern.match(part)
            # A short piece before the mark would leave nearly all of it.
            if found and found.end() > LONGEST // 4:
                return begin + found.end()
        # No space at all: not within a letter and its accents.
        end = limit
        while end > begin + 1 and unicodedata.category(self._text[end])[0] == 'M':
            end -= 1
        return end


def _abbreviates(before: str) -> bool:
    """Return whether a full stop after ``before`` is no end: an abbreviation, an ordinal number."""
    found = _LAST_WORD.search(before)
    if found is None:
        return False
    word = found[0]
    if word.isdigit():
        # "1. Tea", "am 3. Mai"; but "He is 80. And you?"
        previous = before[: found.start()].split()
        return len(word) <= 2 and (not previous or previous[-1].lower() in _BEFORE_ORDINALS)
    if '.' in word:
        # "z.B.", "e.g.", "U.S."
        return all(len(part) == 1 for part in word.split('.'))
    return (len(word) == 1 and word != 'I') or word.lower() in _ABBREVIATIONS


def _is_open(sentence: str) -> bool:
    """Return whether a bracket or an asterisk is still open."""
    for opener, closer in _OPENERS.items():
        # ":(" is a face.
        opened = len(re.findall(rf'(?<![:;=-]){re.escape(opener)}', sentence))
        if opened > sentence.count(closer):
            return True
    stars = re.findall(r'(?<!\*)\*(?!\*)(?=\S)|(?<=\S)(?<!\*)\*(?!\*)', sentence)
    return len(stars) % 2 == 1
