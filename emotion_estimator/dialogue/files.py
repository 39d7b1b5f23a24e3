"""A policy and a conversation that fit each other."""

from __future__ import annotations

from pathlib import Path

from emotion_estimator.dialogue.conversation_file import ConversationFile, load_conversation
from emotion_estimator.dialogue.rules import PolicyRules, load_rules
from emotion_estimator.errors import InputError
from emotion_estimator.resources import resource_dir


def check_together(rules: PolicyRules, conversation: ConversationFile) -> None:
    """Check that the rules only name what the conversation has.

    :raises InputError: names both files, rule and field.
    """
    for rule in rules.rules:
        named = {
            'topic': ([rule.topic], tuple(conversation.topics)),
            'topics': (rule.topics, tuple(conversation.topics)),
            'approach': ([rule.approach], conversation.approaches),
            'approaches': (rule.approaches, conversation.approaches),
        }
        for field, (names, known) in named.items():
            for name in names:
                if name is not None and name not in known:
                    raise InputError(
                        f'{rules.origin}: rule {rule.name!r}: {field} {name!r} is not in '
                        f'{conversation.origin}, which has {", ".join(known)}'
                    )


def read_together(
    policy: Path | str | None, conversation: Path | str | None
) -> tuple[PolicyRules, ConversationFile]:
    """Read a policy and a conversation; None takes the shipped one.

    :raises InputError: a file is unreadable or wrong, or they do not fit each other.
    """
    shipped = resource_dir('config')
    rules = load_rules(Path(policy or shipped / 'dialogue.yaml'))
    file = load_conversation(Path(conversation or shipped / 'conversation_en.yaml'))
    check_together(rules, file)
    return rules, file
