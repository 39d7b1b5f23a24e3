"""How long a step takes: quantized networks and the paper's, side by side in every runtime.

They are timed in turns, many times, in one process, so that other load on the machine affects all
alike. It is a process of its own, since tflite-runtime cannot read files once TensorFlow is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.runtimes import open_interpreter, runtimes
from emotion_estimator_training.evaluation.recognizers import StreamingRecognizer, split_vector
from emotion_estimator_training.evaluation.timing import MICROSECONDS, Stopwatch
from emotion_estimator_training.features.feature_set import EMBEDDING, SHAPES
from emotion_estimator_training.shipping.parity import Parity, parity

Floats = NDArray[np.float32]

#: Consecutive calls in one round: of our networks, and of the paper's, which take much longer.
_OURS_IN_A_ROW, _PAPERS_IN_A_ROW = 50, 5


@dataclass(frozen=True, eq=False)
class Files:
    """What is measured.

    :param cards: cards of quantized networks by name.
    :param baseline: name of the network that a runtime must be able to run to take part.
    :param papers: TFLite files of the paper's network, with one input, by name.
    :param vectors: (B, T, 118), sequences of faces.
    :param dt: (B, T), seconds since the previous frame.
    :param reference: (B, T, L), the float network's probabilities.
    :param rounds: of timing.
    """

    cards: Mapping[str, Path]
    baseline: str
    papers: Mapping[str, Path]
    vectors: Floats
    dt: Floats
    reference: Floats
    rounds: int = 40


@dataclass
class StepTimes:
    """What was measured.

    :param parity: by network and runtime.
    :param failures: by network and runtime, why it cannot run.
    :param times: by network and runtime, microseconds: ``step_median`` and ``step_p95`` of a
        frame's full cost (for the paper's network: input, run, output), ``invoke_median`` and
        ``invoke_p95`` of the runtime's part alone.
    :param notes: runtimes left out, and why.
    """

    parity: dict[str, dict[str, Parity]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    times: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def measured_apart(files: Files) -> StepTimes:
    """Measure in a new process, without TensorFlow.

    :raises ModelError: no runtime runs the baseline, or one crashed.
    """
    try:
        with ProcessPoolExecutor(1, get_context('spawn')) as pool:
            return pool.submit(measure, files).result()
    except BrokenProcessPool as error:
        raise ModelError(
            'a TFLite runtime crashed while networks were timed; try again with one '
            'runtime installed'
        ) from error


def measure(files: Files) -> StepTimes:
    """Run every network on every frame in every runtime, and time steps.

    :raises ModelError: no runtime runs the baseline.
    """
    found = StepTimes()
    runs: dict[tuple[str, str, str], tuple[Callable[[], Any], int]] = {}
    for runtime in runtimes():
        try:
            EmotionClassifier.load(files.cards[files.baseline], runtime)
        except ModelError as error:
            found.notes.append(f'{runtime} is left out: {error}')
            continue
        for name, card in files.cards.items():
            try:
                classifier = EmotionClassifier.load(card, runtime)
            except ModelError as error:
                found.failures.setdefault(name, {})[runtime] = _reason(error)
                continue
            answers = StreamingRecognizer(classifier).sequences(files.vectors, files.dt)
            found.parity.setdefault(name, {})[runtime] = parity(answers, files.reference)
            runs[name, runtime, 'step'] = _steps(classifier, files), _OURS_IN_A_ROW
            bare = open_interpreter(ModelCard.load(card, 'emotion_lstm').weights, runtime)
            _set_inputs(bare, files.vectors[0, 0])
            runs[name, runtime, 'invoke'] = bare.invoke, _OURS_IN_A_ROW
        for name, path in files.papers.items():
            complete, bare = open_interpreter(path, runtime), open_interpreter(path, runtime)
            runs[name, runtime, 'step'] = _paper_step(complete, files.vectors), _PAPERS_IN_A_ROW
            _set_inputs(bare, files.vectors[0, 0])
            runs[name, runtime, 'invoke'] = bare.invoke, _PAPERS_IN_A_ROW
    if not runs:
        reasons = '; '.join(found.notes) or 'none is installed'
        raise ModelError(f'no TFLite runtime works here ({reasons})')
    watch = Stopwatch()
    for number in range(files.rounds + 1):
        for key in watch.shuffled(runs):
            call, repeats = runs[key]
            # The first round warms up.
            watch.run(key, call, repeats, keep=number > 0)
    for key in runs:
        name, runtime, part = key
        row = found.times.setdefault(name, {}).setdefault(runtime, {})
        row[f'{part}_median'] = round(watch.median(key, MICROSECONDS), 2)
        row[f'{part}_p95'] = round(watch.percentile(key, 95, MICROSECONDS), 2)
    return found


def _reason(error: ModelError) -> str:
    """Return a runtime's own message, without the name of the temporary file and our advice."""
    text = str(error)
    inner = text[text.find('(') + 1 : text.rfind(')')] if '(' in text else text
    return inner.split('. ')[0]


