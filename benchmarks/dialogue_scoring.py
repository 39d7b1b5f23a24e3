"""Scores of a recorded conversation against the truth, as sums that can be added up."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from emotion_estimator.emotion import NONE
from emotion_estimator.simulation.closed_loop import (
    VOICE_DELAY,
    ConversationRecord,
    RobotMove,
)
from emotion_estimator.simulation.person import SimulatedTurn

#: Seconds within which a turn of the person gets a reaction.
REACTION_TIME = 10.0

#: Minimum seconds of a turn that gets one, and of one that interrupts: "mm-hm" is neither.
MIN_TURN = 1.0

#: Two turns of the person are one when they speak again so soon that nobody could have answered.
SAME_TURN = 2.0

#: Seconds after a change for which the robot cannot know it yet.
GRACE = 1.0

#: Minimum seconds of an expression for an answer to be due, and of the time to give it.
MIN_EPISODE = 3.0

#: Interruptions of an expression up to this many seconds without a face do not end it.
_HIDDEN = 5.0

#: Seconds after a turn of the person in which the robot has to wait whether they go on.
_SETTLE = 1.5

#: Voice of this many seconds may be taken for an answer.
_ANSWER = 0.45

#: Seconds in which a sentence is repeated when it is said again.
_REPEATED = 600.0

#: Expressions that the robot should react to.
EXPRESSIONS: tuple[str, ...] = ('sad', 'happy')


@dataclass(frozen=True)
class Span:
    """A period in seconds."""

    begin: float
    end: float


@dataclass
class ConversationScore:
    """The scores of one conversation.

    :param sums: counts and durations in seconds by name: what the functions of this module return.
    :param series: single values in seconds by name, for medians: ``talks on``; ``delay sad`` and
        ``delay happy``, infinity for what was missed; ``idle sad`` and ``idle happy``, the part of
        the delay from when the robot could have spoken.
    """

    sums: dict[str, float] = field(default_factory=dict)
    series: dict[str, list[float]] = field(default_factory=dict)


def score(record: ConversationRecord) -> ConversationScore:
    """Return all scores of a conversation."""
    found = ConversationScore()
    for count in (_floor, _own_overlaps, _questions, _turns, _words, _emotions):
        found.sums.update(count(record))
    found.series['talks on'] = talks_on(record)
    for label in EXPRESSIONS:
        delays = list(reaction_delays(record, label))
        found.series[f'delay {label}'] = [delay for delay, _ in delays]
        found.series[f'idle {label}'] = [idle for _, idle in delays]
        found.sums[f'due {label}'] = len(delays)
        found.sums[f'missed {label}'] = sum(math.isinf(delay) for delay, _ in delays)
        found.sums[f'answered {label}'] = sum(math.isfinite(delay) for delay, _ in delays)
        found.sums[f'shown {label}'] = len(list(episodes(record, label)))
    return found


def _floor(record: ConversationRecord) -> dict[str, float]:
    overlaps = Counter(each for move in record.utterances if (each := overlap(record, move)))
    return {
        'seconds': record.seconds,
        'present': sum(end - begin for begin, end, state in record.spans() if state.present),
        'in speech': overlaps['speech'],
        'in pause': overlaps['pause'],
        'at once': overlaps['at once'],
        'by person': len(talks_on(record)),
        'to nobody': sum(is_to_nobody(record, move) for move in record.utterances),
    }


def overlap(record: ConversationRecord, move: RobotMove) -> str:
    """Return how an utterance of the robot falls into a turn of the person; empty: it does not.

    ``speech``: it begins while they speak, to whomever. ``pause``: in a pause for thought within
    a turn, or in the first moment after it. ``at once``: both begin within the delay of the voice
    activity detection and a message, so that the robot could not know.
    """
    known = VOICE_DELAY[1] + 1 / record.rate
    for turn in record.turns:
        if not turn.begin < move.begin < turn.end:
            continue
        if move.begin <= turn.begin + known:
            return 'at once'
        speaks = any(
            phrase.begin + known < move.begin < phrase.end
            or (phrase is turn.phrases[0] and phrase.begin < move.begin < phrase.end)
            for phrase in turn.phrases
        )
        return 'speech' if speaks else 'pause'
    return ''


def talks_on(record: ConversationRecord) -> list[float]:
    """Return for each turn that the person begins while the robot speaks how long it talks on.

    Turns below ``MIN_TURN`` do not count.

    :return: seconds from the beginning of the turn to the end of the robot's utterance.
    """
    return [
        move.end - turn.begin
        for turn in record.turns
        for move in record.utterances
        if turn.end - turn.begin >= MIN_TURN and move.begin < turn.begin < move.end
    ]


def is_to_nobody(record: ConversationRecord, move: RobotMove) -> bool:
    """Return whether an utterance begins when the person has been away for ``GRACE`` or longer."""
    since = move.begin - GRACE
    within = (state for state in record.states if since < state.stamp <= move.begin)
    there = record.state(since).present or any(state.present for state in within)
    return move.begin >= GRACE and not there


def _own_overlaps(record: ConversationRecord) -> dict[str, float]:
    """Count neighbouring utterances of which the second begins before the first is over."""
    neighbours = list(pairwise(record.utterances))
    overlapping = sum(
        after.begin < before.planned_end - 1e-6 and before.cut != 'yield'
        for before, after in neighbours
    )
    return {'neighbours': len(neighbours), 'own overlaps': overlapping}


def _questions(record: ConversationRecord) -> dict[str, float]:
    asked = [move for move in record.utterances if move.promised and not move.cut]
    return {'questions': len(asked), 'hasty': sum(is_hasty(record, move) for move in asked)}


def is_hasty(record: ConversationRecord, question: RobotMove) -> bool:
    """Return whether a question asked to its end did not get its time.

    The next utterance begins before the promised time has passed (less a message), though nothing
    that could be an answer was heard since the question began, and the person stayed.
    """
    following = _next(record.utterances, question)
    if following is None:
        return False
    if following.begin >= question.end + question.promised - 1.5 / record.rate:
        return False
    left = any(
        not state.present
        for begin, end, state in record.spans()
        if begin < following.begin and end > question.end
    )
    heard = [voice.begin for voice in _voices(record) if voice.end - voice.begin >= _ANSWER]
    heard += [turn.begin for turn in record.turns if turn.phrases]
    return not left and not any(question.begin <= begin < following.begin for begin in heard)


def _next(moves: Sequence[RobotMove], move: RobotMove) -> RobotMove | None:
    at = bisect_left(moves, move.begin + 1e-9, key=lambda each: each.begin)
    return moves[at] if at < len(moves) else None


def _voices(record: ConversationRecord) -> Iterator[Span]:
    """Yield the periods in which there is a voice to hear."""
    begun: float | None = None
    for begin, _, state in record.spans():
        if state.voice and begun is None:
            begun = begin
        elif not state.voice and begun is not None:
            yield Span(begun, begin)
            begun = None
    if begun is not None:
        yield Span(begun, record.seconds)


def _turns(record: ConversationRecord) -> dict[str, float]:
    due = list(turns_due(record))
    return {
        'turns': len(due),
        'unanswered': sum(not is_answered(record, turn, limit) for turn, limit in due),
    }


def turns_due(record: ConversationRecord) -> Iterator[tuple[Span, float]]:
    """Yield the person's turns that await a reaction, each with the time until which it is due.

    Turns of at least ``MIN_TURN`` to the robot, not broken off; those that follow each other within
    ``SAME_TURN`` without a word of the robot between count as one. The reaction is due until
    their next turn to the robot begins or ``REACTION_TIME`` has passed. Not counted where the
    person is away or begins to speak to somebody else before the reaction, or the record ends.
    """
    turns = list(_merged(record))
    begins = [turn.begin for turn in record.turns if turn.awaits_reaction]
    for turn, cut in turns:
        if turn.end - turn.begin < MIN_TURN or cut:
            continue
        after = bisect_left(begins, turn.end)
        limit = min([turn.end + REACTION_TIME, *begins[after : after + 1]])
        reaction = _reaction(record, turn, limit)
        until = reaction.begin if reaction else limit
        there = all(
            state.present
            for begin, end, state in record.spans()
            if begin < until and end > turn.end
        )
        aside = any(t.kind == 'aside' and turn.end <= t.begin < until for t in record.turns)
        if there and not aside and limit <= record.seconds:
            yield turn, limit


def _merged(record: ConversationRecord) -> Iterator[tuple[Span, str]]:
    """Yield the person's turns to the robot, and what broke them off, as :func:`turns_due` does."""
    open_turn: tuple[Span, str] | None = None
    for turn in record.turns:
        if not turn.awaits_reaction:
            continue
        if open_turn is not None:
            before, cut = open_turn
            spoken = any(before.end <= m.begin < turn.begin for m in record.utterances)
            if turn.begin - before.end < SAME_TURN and not spoken:
                open_turn = Span(before.begin, turn.end), turn.cut
                continue
            yield before, cut
        open_turn = Span(turn.begin, turn.end), turn.cut
    if open_turn is not None:
        yield open_turn


