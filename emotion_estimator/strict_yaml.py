"""Strict YAML: the one reader of YAML files, with errors that say which field is wrong and how."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from emotion_estimator.errors import InputError, first_line

_T = TypeVar('_T')
_REQUIRED: Any = object()

#: Looks into a value two levels deep: by anchors, a few lines of YAML can stand for gigabytes.
_REPR = reprlib.Repr()
_REPR.maxlevel = 2
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80

#: Turns a raw value into a checked one; the second argument names the field in errors.
Reader = Callable[[object, str], _T]


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, of which PyYAML drops the first."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # As written: later on, what is merged in by << would stand there too.
        node = super().compose_mapping_node(anchor)
        known = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in known:
                    twice = f'{describe(key.value)} stands there twice'
                    raise yaml.composer.ComposerError(None, None, twice, key.start_mark)
                known.add((key.tag, key.value))
        return node


def read_yaml(path: Path) -> Any:
    """Read a YAML document.

    :raises InputError: the file cannot be read or is not YAML, or a mapping has a key twice; names
        file and line.
    """
    try:
        return yaml.load(path.read_text(encoding='utf-8'), Loader=_Loader)
    except OSError as error:
        raise InputError(
            f'{path}: cannot be read ({error.strerror}); pass an existing file'
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, 'problem_mark', None)
        where = f' in line {mark.line + 1}' if mark else ''
        problem = getattr(error, 'problem', None) or 'not text in UTF-8'
        raise InputError(f'{path}: not YAML{where} ({problem}); correct it') from error
    except (ValueError, RecursionError) as error:
        # PyYAML turns 2024-13-45 into a date, and lists within lists into calls within calls.
        raise InputError(
            f'{path}: a value cannot be read ({first_line(error)}); correct or quote it'
        ) from error


class Table:
    """A mapping whose fields are taken one by one; what is left over at the end is an error."""

    def __init__(self, raw: object, where: str) -> None:
        """Take ``raw`` from the place in a file that ``where`` names.

        :raises InputError: ``raw`` is not a mapping.
        """
        if not isinstance(raw, dict):
            raise InputError(f'{where} must be a mapping of fields, not {describe(raw)}')
        self._raw = dict(raw)
        self._known: list[str] = []
        self._where = where

    def take(self, name: str, reader: Reader[_T], default: Any = _REQUIRED) -> _T:
        """Return a checked field.

        :param default: for an absent field; without it the field is needed.
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
        """Return when every field has been taken.

        :raises InputError: fields are left that nobody took.
        """
        for name in self._raw:
            known = ', '.join(self._known)
            shown = name if isinstance(name, str) and name.isprintable() else describe(name)
            raise InputError(f'{self._where}: {shown} is no known field; known are {known}')


def describe(value: object) -> str:
    """Name a wrong value in few words, on one line."""
    if value is None:
        return 'nothing'
    try:
        words = _REPR.repr(value)
    except ValueError:
        return 'a number of thousands of digits'
    return words if len(words) <= 40 else f'{words[:37]}...'


def text(value: object, where: str) -> str:
    """Read a non-empty string."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f'{where} must be text, not {describe(value)}')
    return value.strip()


def names(value: object, where: str) -> tuple[str, ...]:
    """Read a list of different, non-empty strings."""
    if not isinstance(value, list) or not value:
        raise InputError(f'{where} must be a list of names, not {describe(value)}')
    read = tuple(text(item, where) for item in value)
    if len(set(read)) < len(read):
        raise InputError(f'{where} names something twice; remove one')
    return read


def flag(value: object, where: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise InputError(f'{where} must be true or false, not {describe(value)}')
    return value


def integer(value: object, where: str) -> int:
    """Read a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f'{where} must be a whole number, not {describe(value)}')
    return value


def number(low: float, high: float) -> Reader[float]:
    """Make a reader of numbers from ``low`` to ``high``."""

    def reader(value: object, where: str) -> float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        # Not a number fails both comparisons; infinity and the longest integer fail one.
        if not good or not low <= value <= high:  # type: ignore[operator]
            raise InputError(
                f'{where} must be a number from {low:g} to {high:g}, not {describe(value)}'
            )
        return float(value)  # type: ignore[arg-type]

    return reader


def choice(allowed: Sequence[str]) -> Reader[str]:
    """Make a reader of one of some words."""

    def reader(value: object, where: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise InputError(f'{where} must be one of {", ".join(allowed)}, not {describe(value)}')
        return value

    return reader


def choices(allowed: Sequence[str]) -> Reader[tuple[str, ...]]:
    """Make a reader of one or several (a list) of some words."""
    one = choice(allowed)

    def reader(value: object, where: str) -> tuple[str, ...]:
        if not isinstance(value, list):
            return (one(value, where),)
        read = tuple(one(item, where) for item in value)
        if not read or len(set(read)) < len(read):
            raise InputError(f'{where} must name different labels, at least one')
        return read

    return reader
