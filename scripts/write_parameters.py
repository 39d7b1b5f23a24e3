"""Write config/*.yaml and the table of docs/parameters.md from emotion_estimator/settings.py.

Run this after changing a setting; a test fails while the written files differ.
"""

import textwrap
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from emotion_estimator.settings import (
    CameraSettings,
    DialogueSettings,
    EstimatorSettings,
    LanguageModelSettings,
    LiveSettings,
)

ROOT = Path(__file__).resolve().parents[1]
NODES = {
    'camera': CameraSettings,
    'estimator': EstimatorSettings,
    'dialogue_manager': DialogueSettings,
    'llm_dialogue': LanguageModelSettings,
    'live': LiveSettings,
}
CHANGES = {'startup': 'fixed at startup', 'configure': 'at configure', 'runtime': 'at run time'}
HEAD = """\
# Default parameters of the node `{node}`, written by scripts/write_parameters.py.
# In brackets: the range, and when a new value takes effect: never (fixed at startup), at the next
# configure transition (so set it while the node is unconfigured), or immediately (at run time).
/**/{node}:
  ros__parameters:
"""
TABLE = """\
| node | parameter | default | range | takes effect | description |
|---|---|---|---|---|---|
"""


def _range(declared: Field[Any]) -> str:
    metadata = declared.metadata
    if metadata['minimum'] is None:
        return ', '.join(metadata['choices'])
    low, high = (
        str(limit) if isinstance(limit, int) else f'{limit:g}'
        for limit in (metadata['minimum'], metadata['maximum'])
    )
    return f'{low} to {high}'


def _default(declared: Field[Any]) -> str:
    value = declared.default
    if isinstance(value, bool):
        return str(value).lower()
    # Quoted, so that YAML keeps a number as text.
    return f'"{value}"' if value in ('', '0') else str(value)


def parameter_file(node: str) -> str:
    """Return the text of config/<node>.yaml."""
    lines = []
    for declared in fields(NODES[node]):
        limits = _range(declared) if declared.metadata['minimum'] is not None else ''
        notes = '; '.join(filter(None, (limits, CHANGES[declared.metadata['change']])))
        text = f'{declared.metadata["description"]} [{notes}]'
        lines += [f'    # {line}' for line in textwrap.wrap(text, 94)]
        lines.append(f'    {declared.name}: {_default(declared)}')
    return HEAD.format(node=node) + '\n'.join(lines) + '\n'


def table() -> str:
    """Return the table of all parameters, in Markdown."""
    rows = []
    for node, kind in NODES.items():
        for declared in fields(kind):
            default = _default(declared).strip('"')
            cells = (
                f'`{node}`',
                f'`{declared.name}`',
                f'`{default}`' if default else '(empty)',
                _range(declared),
                CHANGES[declared.metadata['change']],
                declared.metadata['description'],
            )
            rows.append('| ' + ' | '.join(cells) + ' |')
    return TABLE + '\n'.join(rows) + '\n'


def main() -> None:
    """Write the parameter files and the table of docs/parameters.md."""
    for node in NODES:
        (ROOT / 'config' / f'{node}.yaml').write_text(parameter_file(node))
    document = ROOT / 'docs' / 'parameters.md'
    text = document.read_text()
    begin = text.index('| node | parameter |')
    end = text.index('\n\n', begin) + 1
    document.write_text(text[:begin] + table() + text[end:])


if __name__ == '__main__':
    main()
