"""What the shipped conversations say: in any combination short, one question, and fit to be said.

The reasons are in docs/care.md.
"""

from __future__ import annotations

import re
import statistics
import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import pytest
import yaml

from emotion_estimator.dialogue.action import ACTIONS
from emotion_estimator.dialogue.conversation_file import (
    LINE_KINDS,
    ConversationFile,
    load_conversation,
    parse_conversation,
)
from emotion_estimator.dialogue.turns import Turns, TurnTimes

CONFIG = Path(__file__).resolve().parents[2] / 'config'
LANGUAGES = ('en', 'de')
RAW = {
    language: yaml.safe_load((CONFIG / f'conversation_{language}.yaml').read_text())
    for language in LANGUAGES
}
SHIPPED = {
    language: load_conversation(CONFIG / f'conversation_{language}.yaml') for language in LANGUAGES
}
ABILITIES = ('sing', 'dance', 'call_staff')
#: For a robot that has every ability: with the sentences that need one.
ABLE = {
    language: parse_conversation(raw | {'abilities': [*ABILITIES]}, language)
    for language, raw in RAW.items()
}

#: The robot asks something with each of these, and with none of those. It may do either when it
#: resumes a broken-off sentence, says one again or celebrates.
ASKING = {
    'start', 'resume', 'answer', 'glad_answer', 'smile', 'prompt', 'continue', 'check_in', 'more',
    'offer', 'move_on', 'choose_topic', 'change_topic', 'change_approach', 'after_no', 'listen',
}  # fmt: skip
TELLING = {'acknowledge', 'validate', 'comfort', 'quiet', 'peace', 'pause', 'end'}
EITHER = {'again', 'take_up', 'celebrate'}
KINDS = ASKING | TELLING | EITHER

#: Placeholders that a kind may have.
FOLLOWING = {'follow_up', 'topic'}
OPENING = {'opening', 'topic'}
TAKES: Mapping[str, set[str]] = {
    'start': {'disclosure', 'opening'},
    'again': {'unfinished'},
    'after_no': {'follow_up'},
    'take_up': {'unfinished'},
    'resume': FOLLOWING,
    'answer': {'follow_up'},
    'glad_answer': {'follow_up'},
    'smile': {'follow_up'},
    'prompt': FOLLOWING,
    'continue': FOLLOWING,
    'change_approach': FOLLOWING,
    'offer': OPENING,
    'choose_topic': OPENING,
    'change_topic': OPENING | {'previous'},
    'move_on': OPENING | {'previous'},
}

#: What no sentence may contain, by what is wrong with it, in both languages.
UNFIT = {
    'asserts a feeling': (
        r"\byou(?:'re| are| feel| must be) (?:(?:a little|a bit|so|very) )?(?:sad|unhappy|lonely"
        r'|upset|happy|glad|cheerful|angry|tired|worried|sorry|proud)\b'
        r'|\byou (?:look|seem|sound)\b(?! forward| out)|\byour (?:smile|laugh|tears|face)'
        r'|\bsee (?:that )?you (?:smil|laugh|cry|are)',
        r'\bSie (?:sehen|wirken|scheinen|klingen|fühlen sich|lachen|lächeln|weinen)\b'
        r'(?! (?:gern|im|lieber))'
        r'|\bSie sind (?:traurig|froh|glücklich|einsam|fröhlich)|\bIhr (?:Lächeln|Lachen)\b',
    ),
    'quizzes the memory': (
        r'\b(?:remember|recall|forgot|forget)|\bwhat (?:day|year|date) is\b|\bhow old\b',
        r'\berinner|\bvergessen\b|\bwissen Sie noch\b|\bwelche[rsn]? (?:Tag|Jahr)\b|\bwie alt\b',
    ),
    'promises what it cannot do': (
        r'\b(?:sing with|dance with|play you|show me|photo|picture|fetch|bring you|call some'
        r'|always be|for ever with|never leave|look after you|promise|tomorrow|read to)\b',
        r'\b(?:Foto|Bild|zeigen Sie mir|hole|bringe Ihnen|rufe|immer bei|verlasse|verspreche'
        r'|morgen|vorlesen|spiele Ihnen)\b',
    ),
    'talks down': (
        r'\b(?:dear(?=[,.!])|sweetie|sweetheart|honey|darling|young (?:lady|man)|good (?:girl|boy)'
        r'|well done|clever you|how are we|our (?:pills|dinner)|very good!)',
        r'\b(?:Schätzchen|Liebes|Omi|Opi|Oma|Opa|brav|na also|fein gemacht|gut gemacht'
        r'|wie geht es uns|wir denn)\b',
    ),
    'claims feelings of its own': (
        r'\bI (?:feel|felt|love you|missed|am sad|was sad|worry)\b|\bmy (?:heart|feelings)\b',
        r'\bich (?:fühle|liebe|habe Sie vermisst|vermisse|bin traurig|mache mir Sorgen)\b'
        r'|\bmein Herz\b',
    ),
    'announces a change of mood': (
        r'\b(?:seriously|something funny|enough joking|more cheerful|let me try to|cheer up)\b',
        r'\b(?:im Ernst|etwas Lustiges|genug gescherzt|heiterer|zum Lachen zu bringen|Kopf hoch)\b',
    ),
    'judges the answer': (
        r"\b(?:how wonderful|how lovely|great!|wonderful|that's (?:right|wrong|interesting)"
        r'|congratulations|what a pity|i am sorry to hear)',
        r'\b(?:wie wunderbar|wunderbar|großartig|das ist (?:richtig|falsch|interessant)'
        r'|herzlichen glückwunsch|wie schade|das tut mir leid)\b',
    ),
}  # fmt: skip

