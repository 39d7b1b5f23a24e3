"""The messages of a request: one system message, then turns that alternate, then a note."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.dialogue.context import ABOUT
from emotion_estimator.dialogue.prompt import SpeakingPrompt
from emotion_estimator.language_model.messages import SYSTEM, ChatHistory, chat_messages


def history(*turns: str, most: int = 10) -> ChatHistory:
    """Return a history of turns such as "P: Hello."."""
    made = ChatHistory(most)
    for turn in turns:
        who, _, text = turn.partition(': ')
        (made.person_said if who == 'P' else made.robot_said)(text)
    return made


def test_the_rules_stand_first_and_say_what_the_numbers_are():
    (system, user) = chat_messages(SpeakingPrompt('Greet.'), ChatHistory(10))
    assert system == {'role': 'system', 'content': SYSTEM}
    assert ABOUT in SYSTEM
    assert user == {'role': 'user', 'content': '[Now: Greet.]'}


def test_the_note_has_summary_instruction_and_an_example():
    prompt = SpeakingPrompt(
        'Ask again.', fallback='Which song?', context={'summary': 'It looks happy.'}
    )
    assert chat_messages(prompt, history('R: Do you sing?'), 'Rules.') == [
        {'role': 'system', 'content': 'Rules.'},
        {'role': 'user', 'content': '[The conversation begins.]'},
        {'role': 'assistant', 'content': 'Do you sing?'},
        {'role': 'user', 'content': '[It looks happy. Now: Ask again. For example: "Which song?"]'},
    ]


def test_the_persons_words_are_sent_once():
    heard = history('R: Tea?', 'P: Yes, ', 'P: with milk.')
    for said in ('Yes, with milk.', 'with  milk.', ''):
        last = chat_messages(SpeakingPrompt('Go on.', said=said), heard)[-1]
        assert last['content'] == 'Yes, with milk.\n\n[Now: Go on.]'
    # Nobody publishes what the person says but the dialogue manager.
    last = chat_messages(SpeakingPrompt('Go on.', said='With milk.'), history('R: Tea?'))[-1]
    assert last['content'] == 'With milk.\n\n[Now: Go on.]'


def test_a_question_without_answer_is_followed_by_silence():
    turns = history('R: Tea?', 'R: Or coffee?').messages()
    assert [turn['content'] for turn in turns] == [
        '[The conversation begins.]', 'Tea?', '[The person said nothing.]', 'Or coffee?',
    ]  # fmt: skip


def test_half_of_the_turns_are_forgotten_at_a_time():
    made = history(*(f'P: {i}' if i % 2 else f'R: {i}' for i in range(6)), most=6)
    assert len(made) == 6
    made.robot_said('6')
    assert len(made) == 4
    assert [turn['content'] for turn in made.messages()] == ['3', '4', '5', '6']
    assert len(history('P: a', 'R: b', most=0)) == 0
    assert [turn['content'] for turn in history('P: a', 'R: b', most=1).messages()][1:] == ['b']


def test_long_and_empty_turns_are_bounded():
    made = history('P:  ', 'P: ' + 'word ' * 100_000)
    assert len(made) == 1
    assert len(made.messages()[0]['content']) == 2000


TURN = st.sampled_from('PR').flatmap(lambda who: st.text(max_size=9).map(lambda t: f'{who}: {t}'))


@given(st.lists(TURN, max_size=30), st.integers(0, 12), st.text(max_size=9))
def test_roles_always_alternate_and_the_person_is_last(turns, most, said):
    made = history(*turns, most=most)
    assert len(made) <= most
    messages = chat_messages(SpeakingPrompt('Speak.', said=said), made)
    roles = [message['role'] for message in messages]
    assert (roles[0], roles[1], roles[-1]) == ('system', 'user', 'user')
    assert 'system' not in roles[1:]
    assert all(one != other for one, other in pairwise(roles))
    assert all(message['content'].strip() for message in messages)
