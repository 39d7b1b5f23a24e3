"""The folder that shows a replay."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from courses import course

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.frame import read_results
from emotion_estimator.replay import report as report_module
from emotion_estimator.replay.comparison import compare
from emotion_estimator.replay.limits import Limits, broken_limits
from emotion_estimator.replay.pictures import draw_results
from emotion_estimator.replay.report import write_report

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec('matplotlib') is None, reason='matplotlib is not installed'
)

RESULTS = course(['happy'] * 20 + [NONE] * 10 + ['sad'] * 5, begin=1.7e9)
WORDS = 'Is 2 < 3 & 4 > 3? It costs $5 or $6.'
ACTION = DialogueAction('check_in', 'tea', 'warm', WORDS, 'sad for 1.0 of the last 1.0 s', 'sad',
                        0.8, 'ask', 'face_1', 1.7e9 + 3.2)  # fmt: skip


class Reader(HTMLParser):
    """Collects text and pictures, and insists that every tag is closed in its order."""

    VOID = ('meta', 'img', 'br')

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.sources: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [value for name, value in attrs if name in ('src', 'href')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return ' '.join(' '.join(self.words).split())


def read(folder) -> Reader:
    return Reader((folder / 'report.html').read_text(encoding='utf-8'))


@needs_matplotlib
def test_the_folder_holds_results_numbers_picture_and_page(tmp_path):
    folder = tmp_path / 'deep' / 'report'
    write_report(folder, 'monday', RESULTS, [ACTION], ['frame 3 does not decode'])
    assert {path.name for path in folder.iterdir()} == {
        'results.jsonl', 'summary.json', 'timeline.png', 'report.html',
    }  # fmt: skip
    back = list(read_results(folder / 'results.jsonl'))
    assert [each.label for each in back] == [each.label for each in RESULTS]
    summary = json.loads((folder / 'summary.json').read_text())
    assert summary['frames'] == 35
    assert summary['seconds'] == 3.4
    assert summary['labels']['happy'] == {'frames': 20, 'share': 0.5714}
    assert summary['flips'] == 2
    assert summary['longest'][0] == {'label': 'happy', 'begin': 1.7e9, 'seconds': 2.0}
    assert summary['actions'][0]['utterance'] == WORDS
    assert summary['problems'] == ['frame 3 does not decode']
    page = read(folder)
    assert page.words.count('monday') == 2
    assert '35 frames in 3.40 s, 2 label changes (0.59 per second)' in page.text
    assert WORDS in page.text
    assert 'frame 3 does not decode' in page.text
    assert 'happy 20 57.1%' in page.text
    # Nothing is asked of anybody, and no image is in it.
    assert page.sources == []


@needs_matplotlib
def test_the_same_replay_gives_the_same_bytes(tmp_path):
    for name in 'ab':
        write_report(tmp_path / name, 'x', RESULTS, [ACTION], [])
    for path in (tmp_path / 'a').iterdir():
        assert path.read_bytes() == (tmp_path / 'b' / path.name).read_bytes(), path.name


@needs_matplotlib
def test_a_comparison_is_a_chapter_and_leaves_no_trace_in_the_next_report(tmp_path):
    found = compare(course(['happy'] * 35, begin=1.7e9), RESULTS)
    limits = broken_limits(found, Limits(min_agreement=0.98))
    write_report(tmp_path, 'x', RESULTS, [], [], found, limits)
    page = read(tmp_path)
    assert 'Compared with the expected results' in page.text
    assert (tmp_path / 'comparison.png').is_file()
    assert 'min_agreement 0.98 is broken: 0.5714; first at 1700000002.000' in page.text
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['comparison']['first_difference']['expected'] == 'happy'
    assert summary['comparison']['broken'][0]['limit'] == 'min_agreement'
    write_report(tmp_path, 'x', RESULTS, [], [])
    assert not (tmp_path / 'comparison.png').exists()
    assert 'Compared with' not in read(tmp_path).text


def test_names_and_words_cannot_become_html(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module.importlib.util, 'find_spec', lambda name: None)
    bad = '<script>alert("$title")</script>'
    odd = replace(ACTION, utterance=bad, reason='</script><b>&amp;')
    write_report(tmp_path, bad, RESULTS, [odd], [bad])
    page = read(tmp_path)
    assert page.words.count(bad) == 3
    # The chart's data and what draws it.
    assert (tmp_path / 'report.html').read_text().count('<script') == 2
    data = json.loads(next(each for each in page.words if each.startswith('{')))
    assert data['actions'][0][1:] == [f'check in: {bad}', '</script><b>&amp;']


def test_without_matplotlib_there_is_a_page_but_no_pictures_beside_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    monkeypatch.setattr(report_module.importlib.util, 'find_spec', lambda name: None)
    write_report(tmp_path, 'x', RESULTS, [], [], compare(RESULTS, RESULTS))
    page = read(tmp_path)
    assert not list(tmp_path.glob('*.png'))
    assert 'chart-data' in (tmp_path / 'report.html').read_text()
    assert 'all 1.0000 (35 of 35 frames)' in page.text


def test_nothing_read_is_a_page_that_says_so(tmp_path):
    write_report(tmp_path, 'x', [], [], ['every image is damaged'])
    page = read(tmp_path)
    assert 'No frame was read.' in page.text
    assert 'every image is damaged' in page.text
    assert json.loads((tmp_path / 'summary.json').read_text())['frames'] == 0
    assert (tmp_path / 'results.jsonl').read_text() == ''


def test_a_folder_that_cannot_be_is_one_clear_line(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match=r'report .*file cannot be written \(.*another folder'):
        write_report(tmp_path / 'file', 'x', RESULTS, [], [])


@needs_matplotlib
def test_dollar_signs_are_no_formulas(tmp_path):
    import matplotlib

    with matplotlib.rc_context({'svg.fonttype': 'none'}):
        odd = replace(ACTION, utterance=r'$\frac{$ costs $5 or $6.', emotion='$x$')
        draw_results(course(['$x$'] * 35, begin=1.7e9), [ACTION, odd], tmp_path / 'x.svg', 'a$b$c')
    drawn = (tmp_path / 'x.svg').read_text()
    assert '>a$b$c</text>' in drawn
    assert 'It costs $5 or $6.</text>' in drawn
    assert r'$\frac{$ costs $5 or $6.</text>' in drawn
    assert '>$x$</text>' in drawn


@needs_matplotlib
@pytest.mark.parametrize(
    'results', [RESULTS[:1], RESULTS[20:21], [*RESULTS, *RESULTS], course(['sad', NONE] * 30)]
)
def test_any_course_can_be_drawn(tmp_path, results):
    write_report(tmp_path, 'x', results, [ACTION], [])
    assert (tmp_path / 'timeline.png').read_bytes().startswith(b'\x89PNG')
