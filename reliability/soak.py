"""``make soak``: the three nodes for an hour, while everything around them changes.

Faces come and go, parameters are set, subscribers join and leave, bad images arrive. Each few
seconds memory, threads, descriptors, shared memory, rate and latency are sampled. The exit status
is 1 if memory grows by over 1 MB an hour between resets, if threads or descriptors grow, or if a
node ended. Writes ``out/soak/table.md``, ``samples.csv`` and ``soak.svg``.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from document import machine, write_part
from robot import NODES, BadCamera, RosGraph, WatchedRobot, processor_seconds
from sensor_msgs.msg import CompressedImage, Image
from trend import Slope, quarters, slope

from emotion_estimator.msg import EmotionArray

#: MB an hour between resets; threads and descriptors more at the end than at the beginning.
MOST_GROWTH = 1.0
MOST_MORE = 1.0
#: Seconds between samples, between two changes, and before the slopes begin.
_PERIOD = 5.0
_CHANGE = (3.0, 12.0)
_WARM_UP = 120.0

_FIELDS = (
    'seconds',
    'node',
    'reset',
    'own_mb',
    'pss_mb',
    'rss_mb',
    'threads',
    'descriptors',
    'cpu',
)
_ALL_FIELDS = (*_FIELDS, 'emotions_s', 'latency_p50_ms', 'latency_p95_ms', 'shm_files', 'shm_mb')


def sample(pid: int) -> dict[str, float]:
    """Return memory in MB, threads, descriptors and processor seconds of a process (Linux)."""
    folder = Path('/proc') / str(pid)
    rollup = dict(
        line.split(':', 1) for line in (folder / 'smaps_rollup').read_text().splitlines()[1:]
    )
    status = dict(
        line.split(':', 1) for line in (folder / 'status').read_text().splitlines() if ':' in line
    )
    return {
        # Of its own: what is shared with others counts less when others come.
        'own_mb': sum(int(rollup[key].split()[0]) for key in ('Pss_Anon', 'SwapPss')) / 1024,
        'pss_mb': int(rollup['Pss'].split()[0]) / 1024,
        'rss_mb': int(rollup['Rss'].split()[0]) / 1024,
        'threads': int(status['Threads']),
        'descriptors': len(list((folder / 'fd').iterdir())),
        'cpu': processor_seconds(pid),
    }


def shared_memory() -> dict[str, float]:
    """Return number and size in MB of Fast DDS's files in shared memory."""
    files = list(Path('/dev/shm').glob('*fastdds*'))
    sizes = 0
    for path in files:
        try:
            sizes += path.stat().st_size
        except OSError:
            continue
    return {'shm_files': len(files), 'shm_mb': sizes / (1 << 20)}


class Surroundings:
    """What happens around the nodes, one thing after another, by a seed."""

    def __init__(self, robot: WatchedRobot, seed: int, first: float = 20.0) -> None:
        """:param first: seconds until the first change."""
        self._robot, self._random = robot, Random(seed)
        self._bad = BadCamera(robot.graph)
        self._subscriptions: list[Any] = []
        self._kinds: dict[str, Callable[[], None]] = {
            'parameter': self._parameter, 'join': self._join, 'leave': self._leave,
            'bad image': self._bad_image, 'reload': self._reload,
        }  # fmt: skip
        self.counts = dict.fromkeys(self._kinds, 0)
        self.next = time.monotonic() + first

    def look(self) -> None:
        """Make the next change if it is due."""
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + self._random.uniform(*_CHANGE)
            kind = self._random.choice(list(self._kinds))
            self._kinds[kind]()
            self.counts[kind] += 1

    def _set(self, node: str, **values: object) -> None:
        try:
            self._robot.graph.set_parameters(node, **values)
        except AssertionError:
            # It shows in the samples if the node hangs.
            print(f'{node} did not answer within 40 s', file=sys.stderr)

    def _parameter(self) -> None:
        node, name, values = self._random.choice((
            ('estimator', 'sad_threshold', (0.0, 0.3, 0.6)),
            ('estimator', 'abstain_below', (0.0, 0.5, 2.0)),
            ('estimator', 'publish_blendshapes', (True, False)),
            ('estimator', 'debug_image', (True, False)),
            ('estimator', 'primary_face', ('largest', 'nearest_centre', 'nobody')),
            ('estimator', 'max_rate_hz', (0.0, 10.0)),
            ('dialogue_manager', 'hear_face', (True, False)),
            ('dialogue_manager', 'question_time', (0.0, 4.0, -1.0)),
            ('camera', 'jpeg_quality', (50, 90, 1000)),
        ))  # fmt: skip
        self._set(node, **{name: self._random.choice(values)})

    def _reload(self) -> None:
        name = self._random.choice(('policy_file', 'conversation_file'))
        self._set('dialogue_manager', **{name: self._random.choice(('', '/nowhere.yaml'))})

    def _join(self) -> None:
        kind, topic = self._random.choice((
            (Image, 'image_raw'), (CompressedImage, 'image_raw/compressed'),
            (Image, 'debug_image'), (EmotionArray, 'emotions'),
        ))  # fmt: skip
        node = self._robot.graph.node
        if len(self._subscriptions) > 5:
            self._leave()
        self._subscriptions.append(node.create_subscription(kind, topic, lambda _: None, 5))

    def _leave(self) -> None:
        if self._subscriptions:
            chosen = self._random.randrange(len(self._subscriptions))
            self._robot.graph.node.destroy_subscription(self._subscriptions.pop(chosen))

    def _bad_image(self) -> None:
        kind = self._random.randrange(4)
        if kind == 0:
            self._bad.raw(encoding='jpeg' * self._random.randrange(1, 50))
        elif kind == 1:
            self._bad.raw(data=b'\0' * 100)
        elif kind == 2:
            self._bad.raw(step=1)
        else:
            # Taken for an image of long ago: late, or the time that begins again.
            self._bad.raw(stamp=float(self._random.choice((1, time.time() - 0.5))))


