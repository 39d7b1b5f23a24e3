"""What a text-to-speech node can say: a model's text without thoughts, markup and emoji."""

# ruff: noqa: RUF001  # punctuation of many scripts

from __future__ import annotations

import re
import unicodedata

#: Begin and end of what a model writes for itself or for a screen, in lower case: thoughts (of
#: DeepSeek, Qwen and others; Mistral; Kimi; gpt-oss) and code.
_HIDDEN: dict[str, str] = {
    **{
        f'<{name}>': f'</{name}>'
        for name in ('think', 'thinking', 'thought', 'thoughts', 'reasoning', 'scratchpad')
    },
    '[think]': '[/think]',
    '◁think▷': '◁/think▷',
    '<|channel|>analysis': 'final<|message|>',
    '```': '```',
}
#: Ends without a beginning: some chat templates begin the thoughts themselves.
_STRAY = ('</think>', '</thinking>', '[/think]', '◁/think▷')
_MARK = re.compile('|'.join(map(re.escape, (*_STRAY, *_HIDDEN))), re.IGNORECASE)
_LONGEST_MARK = max(map(len, (*_STRAY, *_HIDDEN, *_HIDDEN.values())))


class HiddenText:
    """Removes thoughts and code from a stream of text, wherever its pieces begin and end.

    >>> hidden = HiddenText()
    >>> hidden.feed('<thi'), hidden.feed('nk>She looks sad.</think>Good morning.')
    ('', 'Good morning.')
    """

    def __init__(self) -> None:
        self._text = ''
        self._until = ''
        #: Whether an end of thoughts came without a beginning; what came before it was a thought.
        self.stray = False

    def feed(self, text: str) -> str:
        """Take the next piece and return what is not hidden; see :attr:`stray`."""
        self._text += text
        out = ''
        self.stray = False
        while True:
            if self._until:
                end = re.search(re.escape(self._until), self._text, re.IGNORECASE)
                if end is None:
                    self._text = self._text[1 - len(self._until) :]
                    return out
                self._text = self._text[end.end() :]
                self._until = ''
            found = _MARK.search(self._text)
            if found is None:
                held = self._held()
                out += self._text[:held]
                self._text = self._text[held:]
                return out
            if found[0].lower() in _STRAY:
                self.stray, out = True, ''
            else:
                out += self._text[: found.start()]
                self._until = _HIDDEN[found[0].lower()]
            self._text = self._text[found.end() :]

    def flush(self) -> str:
        """Return the rest at the end of the text; thoughts that do not end stay hidden."""
        rest, self._text = ('' if self._until else self._text), ''
        self._until = ''
        return rest

    def _held(self) -> int:
        """Return where a mark may have begun that is not complete yet."""
        length = len(self._text)
        for begin in range(max(0, length - _LONGEST_MARK), length):
            tail = self._text[begin:].lower()
            if any(mark.startswith(tail) for mark in (*_STRAY, *_HIDDEN)):
                return begin
        return length


#: Emoji and other pictures, with what joins and colours them; not signs such as the degree sign.
_PICTURES = re.compile(
    '[\U0001f000-\U0001faff\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f'
    '\u2b00-\u2bff\u3030\u303d\ufe0f\u20e3\U000e0020-\U000e007f]+(?:\u200d)?'
)
_EMOTICON = re.compile(
    r"(?<!\S)[:;=8xX]['-]?[()\[\]DPpOo/|*3]+(?!\w)|(?<!\S)[(\[][-']?[:;=](?!\S)|<3"
)

#: Tokens of chat templates and HTML.
_TOKEN = re.compile(r'<\|[^|<>]{1,40}\|>|</?[a-zA-Z][^<>]{0,200}>|&nbsp;')
_IMAGE = re.compile(r'!\[[^\]]*\](?:\([^()\s]*\))?')
_LINK = re.compile(r'\[([^\]\[]+)\]\([^()\s]*\)')
_URL = re.compile(r'(?:https?://|www\.)\S+')
_BLOCK = re.compile(r'^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•–][ \t]+|\d{1,2}\)[ \t]+)', re.MULTILINE)
_RULE = re.compile(r'^[ \t]*(?:[-*_=][ \t]*){3,}$', re.MULTILINE)
_STRONG = re.compile(r'(\*{2,3}|~~|`+)(?=\S)(.*?)(?<=\S)\1', re.DOTALL)
_STRONG_LINE = re.compile(r'(?<!\w)(_{1,3})(?=\S)(.*?)(?<=\S)\1(?!\w)', re.DOTALL)

