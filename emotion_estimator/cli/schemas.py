"""``emotion-estimator schemas``: where the JSON Schemas of the output are."""

from __future__ import annotations

import json

import click

from emotion_estimator.schemas import schema_files
from emotion_estimator.untrusted import printable


@click.command()
def schemas() -> None:
    """List the JSON Schemas of what the verbs and the dialogue manager write: file and purpose."""
    for file in schema_files().values():
        title = json.loads(file.read_text(encoding='utf-8'))['title']
        click.echo(printable(f'{file}  {title}'))