def judge(rows: list[dict[str, Any]], warm_up: float) -> tuple[list[str], list[str]]:
    """Return the table's lines, and one line for each limit that is exceeded.

    :param rows: samples, with the names of ``_FIELDS``.
    :param warm_up: seconds at the beginning that do not count.
    """
    lines = [
        '| node | samples | own memory, MB | MB an hour between resets | resets '
        '| threads first, last | descriptors first, last | processor |',
        '|---|--:|--:|--:|--:|--:|--:|--:|',
    ]
    problems = []
    for node in NODES:
        found = [row for row in rows if row['node'] == node and row['seconds'] >= warm_up]
        if len(found) < 2:
            problems.append(f'{node}: too few samples')
            continue
        times = [row['seconds'] for row in found]
        resets = [row['reset'] for row in found]
        growth = slope(times, [row['own_mb'] for row in found], resets)
        threads = quarters([row['threads'] for row in found])
        descriptors = quarters([row['descriptors'] for row in found])
        load = (found[-1]['cpu'] - found[0]['cpu']) / max(times[-1] - times[0], 1e-9)
        lines.append(
            f'| {node} | {len(found)} | {found[-1]["own_mb"]:.1f} | {growth} | '
            f'{len(set(resets)) - 1} | {threads[0]:.0f}, {threads[1]:.0f} | '
            f'{descriptors[0]:.0f}, {descriptors[1]:.0f} | {load:.1%} |'
        )
        problems += _problems(node, growth, threads, descriptors)
    return lines, problems


