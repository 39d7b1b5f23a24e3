"""``emotion-estimator doctor``: one screen to paste into a bug report."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from emotion_estimator.doctor import examine


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Say what is installed, which models run, and whether nodes can talk.

    Exit status 1 when emotions cannot be read here, 0 otherwise.
    """
    findings = examine()
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark = '[green]ok[/]' if finding.good else '[red]no[/]' if finding.needed else '[yellow]--[/]'
        table.add_row(mark, finding.subject, finding.text)
    Console(highlight=False, soft_wrap=True).print(table)
    context.exit(0 if all(f.good or not f.needed for f in findings) else 1)
