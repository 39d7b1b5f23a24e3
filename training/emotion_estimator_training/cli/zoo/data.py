"""``zoo data``, ``frames`` and ``make-set``: sets of labelled video."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import click

from emotion_estimator_training.cli.training.options import all_of, processes_option, seed_option
from emotion_estimator_training.cli.zoo.options import (
    frame_options,
    open_video_set,
    print_problems,
    set_choice,
    set_options,
)
from emotion_estimator_training.tables import text_table

#: Stills of the portrait, in place of FER2013.
_STILLS = 420

_json_option = click.option('--json', 'as_json', is_flag=True, help='Print one JSON object.')


@click.command()
@set_options
@_json_option
def data(as_json: bool, **of_set: Any) -> None:
    """Count the clips of each class in each part of a set, and list problems.

    Checks that clips exist without decoding them; "frames" decodes them.
    """
    from emotion_estimator_training.zoo.data.clips import APART, summary
    from emotion_estimator_training.zoo.data.splits import split, split_warnings

    chosen = set_choice(**of_set)
    found = chosen.read()
    listed = [clip for clip in found.clips if clip.kind != APART]
    parts = split(listed, chosen.shares, chosen.by, chosen.seed)
    counts = {part: Counter(clip.label for clip in clips) for part, clips in parts.items()}
    subjects = {part: len({clip.subject for clip in clips}) for part, clips in parts.items()}
    warnings = [*found.warnings, *split_warnings(parts, found.classes)]
    problems = summary(found.problems)
    if as_json:
        click.echo(
            json.dumps(
                {
                    'clips': len(found.clips),
                    'left_out': found.left_out,
                    'classes': found.classes,
                    'parts': {
                        part: {name: counts[part][name] for name in found.classes} for part in parts
                    },
                    'subjects': subjects,
                    'problems': problems,
                    'warnings': warnings,
                }
            )
        )
        return
    rows = [
        [name, *(counts[part][name] for part in parts), sum(n[name] for n in counts.values())]
        for name in found.classes
    ]
    rows.append(['subjects', *subjects.values(), len({clip.subject for clip in found.clips})])
    click.echo(text_table(['clips', *parts, 'all'], rows))
    apart = len(found.clips) - len(listed)
    if apart:
        click.echo(
            f'{apart} of kind {APART} besides: they are measured apart, and not learned from'
        )
    if found.left_out:
        click.echo(f'{found.left_out} clips have labels that the map {chosen.labels} leaves out')
    print_problems(problems, warnings)


@click.command()
@all_of(set_options, frame_options)
@_json_option
def frames(as_json: bool, **options: Any) -> None:
    """Find and crop the faces of all clips, and cache them for all models.

    Clips that cannot be decoded, or show a face in fewer than 8 frames, are listed and left out.
    """
    found = open_video_set(**options)
    tracks = [track for part in found.tracks.values() for track in part]
    seen = sum(int(track.found.sum()) for track in tracks) / sum(map(len, tracks))
    lengths = {
        name: sorted(len(track) for track in tracks if track.clip.label == name)
        for name in found.classes
    }
    parts = {
        part: Counter(track.clip.label for track in of_part)
        for part, of_part in found.tracks.items()
    }
    if as_json:
        click.echo(
            json.dumps(
                {
                    'rate': found.rate,
                    'with_face': seen,
                    'lengths': lengths,
                    'parts': parts,
                    'problems': found.problems,
                    'warnings': found.warnings,
                }
            )
        )
        return
    click.echo(
        text_table(
            ['class', 'clips', 'frames', 'shortest', 'median', 'longest', *parts],
            [
                [
                    name,
                    len(of_class),
                    sum(of_class),
                    of_class[0],
                    f'{median(of_class):g}',
                    of_class[-1],
                    *(counts[name] for counts in parts.values()),
                ]
                for name, of_class in lengths.items()
            ],
        )
    )
    click.echo(
        f'{len(tracks)} clips at {found.rate:.4g} frames per second; a face in {seen:.1%} '
        'of the frames from the first face to the last'
    )


@click.command('make-set')
@click.option('--out', type=click.Path(path_type=Path), required=True, help='Folder to write to.')
@click.option(
    '--data',
    type=click.Path(path_type=Path),
    default=None,
    help='FER2013 (see "training"). Default: stills of the portrait.',
)
@click.option(
    '--people',
    type=click.IntRange(3),
    default=1500,
    show_default=True,
    help='Number of stills to animate, besides the portrait; 1.2 s of processor each.',
)
@click.option(
    '--talking',
    type=click.Path(path_type=Path),
    multiple=True,
    help='Film, or folder of films, of people who talk or rest without an expression: neutral '
    'clips, and motion of the stills. Repeatable.',
)
@click.option(
    '--onsets',
    type=click.Path(path_type=Path),
    multiple=True,
    help='Film, or folder, of people whose expression comes: its time course. Repeatable.',
)
@click.option(
    '--moved',
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help='Neutral stills that also get the expressions of others, where these can be read: clips '
    'of kind "moved", with figures of their own.',
)
@click.option(
    '--seconds',
    type=click.FloatRange(0.5, 60),
    default=3.0,
    show_default=True,
    help='Duration of a clip.',
)
@click.option(
    '--rate',
    type=click.FloatRange(1, 60),
    default=15.0,
    show_default=True,
    help='Frames per second.',
)
@click.option(
    '--size',
    type=click.IntRange(96, 1024),
    default=192,
    show_default=True,
    help='Side of a frame in pixels.',
)
@click.option(
    '--teacher',
    type=click.Path(path_type=Path),
    default=None,
    help='face_landmarker.task, to find landmarks in the stills. Default: the bundled face mesh.',
)
@click.option(
    '--cache',
    type=click.Path(path_type=Path),
    default=None,
    help='Folder for the landmarks of the stills. Default: "cache" in --out.',
)
@all_of(seed_option, processes_option)
def make_set(
    out: Path,
    data: Path | None,
    people: int,
    talking: tuple[Path, ...],
    onsets: tuple[Path, ...],
    moved: int,
    seconds: float,
    rate: float,
    size: int,
    teacher: Path | None,
    cache: Path | None,
    seed: int,
    processes: int | None,
) -> None:
    """Make a set of labelled clips: stills animated with expressions, speech, head turns, hands."""
    from emotion_estimator_training.data import made_set
    from emotion_estimator_training.data.stills import load_stills
    from emotion_estimator_training.zoo.data import made_clips
    from emotion_estimator_training.zoo.data.recorded_motion import films_in
    from emotion_estimator_training.zoo.data.set_films import Films

    settings = made_clips.MadeSettings(people, seconds, rate, size, moved, seed)
    films = Films(
        tuple(film for path in talking for film in films_in(path)),
        tuple(film for path in onsets for film in films_in(path)),
    )
    stills = made_set.make(_STILLS, seed) if data is None else load_stills(data)
    made = made_clips.make_set(
        stills, out, settings, cache or out / 'cache', teacher, processes, films
    )
    click.echo(made.table)
    click.echo(', '.join(f'{count} {kind}' for kind, count in made.kinds.items()))
    if moved:
        click.echo(f'{made.unread} moved clips cannot be read, and are left out')
    for line in made.left_out:
        click.echo(f'left out: {line}')
    click.echo(
        'The faces are animated by computation: results on this set show which models use '
        'time, not how well they recognize real people (docs/zoo.md).'
    )
    if data is None:
        click.echo('All clips show the same woman; use --data FER2013 for different people.')
