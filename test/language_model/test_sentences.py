"""Streamed text divided into sentences: nothing lost, nothing that depends on the chunks."""

# ruff: noqa: RUF001  # punctuation of many scripts

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.language_model.sentences import LONGEST, SentenceSplitter


def split(*chunks: str) -> list[str]:
    splitter = SentenceSplitter()
    done = [sentence for chunk in chunks for sentence in splitter.feed(chunk)]
    rest = splitter.flush()
    return [*done, rest] if rest else done


@pytest.mark.parametrize(
    ('text', 'sentences'),
    [
        ('Hello there! How are you? I am fine.', ['Hello there!', 'How are you?', 'I am fine.']),
        ('Well... I see. Yes.', ['Well...', 'I see.', 'Yes.']),
        ('Really?! “No.” Then he left.', ['Really?!', '“No.”', 'Then he left.']),
        ('„Ja.“ Das war 1953. Danach kam ich.', ['„Ja.“', 'Das war 1953.', 'Danach kam ich.']),
        ('I met Dr. Meyer. He is 3.5 m tall.', ['I met Dr. Meyer.', 'He is 3.5 m tall.']),
        ('Tee, z. B. Minze, z.B. am 3. Mai. Ja?', ['Tee, z. B. Minze, z.B. am 3. Mai.', 'Ja?']),
        ('1. Tea. He is 80. And you?', ['1. Tea.', 'He is 80.', 'And you?']),
        ('Apples, e.g. Boskop, are sour. Yes.', ['Apples, e.g. Boskop, are sour.', 'Yes.']),
        ('So do I. Then rest.', ['So do I.', 'Then rest.']),
        ('"Really?" she said. See www.a.de now.', ['"Really?" she said.', 'See www.a.de now.']),
        ('你好。你今天怎么样？！我很好', ['你好。', '你今天怎么样？！', '我很好']),
        ('「元気ですか？」はい。', ['「元気ですか？」', 'はい。']),
        ('كيف حالك؟ أنا بخير.', ['كيف حالك؟', 'أنا بخير.']),
        ('आप कैसे हैं? मैं ठीक हूँ। धन्यवाद।', ['आप कैसे हैं?', 'मैं ठीक हूँ।', 'धन्यवाद।']),
        ('*smiles. nods.* Hello. (A pause. Long.) Yes.',
         ['*smiles. nods.*', 'Hello.', '(A pause. Long.)', 'Yes.']),
        ('Oh :( That hurts. 2 * 3 is 6, yes. Fine.',
         ['Oh :( That hurts.', '2 * 3 is 6, yes.', 'Fine.']),
        ('- Tea\n- Coffee\n\nWhich one', ['- Tea', '- Coffee', 'Which one']),
        ('A line that is\nmerely wrapped. Yes', ['A line that is\nmerely wrapped.', 'Yes']),
        ('no mark at all', ['no mark at all']),
        ('', []),
        ('  \n\n ', ['']),
    ],
)  # fmt: skip
def test_sentences_end_where_they_should(text, sentences):
    assert [sentence.strip() for sentence in split(text)] == sentences
    assert [sentence.strip() for sentence in split(*text)] == sentences


def test_a_sentence_is_complete_as_soon_as_the_next_word_begins():
    splitter = SentenceSplitter()
    assert splitter.feed('How are you?') == []
    assert splitter.feed(' ') == []
    assert splitter.feed('I') == ['How are you? ']
    assert splitter.flush() == 'I'
    assert splitter.flush() == ''


def test_text_without_marks_is_divided_at_a_comma_or_a_space():
    for text in ('word ' * 100, 'word, and another ' * 50, '这是' * 300, 'e\u0301' * 400):
        parts = split(text)
        assert ''.join(parts) == text
        assert len(parts) > 1 and max(map(len, parts)) <= LONGEST
        assert all(part[-1] in ' 这是\u0301' for part in parts)
    assert split('word, and another ' * 50)[0].endswith(', ')


#: Text of what matters to the splitter, and of anything.
TEXT = st.text(
    st.sampled_from('abA1 .!?,…"“*()[:\n。？！」 ًء\u0301') | st.characters(codec='utf-8'),
    max_size=900,
)


@given(TEXT, st.data())
def test_chunks_change_nothing_and_nothing_is_lost(text, data):
    whole = split(text)
    assert ''.join(whole) == text
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    chunks = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)])]
    assert split(*chunks) == whole
    assert split(*text) == whole
    assert all(len(sentence) <= LONGEST for sentence in whole[:-1])


def test_ten_thousand_words_take_no_time():
    text = 'This is one of ten thousand words, more or less, yes. ' * 900
    assert len(split(text)) == len(split(*text)) == 900
