"""Which classes the labels of a video set stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LabelMap:
    """A set's labels as classes.

    :param classes: in output order; empty where each label stands for itself.
    :param to_class: from a label in lower case to its class.
    :param leave_out: labels, in lower case, whose clips are not used.
    """

    name: str
    classes: tuple[str, ...]
    to_class: Mapping[str, str]
    leave_out: frozenset[str] = frozenset()
