"""Fit and measure the model of speech, which reads how a mouth moves; split by person."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator.perception.mouth_motion import FEATURES, MouthMotion
from emotion_estimator.perception.speaking import SpeechFlag, SpeechTimes
from emotion_estimator_training.sequences.mouth_tracks import MouthTrack
from emotion_estimator_training.shipping.pins import pin
from emotion_estimator_training.tables import markdown_table

Floats = NDArray[np.float64]
Metrics = dict[str, Any]

#: Parts into which the people are divided; each is tested by a model fitted to the others.
FOLDS = 3
_VERSION = '1.0.0'
_LEAST_STEP = 1 / 240
#: Tracks whose features are computed together.
_TOGETHER = 128
#: Frames per second at which the model is tested too.
RATES = (5.0, 8.0, 15.0)
#: Weight of silence in tracks with speech.
_PAUSES = 3.0
#: Bins of the expected calibration error.
_BINS = 10


@dataclass(frozen=True)
class SpeakingSettings:
    """How the model of speech is fitted.

    :param networks: how many networks are fitted from different starts; their mean log-odds are
        those of one network with all their hidden units.
    :param hidden: units of the hidden layer of each.
    :param penalty: L2 penalty on the weights.
    :param epochs: passes over the frames.
    :param copies: varied copies of each track, by what it is: a film of a real person, a made film,
        or moved landmarks.
    :param weights: total weight of each of these.
    :param seed: the only source of randomness.
    """

    networks: int = 4
    hidden: int = 12
    penalty: float = 3.0
    epochs: int = 12
    copies: tuple[int, int, int] = (8, 2, 1)
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Weights:
    """The network: ``logistic(tanh(x @ w1 + b1) @ w2 + b2)``."""

    w1: Floats
    b1: Floats
    w2: Floats
    b2: float

    def logits(self, features: Floats) -> Floats:
        """Return the log-odds of speech of features (N, F): (N,)."""
        return np.asarray(np.tanh(features @ self.w1 + self.b1) @ self.w2 + self.b2)

    def __call__(self, features: Floats) -> Floats:
        """Return the probability of speech of features (N, F): (N,)."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.logits(features), -60, 60))))

    def calibrated(self, slope: float, offset: float) -> Weights:
        """Return the network whose log-odds are ``slope`` times these plus ``offset``."""
        return Weights(self.w1, self.b1, slope * self.w2, slope * self.b2 + offset)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Frames (N) to fit to."""

    features: Floats
    speaking: NDArray[np.bool_]
    weight: Floats
    fold: NDArray[np.int64]

    def where(self, mask: NDArray[np.bool_]) -> _Rows:
        return _Rows(self.features[mask], self.speaking[mask], self.weight[mask], self.fold[mask])


@dataclass
class Fitted:
    """A fitted model of speech.

    :param weights: fitted to everybody.
    :param metrics: measured on people to whom the model that is measured was not fitted.
    """

    weights: Weights
    metrics: Metrics = field(default_factory=dict)


def motion_features(tracks: Sequence[MouthTrack]) -> list[Floats]:
    """Return the features of each track's frames, (T, 79), as the robot computes them.

    Many tracks advance together; one after the other would take minutes.
    """
    order = np.argsort([len(track.times) for track in tracks], kind='stable')
    found: list[Floats] = [np.zeros((0, len(FEATURES)))] * len(tracks)
    for begin in range(0, len(order), _TOGETHER):
        which = order[begin : begin + _TOGETHER].tolist()
        for k, features in zip(which, _together([tracks[k] for k in which])):
            found[k] = features
    return found


def _together(tracks: Sequence[MouthTrack]) -> list[Floats]:
    longest = max(len(track.times) for track in tracks)
    channels = np.stack(
        [np.pad(t.channels, ((0, longest - len(t.times)), (0, 0)), 'edge') for t in tracks]
    )
    steps = np.stack(
        [np.pad(np.diff(t.times), (0, longest - len(t.times)), constant_values=1.0) for t in tracks]
    )
    motion = MouthMotion(channels[:, 0])
    features = np.empty((*channels.shape[:2], len(FEATURES)))
    features[:, 0] = motion.features()
    for i in range(1, longest):
        motion.advance(channels[:, i], np.maximum(steps[:, i - 1], _LEAST_STEP)[:, None])
        features[:, i] = motion.features()
    return [each[: len(track.times)] for each, track in zip(features, tracks)]


def folds(tracks: Sequence[MouthTrack]) -> dict[str, int]:
    """Return in which part of the split each person is.

    Those who speak in films are spread evenly.
    """
    real = {track.person: 0 for track in tracks if track.real}
    talk = {track.person: 0 for track in tracks if track.real and track.speaking.any()}
    order = [*talk, *(person for person in real if person not in talk)]
    parts = {track.person: zlib.crc32(track.person.encode()) % FOLDS for track in tracks}
    return parts | {person: number % FOLDS for number, person in enumerate(order)}


def fit_speaking(
    tracks: Sequence[MouthTrack],
    settings: SpeakingSettings,
    times: SpeechTimes,
    progress: Callable[[str], object] = print,
) -> Fitted:
    """Fit the model, and measure it on the people left out in turns.

    :param times: of the flag.
    :param progress: called with a line now and then.
    :raises InputError: the films of real people lack speech, or silence.
    """
    real = [track for track in tracks if track.real]
    if not any(t.speaking.any() for t in real) or all(t.speaking.all() for t in real):
        raise InputError(
            'the films must show people who speak and people who do not; say in the table when'
        )
    parts = folds(tracks)
    rows = _rows(tracks, parts, settings)
    progress(f'{len(rows.speaking)} frames of {len(tracks)} tracks, {len(parts)} people')
    others = []
    for part in range(FOLDS):
        others.append(_fit(rows.where(rows.fold != part), settings))
        progress(f'fitted to all but part {part + 1} of {FOLDS}')

    def tested(seen: Sequence[MouthTrack]) -> list[Floats]:
        found = motion_features(seen)
        return [others[parts[t.person]].logits(features) for t, features in zip(seen, found)]

    logits = tested(tracks)
    slope, offset = _calibration(tracks, logits)

    def chances(given: Sequence[Floats]) -> list[Floats]:
        return [1 / (1 + np.exp(-np.clip(slope * each + offset, -60, 60))) for each in given]

    metrics = measure(tracks, chances(logits), times)
    metrics['rates'] = {}
    for rate in RATES:
        seen = [track.at_rate(rate) for track in tracks]
        metrics['rates'][f'{rate:g}'] = _groups(seen, chances(tested(seen)), times)
    return Fitted(_fit(rows, settings).calibrated(slope, offset), metrics)


def _rows(tracks: Sequence[MouthTrack], parts: dict[str, int], settings: SpeakingSettings) -> _Rows:
    rng = np.random.default_rng(settings.seed)
    found: list[_Rows] = []
    copies, groups = [], []
    for track in tracks:
        group = 0 if track.real else 2 if track.source == 'moved' else 1
        for _ in range(settings.copies[group]):
            varied = track.varied(rng)
            if len(varied.times) < 3:
                continue
            seconds = np.gradient(varied.times) * varied.judged
            if varied.speaking.any():
                # Silence between words is rare, and looks least like silence.
                seconds[~varied.speaking] *= _PAUSES
            fold = np.full(len(seconds), parts[track.person])
            copies.append(varied)
            found.append(_Rows(np.zeros((0, 0)), varied.speaking, seconds, fold))
            groups.append(np.full(len(seconds), group))
    group = np.concatenate(groups)
    rows = _Rows(
        np.concatenate(motion_features(copies)),
        np.concatenate([each.speaking for each in found]),
        np.concatenate([each.weight for each in found]),
        np.concatenate([each.fold for each in found]),
    )
    for number, wanted in enumerate(settings.weights):
        # Speech and its absence weigh the same in each group, and so the prior is one half.
        for speaks in (False, True):
            mask = (group == number) & (rows.speaking == speaks)
            total = rows.weight[mask].sum()
            if total > 0:
                rows.weight[mask] *= wanted / total
    rows.weight[:] *= len(rows.weight) / rows.weight.sum()
    return rows.where(rows.weight > 0)


def _fit(rows: _Rows, settings: SpeakingSettings) -> Weights:
    mean, scale = rows.features.mean(axis=0), np.maximum(rows.features.std(axis=0), 1e-6)
    inputs = (rows.features - mean) / scale
    networks = []
    for number in range(settings.networks):
        network = MLPClassifier(
            (settings.hidden,),
            activation='tanh',
            alpha=settings.penalty,
            batch_size=256,
            max_iter=settings.epochs,
            n_iter_no_change=settings.epochs,
            random_state=(settings.seed + number) % 2**32,
        )
        with warnings.catch_warnings():
            # It stops after a fixed number of epochs.
            warnings.simplefilter('ignore', ConvergenceWarning)
            networks.append(network.fit(inputs, rows.speaking, sample_weight=rows.weight))
    w1 = np.hstack([each.coefs_[0] for each in networks])
    b1 = np.concatenate([each.intercepts_[0] for each in networks])
    w2 = np.concatenate([each.coefs_[1][:, 0] for each in networks]) / len(networks)
    b2 = float(np.mean([each.intercepts_[1][0] for each in networks]))
    return Weights(w1 / scale[:, None], b1 - (mean / scale) @ w1, w2, b2)


def _calibration(tracks: Sequence[MouthTrack], logits: Sequence[Floats]) -> tuple[float, float]:
    """Return slope and offset of the log-odds of people left out (Platt 1999)."""
    kept = [
        (each[track.judged], track.speaking[track.judged], track.real)
        for track, each in zip(tracks, logits)
    ]
    x = np.concatenate([each for each, _, _ in kept])
    y = np.concatenate([speaks for _, speaks, _ in kept])
    real = np.concatenate([np.full(len(each), is_real) for each, _, is_real in kept])
    weight = np.zeros(len(x))
    for which in (False, True):
        for speaks in (False, True):
            mask = (real == which) & (y == speaks)
            weight[mask] = 1 / max(mask.sum(), 1)
    model = LogisticRegression(C=1e3).fit(x[:, None], y, sample_weight=weight * len(x) / 4)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def measure(tracks: Sequence[MouthTrack], chances: Sequence[Floats], times: SpeechTimes) -> Metrics:
    """Measure probabilities and the flag that follows from them.

    :param chances: probability of speech in each frame of each track.
    :returns: ``films`` and ``made``: ``auc``, ``accuracy`` of the flag and ``ece`` in the frames
        that are judged; ``people`` (of films) and ``kinds`` (of made tracks), for each of which
        there are ``seconds``, the shares of frames with the flag while people speak (``hit``) and
        while they do not (``false``), and how often a minute it rises without speech
        (``false_per_minute``); ``onset_s`` and ``release_s``: median delays of the flag.
    """
    flags = [_flags(track, each, times) for track, each in zip(tracks, chances)]
    tables: dict[str, dict[str, list[int]]] = {'people': {}, 'kinds': {}}
    for k, track in enumerate(tracks):
        table, key = ('people', track.person) if track.real else ('kinds', track.kind)
        tables[table].setdefault(key, []).append(k)
    return {
        **_groups(tracks, chances, times),
        **{
            name: {key: _alike(which, tracks, flags) for key, which in table.items()}
            for name, table in tables.items()
        },
        **_delays(tracks, flags),
    }


def _groups(tracks: Sequence[MouthTrack], chances: Sequence[Floats], times: SpeechTimes) -> Metrics:
    flags = [_flags(track, each, times) for track, each in zip(tracks, chances)]
    return {
        name: _summary([k for k, t in enumerate(tracks) if t.real == real], tracks, chances, flags)
        for name, real in (('films', True), ('made', False))
    }


def _flags(track: MouthTrack, chances: Floats, times: SpeechTimes) -> NDArray[np.bool_]:
    flag, steps = SpeechFlag(times), np.diff(track.times, prepend=track.times[0])
    return np.array([flag(float(p), float(step)) for p, step in zip(chances, steps)])


def _summary(
    which: list[int],
    tracks: Sequence[MouthTrack],
    chances: Sequence[Floats],
    flags: Sequence[NDArray[np.bool_]],
) -> Metrics:
    if not which:
        return {}
    judged = [tracks[k].judged for k in which]
    p = np.concatenate([chances[k][mask] for k, mask in zip(which, judged)])
    y = np.concatenate([tracks[k].speaking[mask] for k, mask in zip(which, judged)])
    flag = np.concatenate([flags[k][mask] for k, mask in zip(which, judged)])
    both = 0 < y.sum() < len(y)
    return {
        'frames': len(y),
        'people': len({tracks[k].person for k in which}),
        'speech': _rounded(y.mean()),
        'auc': _rounded(roc_auc_score(y, p)) if both else None,
        'accuracy': _rounded((flag == y).mean()),
        'hit': _rounded(flag[y].mean()) if y.any() else None,
        'false': _rounded(flag[~y].mean()) if not y.all() else None,
        'ece': _rounded(calibration_error(p, y)),
    }


def calibration_error(p: Floats, y: NDArray[np.bool_]) -> float:
    """Return the expected calibration error in ten bins, speech and silence weighing the same.

    :param p: (N,), probabilities of speech.
    :param y: (N,), whether the person speaks.
    """
    weight = np.where(y, 0.5 / max(y.sum(), 1), 0.5 / max((~y).sum(), 1))
    bins = np.minimum((p * _BINS).astype(int), _BINS - 1)
    return float(
        sum(abs((weight * (p - y))[bins == each].sum()) for each in range(_BINS)) / weight.sum()
    )


def _alike(
    which: list[int], tracks: Sequence[MouthTrack], flags: Sequence[NDArray[np.bool_]]
) -> Metrics:
    seconds = silent = rises = 0.0
    hits, false = [], []
    for k in which:
        track, flag = tracks[k], flags[k]
        steps = np.diff(track.times, append=track.times[-1])
        seconds += float(np.ptp(track.times))
        judged = track.judged
        silent += float(steps[~track.speaking].sum())
        up = np.diff(flag.astype(int), prepend=0) > 0
        rises += float((up & ~track.speaking & judged).sum())
        hits.append(flag[judged & track.speaking])
        false.append(flag[judged & ~track.speaking])
    hit, wrong = np.concatenate(hits), np.concatenate(false)
    return {
        'tracks': len(which),
        'seconds': round(seconds, 1),
        'hit': _rounded(hit.mean()) if len(hit) else None,
        'false': _rounded(wrong.mean()) if len(wrong) else None,
        'false_per_minute': _rounded(60 * rises / silent) if silent else None,
    }


def _delays(tracks: Sequence[MouthTrack], flags: Sequence[NDArray[np.bool_]]) -> Metrics:
    """Return the median seconds from the true beginning and end of speech to the flag's."""
    delays: dict[bool, list[float]] = {True: [], False: []}
    for track, flag in zip(tracks, flags):
        for i in np.flatnonzero(track.speaking[1:] != track.speaking[:-1]) + 1:
            wanted = bool(track.speaking[i])
            later = np.flatnonzero(flag[i:] == wanted)
            if flag[i - 1] != wanted and len(later):
                delays[wanted].append(float(track.times[i + later[0]] - track.times[i]))
    return {
        name: _rounded(np.median(delays[wanted])) if delays[wanted] else None
        for name, wanted in (('onset_s', True), ('release_s', False))
    }


