"""A node's settings from a ROS 2 parameter file, without ROS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.settings import Settings, make_settings

_PARAMETERS = 'ros__parameters'
#: What every node has beside its settings.
_FOREIGN = ('use_sim_time', 'qos_overrides', 'start_type_description_service')
_WILDCARDS = ('*', '**')


def load_parameters(path: Path, node: str, kind: type[Settings]) -> Settings:
    """Return the settings that a parameter file gives a node, defaults where it says nothing.

    Entries count whose name's last part is the node's or a wildcard, in any namespace: ``node``,
    ``/robot1/node``, ``robot1:`` with ``node:`` in it, ``/**``, ``/**/node``. Later ones win over
    earlier ones. ``use_sim_time`` and other parameters of every node are passed over.

    :raises InputError: the file cannot be read, is no parameter file, holds nothing for the node,
        names it in several namespaces, or holds a value that does not fit; the line names the file.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror})') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f'{path} is no YAML ({first_line(error)})') from error
    if not isinstance(document, dict) or _PARAMETERS in document:
        raise InputError(f'{path} is no parameter file: it begins with the name of a node')
    entries = list(_entries('', document))
    ours = [entry for entry in entries if entry[0].rpartition('/')[2] in (node, *_WILDCARDS)]
    if not ours:
        others = ', '.join(name for name, _ in entries) or 'nobody'
        raise InputError(f'{path} has no parameters for {node}, only for {others}')
    # Wildcards mean any of them; two names are two robots, and nothing says which one is meant.
    named = {name: None for name, _ in ours if not set(name.split('/')) & set(_WILDCARDS)}
    if len(named) > 1:
        raise InputError(f'{path} has parameters for {" and ".join(named)}; leave one of them')
    values: dict[str, Any] = {}
    for name, parameters in ours:
        if not isinstance(parameters, dict):
            raise InputError(f'{path}: {name} has no {_PARAMETERS}')
        values.update(parameters)
    mine = {key: v for key, v in values.items() if str(key).partition('.')[0] not in _FOREIGN}
    try:
        return make_settings(kind, mine)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error


def _entries(above: str, names: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each node's full name and parameters, None where it has none.

    Names nest, and may hold slashes, as rcl_yaml_param_parser has it.
    """
    for key, entry in names.items():
        name = f'{above}/{str(key).strip("/")}'
        below = entry if isinstance(entry, dict) else {}
        deeper = {k: v for k, v in below.items() if k != _PARAMETERS and isinstance(v, dict)}
        if _PARAMETERS in below or not deeper:
            yield name, below.get(_PARAMETERS)
        yield from _entries(name, deeper)
