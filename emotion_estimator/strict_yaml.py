"""Strict YAML: the only reader of YAML files, with one-line errors that name file and field."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

import yaml

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.untrusted import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_VALUES,
    MAX_YAML_FILE,
    cannot_read,
    quote,
    read_in_time,
)

_T = TypeVar('_T')
_REQUIRED: Any = object()

#: Looks only two levels into a value: with anchors, a few lines of YAML expand to gigabytes.
_REPR = reprlib.Repr()
_REPR.maxlevel = 2
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80

#: Checks and converts a raw value; the second argument names the field in errors.
Reader = Callable[[object, str], _T]


#: YAML 1.1 without timestamps, sexagesimal numbers (``1:30``) and merge keys.
_RESOLVERS = (
    (
        'bool',
        'yYnNtTfFoO',
        r'yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF',
    ),
    ('null', '~nN\0', r'~|null|Null|NULL|'),
    ('int', '-+0123456789', r'[-+]?(?:0b[01_]+|0[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+)'),
    (
        'float',
        '-+0123456789.',
        r'[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?'
        r'|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)',
    ),
)
_TAG = 'tag:yaml.org,2002:'
_MERGE = f'{_TAG}merge'


class _Loader(yaml.SafeLoader):
    """Knows null, bool, int, float, str, list and mapping; refuses what hangs or surprises.

    That is duplicate keys, of which PyYAML keeps the last one, merge keys, which nested in half a
    kilobyte take minutes, deep nesting, and aliases that stand for more than they are.
    """

    yaml_implicit_resolvers: ClassVar[Any] = {}  # type: ignore[misc]
    yaml_constructors: ClassVar[Any] = {
        f'{_TAG}{kind}': yaml.SafeLoader.yaml_constructors[f'{_TAG}{kind}']
        for kind in ('null', 'bool', 'int', 'float', 'str', 'seq', 'map')
    } | {None: yaml.SafeLoader.construct_undefined}

    def __init__(self, stream: str, most: int = MAX_VALUES) -> None:
        super().__init__(stream)
        self._most = most
        self._depth = 0
        self._values = 0
        #: Number of values below each complete node.
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._sizes:
                _refuse('an alias to what it is part of', event.start_mark)
            self._values += self._sizes[id(node)]
        else:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                _refuse(f'nested more than {MAX_DEPTH} deep', event.start_mark)
            before = self._values
            self._values += 1
            node = super().compose_node(parent, index)
            self._sizes[id(node)] = self._values - before
            self._depth -= 1
        if self._values > self._most:
            _refuse(f'more than {self._most} values, aliases written out', event.start_mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        known = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.tag == _MERGE or (key.value == '<<' and key.style is None):
                    _refuse('merge keys (<<) are not accepted; write them out', key.start_mark)
                if (key.tag, key.value) in known:
                    _refuse(f'key {describe(key.value)} occurs twice', key.start_mark)
                known.add((key.tag, key.value))
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        is_number = node.tag in (f'{_TAG}int', f'{_TAG}float')
        if is_number and len(node.value) > MAX_DIGITS:
            _refuse(f'a number of {len(node.value)} characters', node.start_mark)
        if is_number and ':' in node.value:
            _refuse('a sexagesimal number is not accepted', node.start_mark)
        if any('\ud800' <= sign <= '\udfff' for sign in node.value):
            _refuse('half a surrogate pair', node.start_mark)
        return node


for _kind, _first, _pattern in _RESOLVERS:
    _Loader.add_implicit_resolver(
        f'{_TAG}{_kind}',
        re.compile(f'^(?:{_pattern})$'),
        [*_first.replace('\0', ''), *('' for c in _first if c == '\0')],
    )


def _refuse(problem: str, mark: Any) -> NoReturn:
    raise yaml.composer.ComposerError(None, None, problem, mark)


def read_yaml(path: Path, most: int = MAX_YAML_FILE, values: int = MAX_VALUES) -> Any:
    """Read a file that holds one YAML document, encoded in UTF-8.

    Dates and times of day (``2024-01-31``, ``1:30``) are text.

    :param most: largest size in bytes.
    :param values: largest number of values, each alias counted as all that it stands for.
    :return: null, bool, int, float, str, lists and mappings; None for an empty file.
    :raises InputError: the file cannot be read, is not YAML, holds several documents, has a
        duplicate or merge key in a mapping, another tag, or is nested too deeply; names the file
        and, where known, the line.
    """
    try:
        content = read_in_time(path, most).decode()
    except OSError as error:
        hint = 'pass an existing file' if isinstance(error, FileNotFoundError) else ''
        raise cannot_read('', path, error, InputError, hint) from error
    except UnicodeDecodeError as error:
        raise InputError(f'{quote(path)}: invalid YAML (not UTF-8); correct it') from error
    except ValueError as error:
        # The name contains a null byte.
        raise cannot_read('', path, error, InputError) from error
    return parse_yaml(content, quote(path), values)


def parse_yaml(content: str, where: str, values: int = MAX_VALUES) -> Any:
    """Return the value of a YAML document, as :func:`read_yaml`.

    :param where: names its place in errors.
    :param values: as for :func:`read_yaml`.
    :raises InputError: as for :func:`read_yaml`.
    """
    try:
        return _Loader(content, values).get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        line = f' in line {mark.line + 1}' if mark else ''
        problem = getattr(error, 'problem', None) or first_line(error)
        raise InputError(f'{where}: invalid YAML{line} ({quote(problem)}); correct it') from error
    except (ValueError, KeyError, IndexError, OverflowError, RecursionError) as error:
        # A tag that does not fit, such as !!int "x" or !!bool "x"; an escape beyond Unicode.
        raise InputError(
            f'{where} holds a value that cannot be read ({quote(first_line(error))}); '
            'correct or quote it'
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
            plain = isinstance(name, str) and name.isprintable() and len(name) <= 40
            shown = name if plain else describe(name)
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
