"""Strict YAML: the only reader of YAML files, with one-line errors that name file and field."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from emotion_estimator.errors import InputError, first_line

_T = TypeVar('_T')
_REQUIRED: Any = object()

#: Looks only two levels into a value: with anchors, a few lines of YAML expand to gigabytes.
_REPR = reprlib.Repr()
_REPR.maxlevel = 2
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80

#: Checks and converts a raw value; the second argument names the field in errors.
Reader = Callable[[object, str], _T]


class _Loader(yaml.SafeLoader):
    """Refuses duplicate keys in a mapping; PyYAML silently keeps the last one."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Before merge keys (<<) are resolved, since a merged key may be overridden.
        node = super().compose_mapping_node(anchor)
        known = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in known:
                    twice = f'key {describe(key.value)} occurs twice'
                    raise yaml.composer.ComposerError(None, None, twice, key.start_mark)
                known.add((key.tag, key.value))
        return node


def read_yaml(path: Path) -> Any:
    """Read a file that holds one YAML document, encoded in UTF-8.

    :return: what PyYAML's safe loader makes of it; None for an empty file.
    :raises InputError: the file cannot be read, is not YAML, holds several documents, or has a
        duplicate key in a mapping; names the file and, where known, the line.
    """
    try:
        return yaml.load(path.read_text(encoding='utf-8'), Loader=_Loader)
    except OSError as error:
        raise InputError(
            f'{path} cannot be read ({error.strerror}); pass an existing file'
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, 'problem_mark', None)
        where = f' in line {mark.line + 1}' if mark else ''
        problem = getattr(error, 'problem', None) or 'not UTF-8'
        raise InputError(f'{path}: invalid YAML{where} ({problem}); correct it') from error
    except (ValueError, RecursionError) as error:
        # PyYAML parses 2024-13-45 as a date, and recurses into nested lists.
        raise InputError(
            f'{path} holds a value that cannot be read ({first_line(error)}); correct or quote it'
        ) from error


class Table:
    """A mapping whose fields are taken one by one; fields left over at the end are an error."""

    def __init__(self, raw: object, where: str) -> None:
        """Wrap a mapping.

        :param raw: the mapping as read.
        :param where: names its place in the file in errors.
        :raises InputError: ``raw`` is not a mapping.
        """
        if not isinstance(raw, dict):
            raise InputError(f'{where} must be a mapping of fields, not {describe(raw)}')
        self._raw = dict(raw)
        self._known: list[str] = []
        self._where = where

    def take(self, name: str, reader: Reader[_T], default: Any = _REQUIRED) -> _T:
        """Return a checked field.

        :param default: value of an absent field; without it the field is required.
        :raises InputError: the field is missing, or ``reader`` refuses it.
        """
        self._known.append(name)
        where = f'{self._where}: {name}'
        if name not in self._raw:
            if default is _REQUIRED:
                raise InputError(f'{where} is missing; add it')
            value: _T = default
            return value
        return reader(self._raw.pop(name), where)

    def finish(self) -> None:
        """Check that every field has been taken.

        :raises InputError: the mapping has an unknown field.
        """
        for name in self._raw:
            known = ', '.join(self._known)
            shown = name if isinstance(name, str) and name.isprintable() else describe(name)
            raise InputError(f'{self._where}: unknown field {shown}; known are {known}')


def describe(value: object) -> str:
    """Describe a wrong value on one line of at most 40 characters."""
    if value is None:
        return 'nothing'
    try:
        words = _REPR.repr(value)
    except ValueError:
        return 'a number with thousands of digits'
    return words if len(words) <= 40 else f'{words[:37]}...'


def text(value: object, where: str) -> str:
    """Read a non-empty string."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f'{where} must be text, not {describe(value)}')
    return value.strip()


def names(value: object, where: str) -> tuple[str, ...]:
    """Read a non-empty list of distinct, non-empty strings."""
    if not isinstance(value, list) or not value:
        raise InputError(f'{where} must be a list of names, not {describe(value)}')
    read = tuple(text(item, where) for item in value)
    if len(set(read)) < len(read):
        raise InputError(f'{where} holds a duplicate name; remove one')
    return read


def flag(value: object, where: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise InputError(f'{where} must be true or false, not {describe(value)}')
    return value


def integer(value: object, where: str) -> int:
    """Read an integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f'{where} must be an integer, not {describe(value)}')
    return value


def number(low: float, high: float) -> Reader[float]:
    """Return a reader of numbers from ``low`` to ``high``, both included."""

    def reader(value: object, where: str) -> float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        # NaN fails both comparisons; infinities and huge integers fail one.
        if not good or not low <= value <= high:  # type: ignore[operator]
            raise InputError(
                f'{where} must be a number from {low:g} to {high:g}, not {describe(value)}'
            )
        return float(value)  # type: ignore[arg-type]

    return reader


def choice(allowed: Sequence[str]) -> Reader[str]:
    """Return a reader of one of the ``allowed`` words."""

    def reader(value: object, where: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise InputError(f'{where} must be one of {", ".join(allowed)}, not {describe(value)}')
        return value

    return reader


def choices(allowed: Sequence[str]) -> Reader[tuple[str, ...]]:
    """Return a reader of one ``allowed`` word or a list of distinct ones, as a tuple."""
    one = choice(allowed)

    def reader(value: object, where: str) -> tuple[str, ...]:
        if not isinstance(value, list):
            return (one(value, where),)
        read = tuple(one(item, where) for item in value)
        if not read or len(set(read)) < len(read):
            raise InputError(f'{where} must list distinct names, at least one')
        return read

    return reader
