"""The models that a report compares: which, made of what, from which files."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.evaluation.recognizers import (
    Floats,
    Recognizer,
    StreamingRecognizer,
)
from emotion_estimator_training.features.feature_set import only
from emotion_estimator_training.shipping.cards import other_metrics
from emotion_estimator_training.shipping.parity import parity_table
from emotion_estimator_training.shipping.step_time import time_table

STREAMING = 'streaming'


class OneBranch:
    """A recognizer that is given no more of a face than one branch reads."""

    def __init__(self, recognizer: Recognizer, branch: str) -> None:
        """Take a recognizer of both, and the branch: ``blendshapes`` or ``appearance``."""
        self.name = f'{recognizer.name}, {branch}'
        self.labels = recognizer.labels
        self._recognizer, self._branch = recognizer, branch

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) of unrelated faces (N, 118)."""
        return self._recognizer.stills(only(vectors, self._branch))

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) at each frame; (B, T, 118), seconds (B, T)."""
        return self._recognizer.sequences(only(vectors, self._branch), dt)


@dataclass
class Models:
    """What is compared.

    :param recognizers: by name, those of the papers first.
    :param penalty: by name, what the weights' size adds to the cross-entropy in the loss.
    :param structure: by name, layers with ``name``, ``kind``, ``output`` and ``parameters``.
    :param files: by name ``file``, ``bytes``, ``sha256`` and, where known, the training's ``seed``.
    :param card_metrics: what else the shipped card says was measured; ``card_tables`` alike, by
        title, each ``header`` and ``rows``.
    :param notes: what is missing, and why.
    """

    recognizers: dict[str, Recognizer] = field(default_factory=dict)
    penalty: dict[str, float] = field(default_factory=dict)
    structure: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    card_metrics: dict[str, Any] = field(default_factory=dict)
    card_tables: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def gather_models(run: Path, folder: Path, grouping: Grouping) -> Models:
    """Load the papers' networks of a run folder, where fitted, and the shipped classifier.

    :param run: with ``checkpoints/<model>``; ``folder`` with the shipped cards.
    :param grouping: models with other labels are left out.
    """
    models = Models()
    _add_fitted(models, run)
    card = folder / 'emotion_lstm.json'
    streaming = StreamingRecognizer(EmotionClassifier.load(card), STREAMING)
    for branch in ('blendshapes', 'appearance'):
        models.recognizers[f'{STREAMING}, {branch}'] = OneBranch(streaming, branch)
    models.recognizers[STREAMING] = streaming
    loaded = ModelCard.load(card, 'emotion_lstm')
    models.files[STREAMING] = {
        **file_facts(loaded.path),
        'seed': loaded.settings.get('seed'),
        **_pace(loaded.metrics),
    }
    models.card_metrics = other_metrics(loaded.metrics)
    models.card_tables = _card_tables(loaded.metrics)
    models.structure[STREAMING] = _streaming_structure(loaded)
    for name, recognizer in list(models.recognizers.items()):
        if tuple(recognizer.labels) != grouping.labels:
            del models.recognizers[name]
            models.notes.append(
                f'{name} tells {", ".join(recognizer.labels)} apart, not '
                f'{", ".join(grouping.labels)} in this order, and is left out.'
            )
    return models


def file_facts(path: Path) -> dict[str, Any]:
    """Return a file's name, size and checksum."""
    content = path.read_bytes()
    return {'file': path.name, 'bytes': len(content), 'sha256': hashlib.sha256(content).hexdigest()}


def _add_fitted(models: Models, run: Path) -> None:
    if not any((run / 'checkpoints').glob('*/still.json')):
        models.notes.append(
            f"{run} holds none of the papers' networks, so that nothing is compared with them; "
            '"emotion-estimator training fit paper" and "... fit dense" make them.'
        )
        return
    if importlib.util.find_spec('tensorflow') is None:
        models.notes.append(
            "TensorFlow is not installed, so that the papers' networks are left out; "
            'pip install ./training.'
        )
        return
    os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
    from emotion_estimator_training.models.paper_training import CARD, load_recognizers
    from emotion_estimator_training.models.training_loop import best_checkpoint

    for name, recognizer in load_recognizers(run).items():
        folder = run / 'checkpoints' / name
        models.recognizers[name] = recognizer
        models.penalty[name] = float(sum(float(loss) for loss in recognizer.model.losses))
        models.structure[name] = [layer._asdict() for layer in recognizer.structure()]
        seed = json.loads((folder / CARD).read_text())['settings'].get('seed')
        models.files[name] = {**file_facts(best_checkpoint(folder).weights), 'seed': seed}


def _card_tables(metrics: dict[str, Any]) -> dict[str, dict[str, list[Any]]]:
    """Return the card's tables of quantization and of time, where it has them."""
    found = {}
    for name, title, table in (
        ('quantization', 'Quantized, and held to the float network', parity_table),
        ('time', 'Microseconds of a step', time_table),
    ):
        if name in metrics:
            header, rows = table(metrics[name])
            found[title] = {'header': header, 'rows': rows}
    return found


def _pace(metrics: dict[str, Any]) -> dict[str, float]:
    """Return the shipped file's median microseconds a step, and its share of the paper's time."""
    if not {'quantization', 'time'} <= set(metrics):
        return {}
    times = metrics['time']
    by_runtime = times['networks'][metrics['quantization']['chosen']].values()
    facts = {'step_us': max(row['step_median'] for row in by_runtime)}
    if 'share_of_paper' in times:
        facts['share_of_paper'] = times['share_of_paper']['fastest form']
    return facts


def _streaming_structure(card: ModelCard) -> list[dict[str, Any]]:
    """Return the shipped network's layers as its card has them."""
    settings = card.settings
    state, embedding = [1, settings['state_size']], settings['embedding_size']
    labels = [[1, len(names)] for names in (card.labels, settings['expressions'])]
    layers: list[tuple[str, str, Any]] = [
        (
            'blendshapes, embedding, known, seconds, state',
            'Input',
            [[1, 52], [1, embedding], [1, 2], [1, 1], state],
        ),
        *(
            (f'front_{name}', 'Dense', [1, settings['branches'][name]])
            for name in ('embedding', 'blendshapes', 'joined')
        ),
        ('lstm', 'LSTM, one step', [1, settings['units']]),
        ('labels, expressions, new state', 'Output', [*labels, state]),
    ]
    return [
        {'name': name, 'kind': kind, 'output': output, 'parameters': None}
        for name, kind, output in layers
    ]
