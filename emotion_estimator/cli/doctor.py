"""``emotion-estimator doctor``: one screen to paste into a bug report."""

from __future__ import annotations

import click

from emotion_estimator.doctor import examine


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Say what is installed, which models run, and whether nodes can talk.

    Exit status 1 when emotions cannot be read here, 0 otherwise.
    """
    findings = examine()
    for finding in findings:
        mark = 'ok' if finding.good else 'NO' if finding.needed else '--'
        click.echo(f'{mark}  {finding.subject:22}  {finding.text}')
    context.exit(0 if all(f.good or not f.needed for f in findings) else 1)