def _reaction(record: ConversationRecord, turn: Span, limit: float) -> RobotMove | None:
    moves = record.utterances
    at = bisect_left(moves, turn.end, key=lambda move: move.begin)
    return moves[at] if at < len(moves) and moves[at].begin <= limit else None


def is_answered(record: ConversationRecord, turn: Span, limit: float) -> bool:
    """Return whether the robot begins to say something between a turn's end and ``limit``."""
    return _reaction(record, turn, limit) is not None


def _words(record: ConversationRecord) -> dict[str, float]:
    said = record.utterances
    last: dict[str, float] = {}
    repeated = 0
    for move in said:
        repeated += move.begin - last.get(move.text, -_REPEATED) < _REPEATED
        last[move.text] = move.begin
    changes = sum(a.action.topic != b.action.topic for a, b in pairwise(said))
    return {
        'utterances': len(said),
        'repeated': repeated,
        'words': sum(len(move.text.split()) for move in said),
        'robot speaks': sum(move.end - move.begin for move in said),
        'topics': changes + bool(said),
    }


def _emotions(record: ConversationRecord) -> dict[str, float]:
    about = [move for move in record.moves if move.about]
    sad = [move for move in record.utterances if _sad_for(record, move.begin, GRACE)]
    return {
        'about': len(about),
        'wrong': sum(is_wrong(record, move) for move in about),
        'jokes': sum(move.action.approach == 'playful' for move in sad),
    }