#: Verbs of stage directions, which may stand anywhere in a sentence.
_ACTING = (
    '(?:smil|grin|laugh|chuckl|giggl|nod|sigh|paus|wink|wav|beam|bow|blink|whisper|tilt|lean|hum)'
    '(?:e|s|es|ing|ning|ding|ming)?|'
    '(?:lächel|grins|lach|kicher|nick|seufz|zwinker|strahl|flüster|summ|räusper|wink)(?:e?t|e?nd)|'
    'sourit|souriant|rit|riant|soupire|sonríe|sonriendo|ríe|sorride|sorri'
)
_DIRECTION = re.compile(
    rf'[*(（\[_](?:\w+ly |leise |sanft |freundlich )?(?:{_ACTING})\b[^*()（）\[\]_]*[*)）\]_]',
    re.IGNORECASE,
)
#: Anything between asterisks or brackets that begins a sentence in lower case or is one.
_ASIDE = re.compile(
    r'(?:^|(?<=[.!?…。！？]))\s*(?:'
    r'\*(?!\*)[^*]+\*(?=\s*(?:$|[^\Wa-zß-öø-ÿ_]))|'
    r'\([^()]+\)(?=\s*(?:$|[^\Wa-zß-öø-ÿ_]))|（[^（）]+）)'
)
_SQUARE = re.compile(r'\[[^\]\[]*\]|【[^】]*】')

#: What is left of markup, but for products: 5 * 3.
_STAR = re.compile(r'`|\*(?![\s\d])|(?<![\s\d])\*')
_PIPE = re.compile(r'[|#]')

#: Names before a colon by which a model gives itself or the person the word.
_ROBOT = 'assistant|robot|bot|ai|companion|model|system|assistent|roboter|ki|begleiter|助手|机器人'
_PERSON = 'user|human|person|benutzer|nutzer|mensch|utilisateur|usuario|用户'
_NAME = re.compile(rf'^\W*(?:the )?(?:{_ROBOT})\W*(?:\([^()]*\)\W*)?[:：]\W*?(?=[\w"“„¿¡]|$)',
                   re.IGNORECASE)  # fmt: skip
_PERSONS_TURN = re.compile(rf'^\W*(?:the )?(?:{_PERSON})\W*(?:\([^()]*\)\W*)?[:：]', re.IGNORECASE)

#: Quotation marks, of which voices make pauses at best.
_QUOTES = str.maketrans('', '', '"“”„‟«»「」『』')

#: What is invisible, but for the joiners that Persian and Indian scripts are written with.
_KEPT = '\u200c\u200d'


def speakable(text: str) -> str:
    """Return a sentence without markup, emoji, stage directions and role names.

    :param text: a sentence, or several.
    :returns: one line; empty when nothing in it can be said.
    """
    text = ''.join(
        c if c in '\n\t' or c in _KEPT or unicodedata.category(c)[0] != 'C' else '' for c in text
    ).replace('\ufffd', '')
    for pattern, kept in (
        (_TOKEN, ' '), (_IMAGE, ' '), (_LINK, r'\1'), (_URL, ' '), (_RULE, ' '), (_BLOCK, ''),
        (_STRONG, r'\2'), (_PICTURES, ' '), (_EMOTICON, ' '), (_DIRECTION, ' '), (_ASIDE, ' '),
        (_SQUARE, ' '), (_STRONG_LINE, r'\2'), (_STAR, ''), (_PIPE, ' '),
    ):  # fmt: skip
        text = pattern.sub(kept, text)
    text = _NAME.sub('', text.strip()).translate(_QUOTES)
    text = re.sub(r'\s+([.,!?;:…])(?=\s|$)', r'\1', ' '.join(text.split()))
    text = text.lstrip(' .,;:–—-')
    return text if any(c.isalnum() for c in text) else ''


def is_persons_turn(text: str) -> bool:
    """Return whether a model goes on to speak for the person ("User: ...")."""
    return bool(_PERSONS_TURN.match(text))


def count_words(text: str) -> int:
    """Return the number of words; in scripts without spaces, of two wide characters each."""
    wide = sum(unicodedata.east_asian_width(c) in 'WF' and c.isalnum() for c in text)
    letters = sum(c.isalnum() for c in text) - wide
    # Scripts such as Thai have neither spaces nor wide characters.
    return max(len(text.split()), wide // 2 + letters // 12)
