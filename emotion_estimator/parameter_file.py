"""A node's settings from a ROS 2 parameter file, without ROS."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.settings import Settings, make_settings


def load_parameters(path: Path, node: str, kind: type[Settings]) -> Settings:
    """Return the settings that a parameter file gives a node, defaults where it says nothing.

    Entries count as for a node named ``/<node>``: ``/**`` and ``/**/<node>`` too, later ones over
    earlier ones. ``use_sim_time`` and other parameters of every node are passed over.

    :raises InputError: the file cannot be read, is no parameter file, or holds a value that does
        not fit; the line names the file.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror})') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f'{path} is no YAML ({first_line(error)})') from error
    values = {}
    if not isinstance(document, dict):
        raise InputError(f'{path} is no parameter file: it begins with the name of a node')
    for name, entry in document.items():
        if not _matches(str(name), node):
            continue
        parameters = entry.get('ros__parameters') if isinstance(entry, dict) else None
        if not isinstance(parameters, dict):
            raise InputError(f'{path}: {name} has no ros__parameters')
        values.update(parameters)
    foreign = ('use_sim_time', 'qos_overrides', 'start_type_description_service')
    try:
        return make_settings(kind, {k: v for k, v in values.items() if k not in foreign})
    except InputError as error:
        raise InputError(f'{path}: {error}') from error


def _matches(pattern: str, node: str) -> bool:
    # /** stands for any namespace, also none; rcl_yaml_param_parser has the rules.
    bare = pattern.lstrip('/')
    return any(
        fnmatchcase(node, candidate) for candidate in (bare, bare.removeprefix('**/'))
    )