def _steps(classifier: EmotionClassifier, files: Files) -> Callable[[], None]:
    """Return a function that runs the classifier on the next frame at each call."""
    faces = [split_vector(row) for row in files.vectors.reshape(-1, files.vectors.shape[-1])]
    dt = files.dt.reshape(-1).tolist()
    state, at = classifier.initial_state(), 0

    def step() -> None:
        nonlocal state, at
        blendshapes, embedding = faces[at]
        _, state = classifier(blendshapes, state, dt[at], embedding)
        at = (at + 1) % len(dt)

    return step


def _paper_step(interpreter: Any, vectors: Floats) -> Callable[[], Any]:
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    values = _shaped(vectors[0, 0], into['shape'])

    def step() -> Any:
        interpreter.set_tensor(into['index'], values)
        interpreter.invoke()
        return interpreter.get_tensor(out['index'])

    return step


def _set_inputs(interpreter: Any, vector: Floats) -> None:
    """Set a network's inputs to one face, 1/30 s and an empty state, as far as it has them."""
    given = {
        SHAPES: vector[:SHAPES],
        EMBEDDING: vector[SHAPES:-2],
        2: vector[-2:],
        1: np.full(1, 1 / 30),
    }
    for tensor in interpreter.get_input_details():
        size = int(np.prod(tensor['shape']))
        # The paper's network may read only some of the blendshapes.
        values = given.get(size, vector[:size] if size < SHAPES else np.zeros(size))
        interpreter.set_tensor(tensor['index'], _shaped(values, tensor['shape']))


def _shaped(values: NDArray[Any], shape: NDArray[Any]) -> Floats:
    return values[: int(np.prod(shape))].reshape(shape).astype(np.float32)


def against_paper(measured: StepTimes, name: str, papers: Mapping[str, Any]) -> dict[str, float]:
    """Return our step time as a share of the paper's, in the runtime where it is greatest.

    :param name: of our network.
    :param papers: names of the forms of the paper's network.
    :returns: the share of the median step by form, and ``fastest form``, that of the faster one.
    """
    ours = {runtime: row['step_median'] for runtime, row in measured.times[name].items()}
    shares = {
        form: {
            runtime: ours[runtime] / measured.times[form][runtime]['step_median']
            for runtime in ours
        }
        for form in papers
    }
    if not shares:
        return {}
    return {
        **{form: round(max(by.values()), 4) for form, by in shares.items()},
        'fastest form': round(
            max(max(by[runtime] for by in shares.values()) for runtime in ours), 4
        ),
    }


def time_table(metrics: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return header and rows of a card's ``time``, in microseconds."""
    keys = ('step_median', 'step_p95', 'invoke_median', 'invoke_p95')
    return (
        [
            'network',
            'runtime',
            'step, median us',
            'step, p95 us',
            'invoke, median us',
            'invoke, p95 us',
        ],
        [
            [name, runtime, *(row[key] for key in keys)]
            for name, by in metrics['networks'].items()
            for runtime, row in by.items()
        ],
    )