def _rounded(value: Any) -> float:
    return round(float(value), 3)


def write_speaking(fitted: Fitted, times: SpeechTimes, folder: Path, trained_on: str) -> Path:
    """Write ``speaking.npz``, ``.json`` and ``.md`` into ``folder``.

    In the ``models/`` of a checkout its checksum goes into the robot's code too.

    :returns: the path of the JSON card.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    weights = fitted.weights
    np.savez(
        content,
        w1=weights.w1.astype(np.float32),
        b1=weights.b1.astype(np.float32),
        w2=weights.w2.astype(np.float32),
        b2=np.float32(weights.b2),
    )
    path = folder / 'speaking.npz'
    path.write_bytes(content.getvalue())
    card = {
        'name': 'speaking',
        'version': _VERSION,
        'kind': 'speaking',
        'license': 'Apache-2.0',
        'trained_on': trained_on,
        'settings': {**asdict(times), 'features': list(FEATURES)},
        'metrics': fitted.metrics,
        'file': path.name,
        'bytes': len(content.getvalue()),
        'sha256': hashlib.sha256(content.getvalue()).hexdigest(),
        'blendshapes': list(BLENDSHAPE_NAMES),
    }
    written = path.with_suffix('.json')
    written.write_text(json.dumps(card, indent=1) + '\n')
    written.with_suffix('.md').write_text(_in_words(card))
    pin(folder)
    return written


def kinds_table(metrics: Metrics) -> tuple[list[str], list[list[Any]]]:
    """Return head and rows of the table of people in films and kinds of made tracks."""
    head = ['', 'tracks', 'seconds', 'flag while speaking', 'flag otherwise', 'rises a minute']
    names = ('tracks', 'seconds', 'hit', 'false', 'false_per_minute')
    rows = [
        [f'{title}: {key}', *('' if one[name] is None else one[name] for name in names)]
        for title, table in (('film', 'people'), ('made', 'kinds'))
        for key, one in metrics[table].items()
    ]
    return head, rows


def rates_table(metrics: Metrics) -> tuple[list[str], list[list[Any]]]:
    """Return head and rows of the table of frame rates."""
    head = ['frames per second', 'films: AUC', 'flag', 'ECE', 'made: AUC', 'flag', 'ECE']
    names = ('auc', 'accuracy', 'ece')
    rows = [
        [rate, *(one[group].get(name, '') for group in ('films', 'made') for name in names)]
        for rate, one in metrics['rates'].items()
    ]
    return head, rows


def groups_table(metrics: Metrics) -> tuple[list[str], list[list[Any]]]:
    """Return head and rows of the table of films of real people and of made ones."""
    head = ['', 'people', 'frames', 'AUC', 'accuracy of the flag', 'hit', 'false', 'ECE']
    names = ('people', 'frames', 'auc', 'accuracy', 'hit', 'false', 'ece')
    rows = [
        [title, *(metrics[group][name] for name in names)]
        for title, group in (('films of real people', 'films'), ('made', 'made'))
        if metrics[group]
    ]
    return head, rows


def _in_words(card: dict[str, Any]) -> str:
    metrics = card['metrics']
    general = markdown_table(
        ('', ''),
        [
            ('version', card['version']),
            ('file', f'`{card["file"]}`, {card["bytes"]} bytes'),
            ('sha256', f'`{card["sha256"]}`'),
            ('licence of the weights', card['license']),
            ('trained on', card['trained_on']),
            (
                'flag',
                f'`{json.dumps({k: v for k, v in card["settings"].items() if k != "features"})}`',
            ),
        ],
    )
    groups = markdown_table(*groups_table(metrics))
    kinds = markdown_table(*kinds_table(metrics))
    rates = markdown_table(*rates_table(metrics))
    return (
        f'# {card["name"]} {card["version"]}\n\nProbability that a person is speaking, from how '
        f'the landmarks of their mouth move. See docs/speaking.md.\n\n{general}\n\n'
        'Each person is tested by a model fitted to the others, in the frames in which the truth '
        'can be known: not those just after somebody has begun or ended to speak. "hit" and '
        '"false" are the shares of frames with the flag while people speak and while they do not. '
        'ECE is the expected calibration error of the probability, speech and silence weighing the '
        f'same.\n\n{groups}\n\n{kinds}\n\nAt other frame rates:\n\n{rates}\n\n'
        f'Median delay of the flag: {metrics["onset_s"]} s after the beginning of speech, '
        f'{metrics["release_s"]} s after its end. Measured by '
        '`emotion-estimator training speaking` (docs/training.md).\n'
    )
