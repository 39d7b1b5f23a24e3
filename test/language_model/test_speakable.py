"""What a voice cannot say is removed: thoughts, markup, emoji, stage directions, names."""

# ruff: noqa: RUF001  # punctuation of many scripts

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.language_model.answer import SpokenAnswer
from emotion_estimator.language_model.speakable import (
    HiddenText,
    count_words,
    is_persons_turn,
    speakable,
)


@pytest.mark.parametrize(
    ('text', 'spoken'),
    [
        ('**Hello!** How *are* you?', 'Hello! How are you?'),
        ('***Really*** `good` ~~bad~~ __strong__ _soft_.', 'Really good bad strong soft.'),
        ('# Morning\n> quoted\n- tea\n* coffee\n1) milk', 'Morning quoted tea coffee milk'),
        ('---\nHello.', 'Hello.'),
        ('| a | b |', 'a b'),
        ('See [the garden](https://x.org/a_b) at https://x.org/y now.', 'See the garden at now.'),
        ('![a cat](cat.png) A cat.', 'A cat.'),
        ('<b>Hello</b>&nbsp;there<br/>', 'Hello there'),
        ('Hello.<|im_end|><|eot_id|>', 'Hello.'),
        ('Good morning 😀👩🏽‍🌾🇩🇪❤️! ☀️', 'Good morning!'),
        ('Nice :) and ;-) sad :-( <3 XD', 'Nice and sad'),
        ('*smiles warmly* Hello.', 'Hello.'),
        ('*Lächelt.* Guten Morgen!', 'Guten Morgen!'),
        ('(nickt) Ja.', 'Ja.'),
        ('（微笑）你好。', '你好。'),
        ('[pause] Go on.', 'Go on.'),
        ('That is nice *nods softly*.', 'That is nice.'),
        ('(A long pause.)', ''),
        ('My aunt (the younger one) sang.', 'My aunt (the younger one) sang.'),
        ('(Human beings) *humans* and (nicknames)', '(Human beings) humans and (nicknames)'),
        ('Assistant: "Hello."', 'Hello.'),
        ('Robot (smiling): Hello.', 'Hello.'),
        ('**Companion:** Hello.', 'Hello.'),
        ('Roboter: Hallo.', 'Hallo.'),
        ('AI: ¿Qué tal?', '¿Qué tal?'),
        ('About the system: it works.', 'About the system: it works.'),
        ('“Hello”, she said.', 'Hello, she said.'),
        ('– Well , yes !', 'Well, yes!'),
        ('20 °C, 5 * 3 = 15, 50 %, 3. Mai, C&A', '20 °C, 5 * 3 = 15, 50 %, 3. Mai, C&A'),
        ('snake_case', 'snake_case'),
        ('Line\nand\tline\x07\x00\ufeff\ufffd', 'Line and line'),
        ('نمی\u200cخواهم', 'نمی\u200cخواهم'),
        ('क्\u200dष', 'क्\u200dष'),
        ("It's fine – isn't it?", "It's fine – isn't it?"),
        ('...', ''), ('😀', ''), ('***', ''), ('"', ''), ('', ''),
    ],
)  # fmt: skip
def test_only_what_can_be_said_is_left(text, spoken):
    assert speakable(text) == spoken


@given(st.text(max_size=300))
def test_any_text_becomes_one_line_with_something_to_say_or_nothing(text):
    spoken = speakable(text)
    assert spoken == ' '.join(spoken.split())
    assert not spoken or any(c.isalnum() for c in spoken)


@pytest.mark.parametrize('text', ['User: I am fine.', '**Human:** Hi', 'Benutzer: Ja', '用户：好'])
def test_a_turn_of_the_person_is_recognised(text):
    assert is_persons_turn(text)
    assert not is_persons_turn(f'My {text}')


