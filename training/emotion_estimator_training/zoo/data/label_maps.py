"""Which classes the labels of a video set stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from emotion_estimator.errors import InputError, first_line
from emotion_estimator_training import CONFIG

_LEAVE_OUT = 'leave_out'


@dataclass(frozen=True)
class LabelMap:
    """A set's labels as classes.

    :param classes: in output order; empty where each label stands for itself.
    :param to_class: from a label in lower case to its class.
    :param leave_out: labels, in lower case, whose clips are not used.
    """

    name: str = 'identity'
    classes: tuple[str, ...] = ()
    to_class: Mapping[str, str] = field(default_factory=dict)
    leave_out: frozenset[str] = frozenset()

    def __call__(self, label: str) -> str | None:
        """Return a label's class, or None where the map leaves it out.

        :raises KeyError: the map does not know it.
        """
        if not self.classes:
            return label.strip()
        return None if _plain(label) in self.leave_out else self.to_class[_plain(label)]


def default_config() -> Path:
    """Return the shipped ``zoo.yaml``."""
    return CONFIG / 'zoo.yaml'


def load_label_map(name: str = 'identity', config: Path | None = None) -> LabelMap:
    """Read a label map.

    :param config: a YAML file like ``config/zoo.yaml``; None takes that.
    :raises InputError: it is not there, gives a label two classes, or has fewer than two classes
        (but none at all, as ``identity`` has).
    """
    path = config or default_config()
    maps = _maps(path)
    if name not in maps:
        raise InputError(
            f'{path} has no label map {name!r}; it has: {", ".join(map(str, maps)) or "none"}'
        )
    content = maps[name] or {}
    where = f'{path}: label map {name}'
    if not isinstance(content, dict):
        raise InputError(f'{where}: give classes and the labels of each')
    to_class: dict[str, str] = {}
    for class_name, labels in content.items():
        if not isinstance(labels, list) or not labels:
            raise InputError(f'{where}, class {class_name}: give a list of labels')
        for label in map(_plain, map(str, labels)):
            if label in to_class:
                raise InputError(f'{where}: {label!r} belongs to {to_class[label]} already')
            to_class[label] = str(class_name)
    leave_out = frozenset(label for label, one in to_class.items() if one == _LEAVE_OUT)
    classes = tuple(str(one) for one in content if one != _LEAVE_OUT)
    if len(classes) < 2 and content:
        raise InputError(f'{where}: there must be two classes or more')
    kept = {label: one for label, one in to_class.items() if label not in leave_out}
    return LabelMap(name, classes, kept, leave_out)


def _maps(path: Path) -> dict[object, object]:
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}); see --config') from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f'{path} is not YAML: {first_line(error)}') from error
    maps = content.get('label_maps') if isinstance(content, dict) else None
    if not isinstance(maps, dict):
        raise InputError(f'{path} has no label_maps; see the shipped config/zoo.yaml')
    return maps


def _plain(label: str) -> str:
    return label.strip().lower()
