"""A report's page in a real browser: from disk, by mouse, touch and keys."""

from __future__ import annotations

import pytest
from browser import Visit, browsing
from courses import course

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import NONE
from emotion_estimator.replay.expectations import Expectation, Expectations, examine
from emotion_estimator.replay.report import write_report

WORDS = 'Is 2 < 3 </script>?'
ACTION = DialogueAction('check_in', 'tea', 'warm', WORDS, 'sad for 1.0 s', 'sad', 0.8, 'ask', 'f',
                        1003.2)  # fmt: skip
RESULTS = course(['happy'] * 20 + [NONE] * 10 + ['sad'] * 5, begin=1000.0)


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp('report')
    expected = Expectations((Expectation('happy', 0, 1.9), Expectation('sad', 0.5, 1.5)), ())
    findings = examine(RESULTS, [ACTION], expected)
    write_report(folder, 'visit', RESULTS, [ACTION], [], findings=findings)
    return (folder / 'report.html').as_uri()


@pytest.fixture(scope='module')
def browser():
    with browsing() as opened:
        yield opened


@pytest.fixture(params=[(1280, 'light'), (390, 'dark')], ids=['wide', 'phone'])
def visit(request, browser, address):
    width, scheme = request.param
    more = {'viewport': {'width': width, 'height': 800}, 'color_scheme': scheme}
    with Visit(browser, address, **more) as opened:
        yield opened
        assert opened.errors == []
        assert opened.failed == []
        # Files have no host.
        assert opened.hosts == {''}


def told(visit) -> str:
    return visit.page.inner_text('#told')


def test_pointing_tells_what_is_there(visit):
    chart = visit.page.locator('#chart').bounding_box()
    visit.page.mouse.move(chart['x'] + 62 + 0.3 * (chart['width'] - 72), chart['y'] + 60)
    assert told(visit).startswith('1.00 s · stamp 1001.000 · label: happy')
    assert 'happy 0.80' in told(visit)
    assert 'expected: sad, 80% expected: 0%, not met' in told(visit)


def test_keys_go_from_frame_to_frame_and_from_change_to_change(visit):
    page = visit.page
    page.focus('#chart')
    page.keyboard.press('End')
    assert told(visit).startswith('3.40 s · stamp 1003.400 · label: sad')
    page.keyboard.press('p')
    assert told(visit).startswith('3.00 s')
    page.keyboard.press('p')
    assert told(visit).startswith('2.00 s · stamp 1002.000 · label: none')
    page.keyboard.press('ArrowLeft')
    assert told(visit).startswith('1.90 s · stamp 1001.900 · label: happy')
    page.keyboard.press('Home')
    assert told(visit).startswith('0.00 s')


def test_a_time_in_a_table_leads_to_its_place_and_zoom_keeps_it(visit):
    page = visit.page
    page.click('button.time >> text=3.20 s')
    assert f'robot: check in: {WORDS} (sad for 1.0 s)' in told(visit)
    before = page.locator('#chart text').all_text_contents()
    page.click('text=zoom in')
    assert page.locator('#chart .cursor').count() == 1
    assert page.locator('#chart text').all_text_contents() != before
    page.click('button >> text=all')
    assert page.locator('#chart text').all_text_contents() == before


def test_nothing_is_wider_than_the_screen(visit):
    wide = visit.page.evaluate('document.documentElement.scrollWidth - window.innerWidth')
    assert wide <= 0


def test_what_is_not_met_is_marked_by_more_than_its_colour(visit):
    assert visit.page.locator('#chart .notmet').count() == 1
    assert visit.page.locator('#chart rect[fill="url(#unmet)"]').count() == 1
