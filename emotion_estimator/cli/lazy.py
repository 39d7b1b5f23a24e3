"""A group of verbs that are imported only when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import click


class LazyVerbs(click.Group):
    """Lists its verbs without importing what they need, which may not be installed."""

    #: Each verb, where it is, and what the list of verbs says of it.
    verbs: ClassVar[Mapping[str, tuple[str, str]]]

    @abstractmethod
    def load(self, name: str, where: str) -> click.Command:
        """Import a verb."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs' names in the order of the table."""
        return list(self.verbs)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table."""
        with formatter.section('Commands'):
            formatter.write_dl([(name, says) for name, (_, says) in self.verbs.items()])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a verb, imported now, or one that was added; None for a name that is none."""
        if name in self.verbs:
            return self.load(name, self.verbs[name][0])
        return super().get_command(ctx, name)
