"""Which words: of those that fit, the ones that were said least."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Mapping

from emotion_estimator.dialogue.conversation_file import KINDS, ConversationFile, Pool, Topic


class Wording:
    """Fills lines in and remembers what was said, so that nothing is repeated before it must be.

    Of the sentences of an approach the one said least is taken, of equals that which makes words
    not said yet, and of these the first; where all have been said, those of the first approach
    serve before any is said again.
    """

    def __init__(self, file: ConversationFile) -> None:
        """:param file: where the words come from."""
        self.file = file
        self._said: Counter[str] = Counter()
        self._whole: Counter[str] = Counter()
        self._last = ''

    def reload(self, file: ConversationFile) -> None:
        """Take words from another file; what it shares with the last one stays known as said."""
        self.file = file
        known = set(_sentences(file))
        self._said = Counter({text: n for text, n in self._said.items() if text in known})

    def words(self, kind: str, approach: str, topic_id: str, previous_id: str) -> str:
        """Return what to say, and remember that it was said; empty where there is nothing.

        :param kind: an action or one of ``conversation_file.KINDS``.
        """
        if not self.file.say:
            return ''
        topic = self.file.topics[topic_id]
        previous = self.file.topics.get(previous_id, topic)
        pool = self.file.lines.get(kind) or self.file.lines.get(KINDS.get(kind, ''), {})
        best: tuple[tuple[int, int, int], tuple[str, ...], str] | None = None
        for parts in self._combinations(pool, topic, approach):
            counts = [self._said[part] for part in parts]
            filled = _fill(parts, topic.name, previous.name)
            rank = max(counts), sum(counts), self._whole[filled]
            if filled != self._last and (best is None or rank < best[0]):
                best = rank, parts, filled
        if best is None:
            return ''
        self._said.update(best[1])
        self._whole[best[2]] += 1
        self._last = best[2]
        return best[2]

    def told_out(self, topic_id: str, approach: str) -> bool:
        """Tell whether a topic had follow-ups, and all of them were said."""
        sentences = list(self._pool(self.file.topics[topic_id].follow_ups, approach))
        return self.file.say and bool(sentences) and all(self._said[each] for each in sentences)

    def _combinations(self, pool: Pool, topic: Topic, approach: str) -> Iterator[tuple[str, ...]]:
        """Yield lines, each with what goes into it, in the order of preference."""
        for line in self._pool(pool, approach):
            names = {name for _, name, _, _ in string.Formatter().parse(line)}
            if 'opening' in names:
                yield from ((line, each) for each in self._pool(topic.openings, approach))
            elif 'follow_up' in names:
                yield from ((line, each) for each in self._pool(topic.follow_ups, approach))
            else:
                yield (line,)

    def _pool(self, pool: Mapping[str, tuple[str, ...]], approach: str) -> Iterator[str]:
        first = self.file.approaches[0]
        yield from pool.get(approach, ())
        if approach != first:
            yield from pool.get(first, ())


def _fill(parts: tuple[str, ...], topic: str, previous: str) -> str:
    names = {'topic': topic, 'previous': previous}
    inner = [part.format(**names) for part in parts[1:]]
    content = inner[0] if inner else ''
    return parts[0].format(**names, opening=content, follow_up=content)


def _sentences(file: ConversationFile) -> Iterator[str]:
    pools = [*file.lines.values()]
    for topic in file.topics.values():
        pools += [topic.openings, topic.follow_ups]
    for pool in pools:
        for sentences in pool.values():
            yield from sentences