def is_wrong(record: ConversationRecord, move: RobotMove) -> bool:
    """Return whether an action answers an expression that the person did not show.

    Neither within ``GRACE`` before it nor, if the robot has not spoken since, in the person's
    last turn, whose end it may have waited for.
    """
    since = move.begin - GRACE
    before = [turn for turn in record.turns if turn.begin < move.begin and turn.phrases]
    if before and not any(before[-1].end <= m.begin < move.begin for m in record.utterances):
        since = min(since, before[-1].begin)
    return not any(
        state.label == move.about
        for begin, end, state in record.spans()
        if begin <= move.begin and end >= since
    )


def _sad_for(record: ConversationRecord, stamp: float, seconds: float) -> bool:
    """Return whether the person has looked sad for the last seconds without a break."""
    return stamp >= seconds and all(
        state.label == 'sad'
        for begin, end, state in record.spans()
        if begin <= stamp and end > stamp - seconds
    )


def reaction_delays(record: ConversationRecord, label: str) -> Iterator[tuple[float, float]]:
    """Yield how late the reaction comes to each episode of an expression that allowed one.

    Of the :func:`episodes`. A reaction is an action about the expression from
    its beginning to ``GRACE`` after its end. An episode without one counts if it allowed one: if
    for ``MIN_EPISODE`` the person did not speak and had not just spoken, the robot said nothing
    else, and no question of its own waited for an answer.

    :return: seconds from the beginning of the episode, and from when the robot could have spoken;
        both are infinite where no reaction came.
    """
    for episode in episodes(record, label):
        until = episode.end + GRACE
        reaction = next(
            (m for m in record.moves if m.about == label and episode.begin <= m.begin <= until),
            None,
        )
        free = list(_free(record, episode, reaction))
        allowing = [each.begin for each in free if each.end - each.begin >= MIN_EPISODE]
        if reaction is not None:
            allowing += [each.begin for each in free if each.end >= reaction.begin]
            idle = reaction.begin - min(allowing, default=reaction.begin)
            yield reaction.begin - episode.begin, idle
        elif allowing:
            yield math.inf, math.inf


def episodes(record: ConversationRecord, label: str) -> Iterator[Span]:
    """Yield the periods of ``MIN_EPISODE`` or longer in which the person shows an expression.

    A face that is hidden briefly ends none.
    """
    return (each for each in _shown(record, label) if each.end - each.begin >= MIN_EPISODE)


def _shown(record: ConversationRecord, label: str) -> Iterator[Span]:
    now: Span | None = None
    hidden = 0.0
    for begin, end, state in record.spans():
        if state.label == label:
            now = Span(now.begin if now else begin, end)
            hidden = 0.0
        elif now is not None:
            hidden += end - begin
            if state.label != NONE or hidden > _HIDDEN:
                yield now
                now = None
    if now is not None:
        yield now


def _free(record: ConversationRecord, episode: Span, reaction: RobotMove | None) -> Iterator[Span]:
    """Yield the periods of an episode, until the reaction, in which the robot could speak."""
    end = reaction.begin if reaction else episode.end
    busy = [Span(turn.begin, turn.end + _SETTLE) for turn in record.turns if turn.phrases]
    busy += [Span(begin, end) for begin, end, state in record.spans() if not state.present]
    for move in record.utterances:
        until = move.end
        if move.promised and not move.cut:
            until = _answered_at(record, move)
        busy.append(Span(move.begin, until))
    at = episode.begin
    for each in sorted(busy, key=lambda span: span.begin):
        if each.end <= at:
            continue
        if each.begin >= end:
            break
        if each.begin > at:
            yield Span(at, each.begin)
        at = each.end
    if at < end:
        yield Span(at, end)


def _answered_at(record: ConversationRecord, question: RobotMove) -> float:
    """Return until when a question waits: for a turn of the person, or for its time to pass."""
    limit = question.end + question.promised
    answers = [turn.begin for turn in record.turns if _answers(turn, question, limit)]
    return min(answers, default=limit)


def _answers(turn: SimulatedTurn, question: RobotMove, limit: float) -> bool:
    return bool(turn.phrases) and question.end <= turn.begin < limit