HIDDEN = {
    '<think>She looks sad.</think>Good morning.': 'Good morning.',
    'Good <THINK>a\nb</Think>morning.': 'Good morning.',
    '<thinking>a</thinking>Good <think>b</think>morning.': 'Good morning.',
    '[THINK]a[/THINK]Good morning.': 'Good morning.',
    '◁think▷a◁/think▷Good morning.': 'Good morning.',
    '<|channel|>analysis<|message|>a<|end|><|channel|>final<|message|>Good.': 'Good.',
    'Look:```python\nprint(1)\n```Good.': 'Look:Good.',
    '<think>never ends': '',
    'a < b and <b>c</b> [d] `e` <thi': 'a < b and <b>c</b> [d] `e` <thi',
    'İstanbul <think>İİİ</think>İyi.': 'İstanbul İyi.',
}


@pytest.mark.parametrize('text', HIDDEN)
def test_thoughts_and_code_are_hidden_in_any_pieces(text):
    for size in (1, 2, 3, 7, 100):
        hidden = HiddenText()
        pieces = [hidden.feed(text[i : i + size]) for i in range(0, len(text), size)]
        assert ''.join(pieces) + hidden.flush() == HIDDEN[text]


def test_what_is_no_thought_is_not_held_back():
    hidden = HiddenText()
    assert hidden.feed('Good morning <') == 'Good morning '
    assert hidden.feed('3') == '<3'


@given(st.text(st.sampled_from('<think>/[]`ab ◁▷'), max_size=60), st.integers(1, 9))
def test_pieces_change_nothing_of_what_is_hidden(text, size):
    # Ends without a beginning forget what came before, which has been given out in part by then.
    if any(f'/{name}' in text for name in ('think', 'THINK')):
        return
    whole, parts = HiddenText(), HiddenText()
    expected = whole.feed(text) + whole.flush()
    pieces = [parts.feed(text[i : i + size]) for i in range(0, len(text), size)]
    assert ''.join(pieces) + parts.flush() == expected


@pytest.mark.parametrize(
    ('text', 'words'),
    [('', 0), ('one two, three', 3), ("don't", 1), ('你今天怎么样？', 3),
     ('สวัสดีครับผมชื่อหุ่นยนต์ยินดีที่ได้รู้จัก', 2)],
)  # fmt: skip
def test_words_are_counted_in_scripts_without_spaces_too(text, words):
    assert count_words(text) == words


def answer(*pieces: str, most: int = 40, complete: bool = True) -> SpokenAnswer:
    made = SpokenAnswer(most)
    said = [sentence for piece in pieces for sentence in made.feed(piece)]
    assert said + made.finish(complete) == made.said
    assert made.done and made.feed('More. And more.') == made.finish() == []
    return made


def test_an_answer_that_is_too_long_ends_with_a_sentence():
    made = answer('One two three. Four five six. Seven eight nine. Ten.', most=7)
    assert (made.said, made.note) == (['One two three.', 'Four five six.'], 'too_long')


def test_the_first_sentence_may_be_too_long():
    made = answer('One two three four. Five.', most=2)
    assert (made.said, made.note) == (['One two three four.'], 'too_long')


def test_an_answer_ends_where_it_repeats_itself_or_speaks_for_the_person():
    assert answer('I see. I see. Go on.').said == ['I see.']
    made = answer('How are you?\nUser: I am fine.\nAssistant: Good.')
    assert (made.said, made.note) == (['How are you?'], 'speaks_for_person')


def test_thoughts_without_a_beginning_are_not_said_if_they_are_known_in_time():
    made = answer('She seems sad, so', ' I ask.\n</think>\n\nHow are you?')
    assert (made.said, made.note) == (['How are you?'], 'thinks_aloud')


@pytest.mark.parametrize(
    ('last', 'said'),
    [('Did you', []), ('Did you?', ['Did you?']), ('*Did you?*', []), ('好吗？', ['好吗？']),
     ('"Did you?"', ['Did you?'])],
)  # fmt: skip
def test_half_a_sentence_of_an_incomplete_answer_is_not_said(last, said):
    assert answer('Hello. ', last, complete=False).said == ['Hello.', *said]