#: Sentences that these patterns must find, most of them from an earlier release.
FAULTS = [
    ('asserts a feeling', 'en', 'I may be wrong, but you look a little thoughtful.'),
    ('asserts a feeling', 'en', 'You are sad today.'),
    ('asserts a feeling', 'en', 'It is lovely to see you smile.'),
    ('asserts a feeling', 'de', 'Ich kann mich irren, aber Sie sehen etwas nachdenklich aus.'),
    ('asserts a feeling', 'de', 'Sie sind traurig.'),
    ('quizzes the memory', 'en', 'Do you remember a very hard winter?'),
    ('quizzes the memory', 'de', 'Erinnern Sie sich an einen sehr harten Winter?'),
    ('quizzes the memory', 'de', 'Wissen Sie noch, wie es hieß?'),
    ('promises what it cannot do', 'en', 'Would you like to show me a photograph, some time?'),
    ('promises what it cannot do', 'en', 'I will always be here.'),
    ('promises what it cannot do', 'de', 'Möchten Sie mir irgendwann ein Foto zeigen?'),
    ('promises what it cannot do', 'de', 'Ich rufe jemanden.'),
    ('talks down', 'en', 'How are we today, dear?'),
    ('talks down', 'de', 'Das haben Sie gut gemacht!'),
    ('claims feelings of its own', 'en', 'I missed you.'),
    ('claims feelings of its own', 'de', 'Ich habe Sie vermisst.'),
    ('announces a change of mood', 'en', 'All right, seriously now.'),
    ('announces a change of mood', 'en', 'Time for something funny.'),
    ('announces a change of mood', 'en', 'Let me try to make you laugh.'),
    ('announces a change of mood', 'de', 'Gut, jetzt im Ernst.'),
    ('announces a change of mood', 'de', 'Zeit für etwas Lustiges.'),
    ('judges the answer', 'en', 'How wonderful!'),
    ('judges the answer', 'en', "That's interesting."),
    ('judges the answer', 'de', 'Das ist interessant.'),
]


def finds(fault: str, language: str, sentence: str) -> bool:
    pattern = UNFIT[fault][LANGUAGES.index(language)]
    return re.search(pattern, sentence, re.IGNORECASE) is not None


