"""The conversation: topics, words, what is never said, and which files are refused."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from dialogue_play import TALK, talk
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.dialogue.action import ACTIONS
from emotion_estimator.dialogue.conversation import Conversation
from emotion_estimator.dialogue.conversation_file import (
    ConversationFile,
    load_conversation,
    parse_conversation,
)
from emotion_estimator.errors import InputError

CONFIG = Path(__file__).resolve().parents[2] / 'config'
ENGLISH = load_conversation(CONFIG / 'conversation_en.yaml')
GERMAN = load_conversation(CONFIG / 'conversation_de.yaml')


def says(conversation: Conversation, action: str, times: int = 1, **how) -> list[str]:
    return [conversation.apply(action, **how).utterance for _ in range(times)]


def test_lines_are_filled_in_and_follow_the_approach():
    conversation = Conversation(talk())
    assert says(conversation, 'continue') == ['Go on. With milk?']
    assert says(conversation, 'continue', approach='warm') == ['Nice: a cup of tea.']
    assert conversation.approach == 'warm'
    # Warm has no other line: the first approach's serve before it is repeated, with warm words.
    assert says(conversation, 'continue') == ['Go on. In a warm cup?']


def test_the_sentence_said_least_comes_next_and_none_twice_in_a_row():
    conversation = Conversation(talk(topics={'tea': {'name': 'tea'}}, lines={
        'continue': {'neutral': ['one', 'two', 'three']}, 'pause': {'neutral': ['Wait.']},
    }))  # fmt: skip
    assert says(conversation, 'continue', 4) == ['one', 'two', 'three', 'one']
    assert says(conversation, 'pause') + says(conversation, 'pause') == ['Wait.', '']
    assert says(conversation, 'celebrate') == ['']


def test_lines_of_a_kind_that_are_used_up_are_followed_by_those_that_may_stand_in():
    conversation = Conversation(talk(topics={'tea': {'name': 'tea'}}, lines={
        'continue': {'neutral': ['Go on.', 'And then?']},
        'prompt': {'neutral': ['Shall I ask something else?']},
        'check_in': {'neutral': ['How are you?']},
        'more': {'neutral': ['Is there more?']},
    }))  # fmt: skip
    assert says(conversation, 'continue', 3, kind='prompt') == [
        'Shall I ask something else?', 'Go on.', 'And then?'
    ]  # fmt: skip
    # What asks something else than the kind that stands in for it is not mixed with it.
    assert says(conversation, 'check_in', 2, kind='more') == ['Is there more?', '']


def test_an_exhausted_topic_is_left():
    conversation = Conversation(talk(lines={
        'continue': {'neutral': ['{follow_up}']},
        'move_on': {'neutral': ['Enough of {previous}, now {topic}. {opening}']},
    }))  # fmt: skip
    assert says(conversation, 'continue', 2) == ['With milk?', 'With sugar?']
    move = conversation.apply('continue')
    assert (move.action, conversation.topic) == ('change_topic', 'music')
    assert move.utterance == 'Enough of a cup of tea, now music. Music?'
    assert move.note == 'all has been said about tea'


def test_topics_follow_leads_to_first_and_then_new_ones():
    conversation = Conversation(talk(fallback='cats'))
    visited = [conversation.topic]
    for _ in range(5):
        conversation.apply('change_topic')
        visited.append(conversation.topic)
    # tea leads to music, music only to tea, which is not new: to the fallback; then the oldest.
    assert visited == ['tea', 'music', 'cats', 'tea', 'music', 'cats']
    conversation.apply('change_topic', topic='tea')
    assert conversation.topic == 'tea'


def test_a_topic_may_have_its_own_fallback():
    topics = copy.deepcopy(TALK['topics'])
    topics['dogs'] = {'name': 'dogs', 'openings': {'neutral': ['Dogs?']}}
    topics['tea'] |= {'leads_to': [], 'fallback': 'dogs'}
    conversation = Conversation(talk(topics=topics, fallback='cats'))
    conversation.apply('change_topic')
    assert conversation.topic == 'dogs'


def test_the_only_topic_stays():
    conversation = Conversation(talk(topics={'tea': TALK['topics']['tea'] | {'leads_to': ['tea']}}))
    assert conversation.next_topic() == 'tea'
    assert says(conversation, 'continue', 9)[-1] != ''


def test_after_the_end_it_begins_again_with_another_topic():
    conversation = Conversation(talk())
    conversation.apply('end')
    assert conversation.mode == 'ended'
    assert says(conversation, 'resume') == ['Hello. Music?']
    conversation.apply('pause')
    assert says(conversation, 'resume') == ['Back to music.']
    waiting = Conversation(talk(), 'waiting')
    assert says(waiting, 'resume') == ['Hello. Tea?']
    assert (waiting.mode, waiting.topic) == ('running', 'tea')


def test_a_person_waited_for_hears_the_greeting():
    conversation = Conversation(talk())
    assert says(conversation, 'pause') == ['I wait.']
    assert says(conversation, 'resume') == ['Hello. Tea?']
    conversation.apply('pause')
    assert says(conversation, 'resume') == ['Back to a cup of tea.']


def test_a_rule_that_leads_to_the_current_topic_leaves_it():
    conversation = Conversation(talk())
    conversation.apply('change_topic', topic='tea')
    assert conversation.topic == 'music'
    conversation.apply('change_topic', topic='tea')
    assert conversation.topic == 'tea'
    # Who asks for it wants to hear of it.
    conversation.apply('change_topic', topic='tea', kind='choose_topic', by_service=True)
    assert conversation.topic == 'tea'


def test_without_words_topics_still_change():
    silent = Conversation(talk(say=False))
    moves = [silent.apply('change_topic', approach='careful') for _ in range(3)]
    assert [move.utterance for move in moves] == ['', '', '']
    assert (silent.topic, silent.approach) == ('tea', 'careful')
    empty = Conversation(talk(lines={}))
    assert says(empty, 'change_topic', 3) == ['', '', '']
    bare = Conversation(talk(topics={'tea': {'name': 'tea'}}))
    assert says(bare, 'change_topic') == ['']


def test_a_reload_keeps_topic_and_approach():
    conversation = Conversation(talk())
    conversation.apply('change_topic', approach='warm')
    conversation.apply('pause')
    conversation.reload(talk(lines=TALK['lines'] | {'pause': {'neutral': ['I wait.', 'Hm.']}}))
    assert (conversation.mode, conversation.topic, conversation.approach) == (
        'paused', 'music', 'warm',
    )  # fmt: skip
    assert says(conversation, 'pause') == ['Hm.']
    conversation.reload(
        parse_conversation({'topics': {'x': {'name': 'x'}}, 'approaches': ['calm']}, 'f')
    )
    assert (conversation.topic, conversation.approach) == ('x', 'calm')
    assert says(conversation, 'change_topic') == ['']


def test_topics_are_found_by_id_or_spoken_name():
    assert talk().topic_id(' A Cup of Tea') == 'tea'
    assert talk().topic_id('MUSIC') == 'music'
    with pytest.raises(InputError, match="no topic 'golf'; known are tea, music, cats"):
        talk().topic_id('golf')


# Files that are wrong ---------------------------------------------------------------------------


def broken(path: tuple, value) -> dict:
    raw = copy.deepcopy(TALK)
    at = raw
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return raw


TEA = ('topics', 'tea')
OPENING = (*TEA, 'openings', 'neutral', 1)


@pytest.mark.parametrize(
    ('raw', 'words'),
    [
        ('hello', ['mapping']),
        (broken(('topics',), ...), ['topics is missing']),
        (broken(('topics',), {}), ['topics must be a mapping']),
        (broken(('topics',), [1]), ['topics must be a mapping']),
        (broken(('topics', 7), {'name': 'x'}), ['topics: name must be text, not 7']),
        (broken(('topics', ' tea'), {'name': 'x'}), ["topics: 'tea' occurs twice"]),
        (broken((*TEA, 'name'), ...), ["topic 'tea': name is missing"]),
        (broken((*TEA, 'opening'), 'x'), ["topic 'tea': unknown field opening"]),
        (broken((*TEA, 'openings'), ['x']), ["topic 'tea': openings must be a mapping of appr"]),
        (
            broken((*TEA, 'openings', 'rude'), ['x']),
            ["topic 'tea': openings: 'rude' is not one of"],
        ),
        (broken((*TEA, 'openings', 'neutral'), 'x'), ["topic 'tea': openings: neutral must be a"]),
        (broken(OPENING, 3), ["topic 'tea': openings: neutral[2] must be text"]),
        (broken(OPENING, ''), ["topic 'tea': openings: neutral[2] must be text"]),
        (
            broken(OPENING, '{opening}'),
            ["topic 'tea': openings: neutral[2] has 'opening' in braces"],
        ),
        (broken(OPENING, 'a } b'), ["topic 'tea': openings: neutral[2] has an unmatched brace"]),
        (broken((*TEA, 'leads_to'), ['golf']), ["topic 'tea': leads_to", 'music', "'golf'"]),
        (broken((*TEA, 'fallback'), 'golf'), ["topic 'tea': fallback", "'golf'"]),
        (broken(('fallback',), 'golf'), ['fallback must be one of tea, music, cats']),
        (broken(('start',), 'golf'), ['start must be one of tea']),
        (broken(('approaches',), ['a', 'a']), ['approaches', 'duplicate']),
        (broken(('say',), 'no'), ['say must be true or false']),
        (broken(('language',), 3), ['language must be text']),
        (broken(('lines', 'greet'), {'neutral': ['x']}), ["unknown kind of line 'greet'", 'start']),
        (broken(('lines', 'end'), ['x']), ['lines: end must be a mapping of approaches']),
        (
            broken(('lines', 'end'), {'warm': ['{name}']}),
            ["lines: end: warm[1] has 'name' in braces"],
        ),
        (broken(('lines', 'end'), {'warm': ['{topic!r}']}), ['lines: end: warm[1]']),
        (broken(('lines', 'end'), {'warm': ['{topic:>9}']}), ['lines: end: warm[1]']),
        (broken(('lines', 'end'), {'warm': ['{opening} {follow_up}']}), ['has both']),
        (broken(('topic',), {}), ['unknown field topic']),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, raw, words):
    path = tmp_path / 'talk.yaml'
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    with pytest.raises(InputError) as caught:
        load_conversation(path)
    message = str(caught.value)
    assert '\n' not in message
    assert message.startswith(str(path))
    assert all(word in message for word in words), message


# The shipped conversations ----------------------------------------------------------------------


def sentences(file: ConversationFile) -> list[str]:
    pools = [*file.lines.values()]
    for topic in file.topics.values():
        pools += [topic.openings, topic.follow_ups]
    return [sentence for pool in pools for lines in pool.values() for sentence in lines]


@pytest.mark.parametrize('file', [ENGLISH, GERMAN], ids=['en', 'de'])
def test_every_topic_is_reachable(file):
    reached, ahead = set(), [file.start]
    while ahead:
        topic = ahead.pop()
        if topic not in reached:
            reached.add(topic)
            ahead += file.topics[topic].leads_to
    assert reached == set(file.topics)


#: Actions that have words; to yield is to fall silent.
SPOKEN = [action for action in ACTIONS if action != 'yield']

kinds = st.sampled_from(SPOKEN)
tones = st.sampled_from([None, *ENGLISH.approaches])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(kinds, tones), max_size=60), st.sampled_from([ENGLISH, GERMAN]))
def test_the_companion_never_repeats_a_line_before_it_must(steps, file):
    conversation = Conversation(file)
    said: list[str] = []
    fixed = {text for text in sentences(file) if '{' not in text}
    for action, approach in steps:
        move = conversation.apply(action, approach=approach)
        assert '{' not in move.utterance and move.utterance
        assert conversation.topic in file.topics
        # Of the lines that hold nothing of a topic there are few. One with a question comes again
        # only when all questions that fit were asked.
        if move.utterance in said and move.utterance not in fixed:
            topic, tones = file.topics[conversation.topic], {conversation.approach, 'neutral'}
            asked = [
                {text for tone in tones for text in pool.get(tone, ())}
                for pool in (topic.openings, topic.follow_ups)
            ]
            (pool,) = (texts for texts in asked if any(text in move.utterance for text in texts))
            assert all(any(text in one for one in said) for text in pool)
        said.append(move.utterance)
    assert all(a != b for a, b in pairwise(said))


@pytest.mark.parametrize('file', [ENGLISH, GERMAN], ids=['en', 'de'])
def test_when_all_follow_ups_were_said_the_lines_around_them_change_first(file):
    # Two ways to say it, and four questions.
    conversation = Conversation(file)
    said = [conversation.apply('change_approach').utterance for _ in range(8)]
    assert len(set(said)) == len(said)


@pytest.mark.parametrize('file', [ENGLISH, GERMAN], ids=['en', 'de'])
@pytest.mark.parametrize('action', SPOKEN)
def test_the_companion_always_has_something_else_to_say(file, action):
    for approach in file.approaches:
        conversation = Conversation(file)
        said = [conversation.apply(action, approach=approach).utterance for _ in range(6)]
        assert all(said)
