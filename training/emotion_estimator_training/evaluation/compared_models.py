"""The models that a report compares: recognizers, their layers and their files."""

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
from emotion_estimator_training.features.feature_set import only_branch

STREAMING = 'streaming'


class OneBranch:
    """A recognizer that sees only the input of one branch."""

    def __init__(self, recognizer: Recognizer, branch: str) -> None:
        """Wrap a recognizer of both branches.

        :param branch: ``blendshapes`` or ``appearance``.
        """
        self.name = f'{recognizer.name}, {branch}'
        self.labels = recognizer.labels
        self._recognizer, self._branch = recognizer, branch

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) of unrelated faces (N, 118)."""
        return self._recognizer.stills(only_branch(vectors, self._branch))

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) at each frame; (B, T, 118), seconds (B, T)."""
        return self._recognizer.sequences(only_branch(vectors, self._branch), dt)


@dataclass
class ComparedModels:
    """The models to compare.

    :param recognizers: by name, the papers' first.
    :param penalty: by name, the weight penalty that the loss adds to the cross-entropy.
    :param structure: by name, layers with ``name``, ``kind``, ``output`` and ``parameters``.
    :param files: by name ``file``, ``bytes``, ``sha256`` and, if known, the training ``seed``.
    :param notes: what is missing, and why.
    """

    recognizers: dict[str, Recognizer] = field(default_factory=dict)
    penalty: dict[str, float] = field(default_factory=dict)
    structure: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def gather_models(run: Path, folder: Path, grouping: Grouping) -> ComparedModels:
    """Load the papers' networks from a run folder, if fitted, and the shipped classifier.

    :param run: folder with ``checkpoints/<model>``.
    :param folder: folder of the shipped models and cards.
    :param grouping: models with other labels are left out.
    """
    models = ComparedModels()
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
        **_step_time(loaded.metrics),
    }
    models.structure[STREAMING] = _streaming_structure(loaded)
    for name, recognizer in list(models.recognizers.items()):
        if tuple(recognizer.labels) != grouping.labels:
            del models.recognizers[name]
            models.notes.append(
                f'{name} is left out: its labels are {", ".join(recognizer.labels)}, not '
                f'{", ".join(grouping.labels)} in this order.'
            )
    return models


def file_facts(path: Path) -> dict[str, Any]:
    """Return a file's name, size and checksum."""
    content = path.read_bytes()
    return {'file': path.name, 'bytes': len(content), 'sha256': hashlib.sha256(content).hexdigest()}


def _add_fitted(models: ComparedModels, run: Path) -> None:
    if not any((run / 'checkpoints').glob('*/still.json')):
        models.notes.append(
            f"{run} holds none of the papers' networks, so they are left out; "
            '"emotion-estimator training fit paper" and "... fit dense" make them.'
        )
        return
    if importlib.util.find_spec('tensorflow') is None:
        models.notes.append(
            "TensorFlow is not installed, so the papers' networks are left out; "
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


def _step_time(metrics: dict[str, Any]) -> dict[str, float]:
    """Return the median microseconds of a step, and its share of the paper's network's."""
    if not {'quantization', 'time'} <= set(metrics):
        return {}
    times = metrics['time']
    by_runtime = times['networks'][metrics['quantization']['chosen']].values()
    facts = {'step_us': max(row['step_median'] for row in by_runtime)}
    if 'share_of_paper' in times:
        facts['share_of_paper'] = times['share_of_paper']['fastest form']
    return facts


def _streaming_structure(card: ModelCard) -> list[dict[str, Any]]:
    """Return the shipped network's layers, from its card."""
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
