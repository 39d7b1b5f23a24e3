"""``training speaking``: the model of speech, from films and photographs of faces."""

from __future__ import annotations

import json
from pathlib import Path

import click

from emotion_estimator.untrusted import MAX_TEXT_FILE, read_limited
from emotion_estimator_training import CONFIG
from emotion_estimator_training.cli.training.options import (
    all_of,
    run_option,
    seed_option,
    teacher_option,
    written_models_option,
)
from emotion_estimator_training.tables import text_table

#: What the films of ../shared/data show, by eye and by their sound.
_TABLE = CONFIG / 'speaking_films.csv'


@click.command()
@click.option(
    '--films',
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help='Folder of films of people who speak, and of people who do not.',
)
@click.option(
    '--truth',
    type=click.Path(path_type=Path),
    default=_TABLE,
    help='CSV with the columns file, person, kind and speech (spans like 0-2.4 3.3-4.9 in '
    "seconds, all, or nothing). Default: that of this project's films.",
)
@click.option(
    '--photographs',
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help='Folder or zip of photographs with labels.csv (image, person), which are made to speak, '
    'chew, laugh, yawn and turn.',
)
@click.option(
    '--people',
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help='People whose landmarks move.',
)
@click.option(
    '--made-films',
    type=click.IntRange(0),
    default=60,
    show_default=True,
    help='People whose photographs move, as each landmark source sees them.',
)
@all_of(teacher_option, run_option, written_models_option, seed_option)
@click.option('--json', 'as_json', is_flag=True, help='Print the metrics as one JSON object.')
def speaking(
    films: Path,
    truth: Path,
    photographs: Path,
    people: int,
    made_films: int,
    teacher: Path | None,
    run: Path,
    models: Path,
    seed: int,
    as_json: bool,
) -> None:
    """Fit the model that tells speech from other movements of the mouth; measure it.

    Each person is tested by a model fitted to the others. The tracks are kept in the run folder.
    """
    from emotion_estimator.perception.mouth_motion import CHANNELS
    from emotion_estimator.perception.speaking import SpeechTimes
    from emotion_estimator_training.models.speaking import (
        SpeakingSettings,
        fit_speaking,
        groups_table,
        kinds_table,
        rates_table,
        write_speaking,
    )
    from emotion_estimator_training.sequences.mouth_tracks import (
        PhotographedPeople,
        film_tracks,
        load_tracks,
        made_film_tracks,
        moved_tracks,
        save_tracks,
    )

    def progress(line: str) -> None:
        click.echo(line, err=True)

    said = read_limited(truth, MAX_TEXT_FILE).decode('utf-8', 'replace')
    plan = json.dumps([str(films), said, str(photographs), people, made_films])
    plan = f'{plan} {teacher} {seed} {CHANNELS}'
    kept = run / 'mouth_tracks.npz'
    tracks = load_tracks(kept, plan)
    if not tracks:
        faces = PhotographedPeople(photographs)
        tracks = film_tracks(films, truth, teacher)
        progress(f'{len(tracks)} tracks of films')
        tracks += moved_tracks(faces, people, seed)
        progress(f'{people} faces moved; {made_films} films to make')
        tracks += made_film_tracks(faces, made_films, teacher, seed)
        save_tracks(tracks, kept, plan)
    times = SpeechTimes()
    fitted = fit_speaking(tracks, SpeakingSettings(seed=seed), times, progress)
    real = len({track.person for track in tracks if track.real})
    made = len({track.person for track in tracks if not track.real})
    card = write_speaking(
        fitted, times, models, f'films of {real} people, and photographs of {made} that move'
    )
    if as_json:
        click.echo(json.dumps(fitted.metrics))
        return
    click.echo(text_table(*groups_table(fitted.metrics)) + '\n')
    click.echo(text_table(*kinds_table(fitted.metrics)) + '\n')
    click.echo(text_table(*rates_table(fitted.metrics)) + '\n')
    for name, words in (('onset_s', 'beginning'), ('release_s', 'end')):
        click.echo(
            f'median delay of the flag after the {words} of speech: {fitted.metrics[name]} s'
        )
    click.echo(card)
