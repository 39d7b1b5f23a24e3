"""Write config/*.yaml and the README's table of parameters from the settings' declarations.

Run it after a change of emotion_estimator/settings.py; a test compares what it would write.
"""

import textwrap
from dataclasses import Field, fields
from pathlib import Path

from emotion_estimator.settings import CameraSettings, DialogueSettings, EstimatorSettings

ROOT = Path(__file__).resolve().parents[1]
NODES = {
    'camera': CameraSettings,
    'estimator': EstimatorSettings,
    'dialogue_manager': DialogueSettings,
}
CHANGES = {'startup': 'fixed at start', 'configure': 'at configure', 'runtime': 'at run time'}
HEAD = """\
# Parameters of the node `{node}`; the values are the defaults.
# In brackets: the range, and when a change counts: never (fixed at start), from the next configure
# on, for which the node must be unconfigured (at configure), or from the next frame on (at run
# time).
/**/{node}:
  ros__parameters:
"""
TABLE = """\
| node | parameter | default | range | change counts | what |
|---|---|---|---|---|---|
"""


def _range(declared: Field) -> str:
    metadata = declared.metadata
    if metadata['minimum'] is None:
        return ', '.join(metadata['choices'])
    return f'{metadata["minimum"]:g} to {metadata["maximum"]:g}'


def _default(declared: Field) -> str:
    value = declared.default
    if isinstance(value, bool):
        return str(value).lower()
    # A number in quotes stays text.
    return f'"{value}"' if value in ('', '0') else str(value)


def parameter_file(node: str) -> str:
    """Return the text of config/<node>.yaml."""
    lines = []
    for declared in fields(NODES[node]):
        limits = _range(declared) if declared.metadata['minimum'] is not None else ''
        notes = '; '.join(filter(None, (limits, CHANGES[declared.metadata['change']])))
        text = f'{declared.metadata["description"]} ({notes})'
        lines += [f'    # {line}' for line in textwrap.wrap(text, 94)]
        lines.append(f'    {declared.name}: {_default(declared)}')
    return HEAD.format(node=node) + '\n'.join(lines) + '\n'


def readme_table() -> str:
    """Return the README's table of all parameters."""
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
    """Write the files."""
    for node in NODES:
        (ROOT / 'config' / f'{node}.yaml').write_text(parameter_file(node))
    readme = ROOT / 'README.md'
    text = readme.read_text()
    begin = text.index('| node | parameter |')
    end = text.index('\n\n', begin) + 1
    readme.write_text(text[:begin] + readme_table() + text[end:])


if __name__ == '__main__':
    main()