def names(text: str) -> set[str]:
    """Return the placeholders of a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def pools(file: ConversationFile) -> Iterator[tuple[str, str, str, str]]:
    """Yield part ('lines', 'openings', 'follow_ups'), kind or topic, approach and sentence."""
    for part, found in [
        ('lines', file.lines.items()),
        ('openings', [(name, topic.openings) for name, topic in file.topics.items()]),
        ('follow_ups', [(name, topic.follow_ups) for name, topic in file.topics.items()]),
    ]:
        for name, pool in found:
            for approach, sentences in pool.items():
                yield from ((part, name, approach, sentence) for sentence in sentences)


def sentences(file: ConversationFile) -> list[str]:
    return [*file.disclosure, *(sentence for *_, sentence in pools(file))]


def utterances(file: ConversationFile, kind: str, disclose: bool = False) -> Iterator[str]:
    """Yield whatever may be said with lines of a kind, in any tone, about any topic."""
    first = file.approaches[0]
    plain = [text for *_, text in pools(file) if not names(text)]
    broken_off = [re.split(r'(?<=[.!?]) ', text)[-1] for text in plain if text.endswith('?')]
    for approach, lines in file.lines[kind].items():
        # A line of the first approach is said in every other one that has none left.
        tones = file.approaches if approach == first else (approach, first)
        for line, topic in product(lines, file.topics.values()):
            pool = topic.openings if 'opening' in line else topic.follow_ups
            asked = [text for tone in dict.fromkeys(tones) for text in pool[tone]]
            others = [each.name for each in file.topics.values() if each is not topic]
            for question, previous, unfinished in product(
                asked if names(line) & {'opening', 'follow_up'} else [''],
                others if 'previous' in names(line) else [''],
                broken_off if 'unfinished' in names(line) else [''],
            ):
                said = line.format(
                    opening=question, follow_up=question, topic=topic.name, previous=previous,
                    unfinished=unfinished, disclosure=file.disclosure[0] if disclose else '',
                )  # fmt: skip
                yield ' '.join(said.split())


both = pytest.mark.parametrize('file', ABLE.values(), ids=LANGUAGES)


# Structure --------------------------------------------------------------------------------------


def test_every_kind_of_line_is_asking_or_telling():
    assert {*ACTIONS, *LINE_KINDS} - {'yield'} == KINDS


@both
def test_every_kind_is_there_in_every_tone(file):
    assert file.approaches == ('neutral', 'warm', 'careful', 'playful')
    assert set(file.lines) == KINDS
    for kind, pool in file.lines.items():
        assert set(pool) == set(file.approaches), kind
        # More than one: an utterance is never said twice in a row.
        assert min(len(lines) for lines in pool.values()) >= 2, kind


def test_the_languages_are_alike():
    def structure(file: ConversationFile) -> object:
        return (
            [*file.topics], file.start, file.fallback, file.approaches, file.say,
            {name: (topic.leads_to, topic.fallback, set(topic.openings), set(topic.follow_ups))
             for name, topic in file.topics.items()},
            {kind: set(pool) for kind, pool in file.lines.items()}, len(file.disclosure),
        )  # fmt: skip

    for files in (SHIPPED, ABLE):
        assert structure(files['en']) == structure(files['de'])
        assert [file.language for file in files.values()] == ['en', 'de']
    assert [*RAW['en']] == [*RAW['de']]
    assert not set(sentences(ABLE['en'])) & set(sentences(ABLE['de']))


@both
def test_no_topic_is_short_of_words(file):
    assert set(file.topics) == {
        'weather', 'music', 'garden', 'food', 'travel', 'animals', 'family', 'pastimes',
    }  # fmt: skip
    for name, topic in file.topics.items():
        openings = {tone: len(texts) for tone, texts in topic.openings.items()}
        assert openings['neutral'] >= 3 and min(openings.values()) >= 2, name
        follow_ups = [len(topic.follow_ups[tone]) for tone in file.approaches]
        assert all(n >= least for n, least in zip(follow_ups, (8, 4, 4, 3), strict=True)), name


@both
def test_answers_are_many_and_ask_in_turn_about_the_topic_and_about_what_was_said(file):
    for tone, least in zip(file.approaches, (12, 8, 8, 5), strict=True):
        lines = file.lines['answer'][tone]
        assert len(lines) >= least
        # Of sentences said equally often, the first is taken: their order is heard.
        assert ['follow_up' in names(line) for line in lines] == [
            i % 2 == 0 for i in range(len(lines))
        ]
        # Nobody hears the same acknowledgement twice before hearing the others.
        begin = Counter(re.split(r'(?<=[.?!]) ', line)[0] for line in lines)
        assert [text for text, n in begin.items() if n > 1] == [], tone


@pytest.mark.parametrize('file', SHIPPED.values(), ids=LANGUAGES)
def test_there_are_no_warnings(file):
    assert file.warnings == ()


# Placeholders -----------------------------------------------------------------------------------


@both
def test_placeholders_are_where_they_make_sense(file):
    for part, kind, _, sentence in pools(file):
        takes = TAKES.get(kind, set()) if part == 'lines' else set()
        assert names(sentence) <= takes, sentence
        # Nothing comes after the words that are put in, so that a question ends the utterance.
        inserted = names(sentence) & {'opening', 'follow_up', 'unfinished'}
        assert all(sentence.endswith(f'{{{name}}}') for name in inserted), sentence


@both
def test_the_first_greeting_always_discloses_the_camera(file):
    for lines in file.lines['start'].values():
        assert all(names(line) == {'disclosure', 'opening'} for line in lines)
    for lines in file.lines['take_up'].values():
        assert all(names(line) == {'unfinished'} for line in lines)


def test_the_disclosure_says_what_it_must():
    (english,), (german,) = (SHIPPED[language].disclosure for language in LANGUAGES)
    assert english == 'I have a camera and guess expressions from faces; I am often wrong.'
    assert {'Kamera', 'Gesichtsausdrücke;', 'irre', 'oft.'} <= set(german.split())


def test_spoken_names_are_in_the_case_that_german_needs():
    for *_, sentence in pools(ABLE['de']):
        for before in re.findall(r'(\S+) \{(?:topic|previous)\}', f'. {sentence}'):
            assert before.casefold() == 'über', sentence


def test_english_names_do_not_begin_a_sentence():
    for *_, sentence in pools(ABLE['en']):
        assert not re.search(r'(?:^|[.?!] )\{(?:topic|previous)\}', sentence), sentence


# What is said -----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize('kind', sorted(KINDS))
def test_utterances_are_short(file, kind):
    longest = max(utterances(file, kind), key=lambda said: len(said.split()))
    assert len(longest.split()) <= 18, longest
    if kind == 'start':
        longest = max(utterances(file, kind, True), key=lambda said: len(said.split()))
        assert len(longest.split()) <= 24, longest


@both
def test_most_utterances_have_six_to_fourteen_words(file):
    lengths = [len(said.split()) for kind in ASKING for said in utterances(file, kind)]
    assert sum(6 <= n <= 14 for n in lengths) > 0.8 * len(lengths)
    assert 8 <= statistics.median(lengths) <= 13


@both
@pytest.mark.parametrize('kind', sorted(KINDS))
def test_there_is_one_question_and_it_comes_last(file, kind):
    for disclose in (False, True):
        for said in utterances(file, kind, disclose):
            asks = said.count('?')
            assert asks == 0 or (asks == 1 and said.endswith('?')), said
            assert asks or kind not in ASKING, said
            assert not asks or kind not in TELLING, said
            assert said[-1] in '.?!', said


@both
def test_openings_and_follow_ups_are_questions(file):
    for part, _, _, sentence in pools(file):
        if part != 'lines':
            assert sentence.count('?') == 1 and sentence.endswith('?'), sentence


def test_openings_need_no_yes_before_they_begin():
    # "Perhaps a little about music. Shall we talk about music?"
    asking = r'^(?:shall we|would you like to) (?:talk|speak)|^wollen wir .*(?:sprechen|reden)\?'
    for file in ABLE.values():
        for part, _, _, sentence in pools(file):
            assert part != 'openings' or not re.search(asking, sentence, re.IGNORECASE), sentence
    assert re.search(asking, 'Wollen wir ein wenig über Musik sprechen?', re.IGNORECASE)
    assert re.search(asking, 'Shall we talk about music?', re.IGNORECASE)


@both
def test_celebrating_asks_only_for_what_the_robot_can_do(file):
    shipped = SHIPPED[file.language]
    for tone, lines in file.lines['celebrate'].items():
        assert not any('?' in line for line in shipped.lines['celebrate'][tone])
        assert all(line in shipped.lines['celebrate'][tone] or '?' in line for line in lines)


def test_follow_ups_make_sense_after_a_no():
    # "Did you have animals at home?" "No." "What was its name?"
    pointing = {
        'en': r'\b(?:its|they|them|their|this|these|those|then|he|she|him|his|her'
        r'|(?<!Is )(?<!Was )(?<!Were )there)\b',
        'de': r'\b(?:(?<!Gab )(?<!Gibt )(?<!gab )(?<!reist )(?<!roch )es|er|ihm|ihn|ihnen|dort'
        r'|dorthin|damals|dabei|daran|davon|dazu|dies\w*)\b',
    }
    for language, pattern in pointing.items():
        for part, _, _, sentence in pools(ABLE[language]):
            assert part != 'follow_ups' or not re.search(pattern, sentence), sentence
    assert re.search(pointing['en'], 'What was its name?')
    assert re.search(pointing['de'], 'Wie hieß es?')


@pytest.mark.parametrize(('fault', 'language', 'sentence'), FAULTS)
def test_unfit_sentences_would_be_found(fault, language, sentence):
    assert finds(fault, language, sentence)


@pytest.mark.parametrize('fault', UNFIT)
@pytest.mark.parametrize('language', LANGUAGES)
def test_no_sentence_is_unfit(fault, language):
    assert [each for each in sentences(SHIPPED[language]) if finds(fault, language, each)] == []


@both
def test_presence_comfort_and_quiet_have_no_topic_and_promise_nothing(file):
    later = r"\b(?:will|'ll|later|soon|werde|später|bald|immer)\b|!"
    for kind in ('validate', 'comfort', 'quiet', 'acknowledge'):
        for tone, lines in file.lines[kind].items():
            for line in lines:
                assert not names(line) and '?' not in line
                assert kind == 'acknowledge' or not re.search(later, line, re.IGNORECASE), line
                assert len(line.split()) <= 10, tone


@both
def test_only_the_playful_tone_exclaims(file):
    exclaiming = {tone for *_, tone, sentence in pools(file) if '!' in sentence}
    assert exclaiming == {'playful'}


@pytest.mark.parametrize('language', LANGUAGES)
def test_sentences_that_need_an_ability_are_said_only_with_it(language):
    needed = Counter(re.findall(r'needs: (\w+)', yaml.safe_dump(RAW[language])))
    assert set(needed) == set(ABILITIES)
    assert RAW[language]['abilities'] == []
    extra = set(sentences(ABLE[language])) - set(sentences(SHIPPED[language]))
    assert len(extra) == needed.total() > 0
    doing = r'\b(?:shall we (?:sing|dance)|call some|etwas singen|wir tanzen|jemanden rufen)'
    assert all(re.search(doing, sentence, re.IGNORECASE) for sentence in extra)
    said = sentences(SHIPPED[language])
    assert [each for each in said if re.search(doing, each, re.IGNORECASE)] == []


# How it is written ------------------------------------------------------------------------------


@both
def test_no_sentence_is_there_twice(file):
    plain = Counter(re.sub(r'[^\w{} ]', '', text.casefold()) for text in sentences(file))
    assert [text for text, n in plain.items() if n > 1] == []


@pytest.mark.parametrize('language', LANGUAGES)
def test_sentences_are_neatly_written(language):
    for text in sentences(ABLE[language]):
        assert text == ' '.join(text.split()), text
        assert text == unicodedata.normalize('NFC', text), text
        assert text[0].isupper() and (text[-1] in '.?!' or text.endswith('}')), text


def test_umlauts_are_umlauts():
    said = ' '.join([*sentences(ABLE['de']), *SHIPPED['de'].refusals])
    assert re.findall(r'\w*(?:ae|oe|(?<![aeqz])ue)\w*', said, re.IGNORECASE) == []
    assert all(said.count(letter) > 5 for letter in 'äöüß')
    assert (CONFIG / 'conversation_en.yaml').read_text().isascii()


def test_german_is_polite():
    familiar = r'\b(?:du|dich|dir|dein\w*|euch|euer|ihr|sag|erzähl|komm|schau|hör)\b'
    assert [each for each in sentences(ABLE['de']) if re.search(familiar, each)] == []


@pytest.mark.parametrize(
    ('language', 'declining'),
    [
        ('en', ['stop', 'not now', 'leave me alone', "i don't want to talk"]),
        ('de', ['stopp', 'jetzt nicht', 'lassen sie mich in ruhe', 'ich möchte nicht reden']),
    ],
)
def test_refusals_are_those_that_people_use(language, declining):
    refusals = RAW[language]['refusals']
    assert set(declining) <= set(refusals)
    assert len(set(refusals)) == len(refusals) >= 20
    assert [each for each in refusals if each != each.casefold().strip() or '.' in each] == []


#: What people say who do not decline.
STORIES = {
    'en': [
        "I don't want to miss the spring.", 'We used to go away in summer.', 'There was no rain.',
        'Not really, but my brother did.', 'We would just sit in the garden.', 'No, never.',
        'It used to be quiet there.', 'Another time we went by train.', 'I was too tired.',
    ],
    'de': [
        'Es gab keinen Regen.', 'Nein, aber mein Bruder.', 'Ich will nicht klagen.',
        'Wir sind im Sommer weggefahren.', 'Eigentlich nicht, aber gern gehört.',
        'Das mag ich nicht.', 'Ein andermal fuhren wir mit dem Zug.', 'Da war Ruhe im Haus.',
    ],
}  # fmt: skip
DECLINING = {
    'en': [
        "I don't want to talk about it.", 'No, thank you.', "I'd rather be quiet.",
        'Oh, leave me alone!', "Not now. I'm tired.", "Let's talk about something else.",
    ],
    'de': [
        'Ich möchte nicht darüber sprechen.', 'Nein, danke.', 'Ich würde lieber still sein.',
        'Ach, lassen Sie mich in Ruhe!', 'Jetzt nicht.', 'Lassen wir das.',
    ],
}  # fmt: skip


#: What else is heard in what people say, and as what.
HEARD = {
    'en': [
        ('No.', 'said_no'), ('No, thank you.', 'said_no'), ('My mother said: no thanks.', ''),
        ("I don't want to talk about it.", 'other_topic'), ('Pardon?', 'pardon'),
        ("Let's talk about something else.", 'other_topic'), ('Go away!', 'refusal'),
        ('Say that again, please.', 'pardon'), ('Sorry, what did you say?', 'pardon'),
        ('Pardon? What?', 'pardon'), ('What a day that was.', ''), ('Stop.', 'refusal'),
        ('No more questions, please.', 'refusal'), ('Be quiet!', 'refusal'),
    ],
    'de': [
        ('Nein.', 'said_no'), ('Nein, danke.', 'said_no'), ('Nö.', 'said_no'), ('Bitte.', ''),
        ('Ich möchte nicht darüber sprechen.', 'other_topic'), ('Wie bitte?', 'pardon'),
        ('Lassen wir das.', 'other_topic'), ('Hören Sie auf!', 'refusal'),
        ('Noch einmal, bitte.', 'pardon'), ('Gehen Sie weg!', 'refusal'), ('Stopp!', 'refusal'),
    ],
}  # fmt: skip


def heard(language: str, words: str) -> str:
    """Return what the turns hear in the words, besides an answer."""
    file = SHIPPED[language]
    phrases = file.refusals, file.repeats, file.noes, file.other_topics
    turns = Turns(TurnTimes(), *phrases)
    turns.user_said(words, 1.0)
    answer, *meant = turns.advance(2.0)
    assert answer == 'answer'
    return ''.join(meant)


@pytest.mark.parametrize('language', LANGUAGES)
def test_refusals_tell_declining_from_telling(language):
    # A plain no is an answer, and declines nothing but what was asked.
    stories = {each: heard(language, each) for each in STORIES[language]}
    assert set(stories.values()) <= {'', 'said_no'}, stories
    declining = {each: heard(language, each) for each in DECLINING[language]}
    assert set(declining.values()) <= {'refusal', 'other_topic', 'said_no'}, declining


@pytest.mark.parametrize(
    ('language', 'words', 'event'),
    [(language, *each) for language in LANGUAGES for each in HEARD[language]],
)
def test_what_is_heard_in_what_people_say(language, words, event):
    assert heard(language, words) == event