def _problems(
    node: str, growth: Slope, threads: tuple[float, float], descriptors: tuple[float, float]
) -> list[str]:
    found = []
    if growth.exceeds(MOST_GROWTH):
        found.append(f'{node} grows by {growth} MB an hour, over {MOST_GROWTH:g}')
    for what, (first, last) in (('threads', threads), ('descriptors', descriptors)):
        if last - first > MOST_MORE:
            found.append(f'{node} had {first:.0f} {what} at first and {last:.0f} at last')
    return found


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw memory, threads and descriptors, rate and latency over time."""
    from matplotlib.figure import Figure

    figure = Figure((8, 7), layout='constrained')
    axes = figure.subplots(4, 1, sharex=True)
    for node in NODES:
        own = [row for row in rows if row['node'] == node]
        minutes = [row['seconds'] / 60 for row in own]
        for axis, field in zip(axes, ('own_mb', 'threads', 'descriptors')):
            axis.plot(minutes, [row[field] for row in own], label=node, linewidth=1)
    own = [row for row in rows if row['node'] == NODES[0]]
    minutes = [row['seconds'] / 60 for row in own]
    for field, label in (('emotions_s', 'emotions a second'), ('latency_p95_ms', '95 %, ms')):
        axes[3].plot(minutes, [row[field] for row in own], label=label, linewidth=1)
    for axis, label in zip(axes, ('own memory, MB', 'threads', 'descriptors', '')):
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize='small')
    axes[3].legend(fontsize='small')
    axes[3].set_xlabel('minutes')
    figure.savefig(path)


def watch(
    robot: WatchedRobot, changes: Surroundings, seconds: float, period: float = _PERIOD
) -> Iterator[list[dict[str, Any]]]:
    """Make changes for a while, and yield a row a node each ``period`` seconds."""
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < seconds:
        before, at = robot.emotions, time.monotonic()
        robot.latencies.clear()
        end = at + period
        robot.wait(lambda end=end: changes.look() or time.monotonic() >= end, 120.0, 'time passes')
        late = 1e3 * np.array(robot.latencies or [np.nan])
        common = {
            'emotions_s': round((robot.emotions - before) / (time.monotonic() - at), 2),
            'latency_p50_ms': round(float(np.median(late)), 2),
            'latency_p95_ms': round(float(np.percentile(late, 95)), 2),
            **shared_memory(),
        }
        resets = int(robot.status('estimator').get('state_resets', 0) or 0)
        rows = []
        for name, node in robot.nodes.items():
            # Another process is another stretch, too.
            stretch = 1000 * node.starts + (resets if name == 'estimator' else 0)
            # It may end meanwhile.
            with suppress(OSError, KeyError):
                row = {'seconds': round(now, 1), 'node': name, 'reset': stretch}
                rows.append({**row, **sample(node.pid), **common})
        yield rows


def run(minutes: float, seed: int, folder: Path, source: str) -> tuple[list[dict[str, Any]], Any]:
    """Run the nodes; return the samples, and how often each kind of change was made."""
    rows: list[dict[str, Any]] = []
    (folder / 'log').mkdir(parents=True, exist_ok=True)
    with RosGraph(folder / 'log') as graph, (folder / 'samples.csv').open('w') as file:
        writer = csv.DictWriter(file, _ALL_FIELDS)
        writer.writeheader()
        robot = WatchedRobot(graph, landmark_source=source)
        robot.wait_for_emotions(20)
        changes, said = Surroundings(robot, seed), 0.0
        starts = {name: node.starts for name, node in robot.nodes.items()}
        try:
            for found in watch(robot, changes, 60.0 * minutes):
                rows += found
                writer.writerows(found)
                file.flush()
                if found and found[0]['seconds'] - said >= 60.0:
                    said = found[0]['seconds']
                    print(
                        f'{said / 60:5.1f} min: {found[0]["emotions_s"]:5.1f} emotions/s, '
                        + ', '.join(f'{r["node"]} {r["own_mb"]:.1f} MB' for r in found),
                        flush=True,
                    )
        except KeyboardInterrupt:
            print('stopped early')
        ended = [name for name, node in robot.nodes.items() if node.starts > starts[name]]
    return rows, (changes.counts, ended)


def main() -> int:
    """Run, judge, write the table and the picture; return the exit status."""
    parser = argparse.ArgumentParser(prog='make soak', description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=60.0)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--landmarks', default='auto')
    parser.add_argument('--write', action='store_true', help='write docs/reliability.md')
    parser.add_argument('--output', type=Path, default=Path('out/soak'))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows, (counts, ended) = run(options.minutes, options.seed, options.output, options.landmarks)
    warm_up = min(_WARM_UP, 15.0 * options.minutes)
    lines, problems = judge(rows, warm_up)
    problems += [f'{name} ended and was started again' for name in ended]
    own = [row for row in rows if row['node'] == NODES[0] and row['seconds'] >= warm_up]
    if own:
        p50, p95, rate = (np.nanmedian([row[f] for row in own]) for f in
                          ('latency_p50_ms', 'latency_p95_ms', 'emotions_s'))  # fmt: skip
        lines += [
            '',
            f'{rows[-1]["seconds"] / 60:.0f} minutes, without the first {warm_up:.0f} s: '
            f'{rate:.1f} emotions a second, latency {p50:.1f} ms (95 %: {p95:.1f}), '
            f'{own[0]["shm_files"]:.0f} files of Fast DDS in shared memory at first, '
            f'{own[-1]["shm_files"]:.0f} at last. Slopes with their 95 % interval.',
            'Changes: ' + ', '.join(f'{n} {kind}' for kind, n in counts.items()) + '.',
            machine(),
        ]
        draw(rows, options.output / 'soak.svg')
    lines += ['', *problems] if problems else []
    text = '\n'.join(lines) + '\n'
    (options.output / 'table.md').write_text(text)
    print(text)
    if options.write:
        write_part('soak', text)
    return int(bool(problems))


if __name__ == '__main__':
    sys.exit(main())
