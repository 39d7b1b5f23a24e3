"""Verbs of training take every file: they read it, or say in one line why not, with status 2."""

from __future__ import annotations

import sys

import pytest
from hostile_files import make_hostile_files
from verb_walk import arguments_with, places, run_verb, takes_text, walk

from emotion_estimator.cli.main import group, main

#: What would take long to import, or work for long, before it reads a file.
_HEAVY = ('tensorflow', 'tf_keras', 'keras_tuner')
_WORKING = ('make-set', 'people')
_PLACES = [
    place for place in places(group)
    if place[0][0] in ('training', 'zoo') and takes_text(place[2])
    and (place[0][-1] not in _WORKING or place[2].name == 'data')
]  # fmt: skip


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return make_hostile_files(tmp_path_factory.mktemp('hostile') / 'files')


def test_the_verbs_are_walked():
    assert {'training', 'zoo'} == {words[0] for words, _, _ in _PLACES}
    assert len({words for words, _, _ in _PLACES}) > 15


@pytest.mark.parametrize('name', sorted({place[2].name for place in _PLACES}))
def test_any_file_is_read_or_refused_in_one_line(name, files, tmp_path, monkeypatch):
    """One verb for each reader: many take the same options."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    for library in _HEAVY:
        monkeypatch.setitem(sys.modules, library, None)
    walked = set()
    for place in _PLACES:
        words, verb, parameter = place
        if parameter.name != name:
            continue
        missing = str(files.names['missing'])
        run = run_verb(main, [*words, *arguments_with(verb, parameter, missing, str(files.good))])
        # Each message stands for the code that says it; without the name nothing is read. Two are
        # enough: most verbs take their options from one place.
        message = run.error.replace(' '.join(words), '')
        if 'missing' in run.error and message not in walked and len(walked) < 2:
            walked.add(message)
            assert walk(main, place, files) == [], words
