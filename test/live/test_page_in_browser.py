"""The page in a real browser: it is opened, read, clicked and typed into."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip('nicegui', reason="needs NiceGUI: pip install 'emotion-estimator[live]'")

from browser import Visit, browsing

#: Milliseconds until the estimator has answered, on any machine.
SOON = 30_000
WORD = '.ee-word'


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp('live')
    command = [
        sys.executable, '-m', 'emotion_estimator.cli.main', 'live', 'portrait', '--no-browser',
        '--recordings', str(folder / 'bags'),
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            printed = server.stdout.readline().strip()
            assert printed.startswith('http://127.0.0.1:')
            yield printed
        finally:
            server.send_signal(signal.SIGINT)
            _, complaints = server.communicate(timeout=30)
    assert (server.returncode, complaints) == (0, '')
    # NiceGUI would keep files beside the user's.
    assert {path.name for path in folder.iterdir()} <= {'bags'}


@pytest.fixture(scope='module')
def browser():
    with browsing() as opened:
        yield opened


@pytest.fixture
def visit(browser, address):
    with Visit(browser, address, viewport={'width': 1280, 'height': 900}) as opened:
        opened.page.wait_for_selector(WORD, timeout=SOON)
        yield opened
        assert opened.errors == []


def text(visit, name: str) -> str:
    return visit.marked(name).inner_text()


def wait_until(visit, done) -> None:
    end = time.monotonic() + SOON / 1000
    while not done():
        assert time.monotonic() < end, visit.page.inner_text('body')
        visit.page.wait_for_timeout(50)


def test_it_asks_nobody_but_this_machine(visit, address):
    host = address.split('/')[2]
    assert visit.hosts == {host}
    assert visit.failed == []


def test_it_shows_the_face_its_label_and_the_truth(visit):
    wait_until(visit, lambda: visit.marked('picture').locator('svg rect').count())
    assert visit.marked('picture').locator('svg circle').count() > 50
    assert re.search(r'truth: (happy|sad|unknown|none)', text(visit, 'readings'))
    assert re.search(r'\d+\.\d images/s · \d+ ms', text(visit, 'figures'))
    assert visit.marked('chart').locator('canvas').count()


def test_the_space_bar_holds_the_picture_and_arrows_step(visit):
    wait_until(visit, lambda: text(visit, 'when') == 'live')
    visit.page.keyboard.press('Space')
    wait_until(visit, lambda: text(visit, 'when') != 'live')
    picture = visit.marked('picture').locator('img')
    held = picture.get_attribute('src')
    visit.page.wait_for_timeout(500)
    assert picture.get_attribute('src') == held
    visit.page.keyboard.press('ArrowLeft')
    wait_until(visit, lambda: picture.get_attribute('src') != held)
    visit.page.keyboard.press('Space')
    wait_until(visit, lambda: text(visit, 'when') == 'live')


def test_what_the_person_says_is_typed_and_shown(visit):
    field = visit.page.get_by_label('What the person says')
    field.fill('<b>I like tea</b>')
    field.press('Enter')
    wait_until(visit, lambda: '<b>I like tea</b>' in text(visit, 'chat'))
    # The browser draws the two one after the other.
    wait_until(visit, lambda: field.input_value() == '')


def test_a_page_that_stood_still_goes_on_where_it_was(visit):
    field = visit.page.get_by_label('What the person says')
    field.fill('I like t')
    visit.page.evaluate('() => { const end = Date.now() + 13000; while (Date.now() < end); }')
    wait_until(visit, lambda: text(visit, 'when') == 'live')
    visit.page.wait_for_timeout(2000)
    assert [line for line in visit.said if 'reloading' in line] == []
    assert field.input_value() == 'I like t'


def test_the_robot_speaks_with_its_reason(visit):
    wait_until(visit, lambda: 'greet' in text(visit, 'chat'))


def test_seven_labels_can_be_chosen(visit):
    visit.page.get_by_text('Source and settings').click()
    visit.page.get_by_label('Vocabulary').click()
    visit.page.get_by_role('option', name='seven').click()
    wait_until(visit, lambda: 'surprise' in text(visit, 'readings'))
    visit.page.get_by_label('Vocabulary').click()
    visit.page.get_by_role('option', name='three').click()
    wait_until(visit, lambda: 'unknown' in text(visit, 'readings'))


def test_a_source_that_is_not_there_is_said(visit):
    visit.page.get_by_text('Source and settings').click()
    visit.page.get_by_label('portrait, a device number, a file or an address').fill('/no/such.mp4')
    visit.page.get_by_role('button', name='Open').click()
    wait_until(visit, lambda: 'is not a file or folder' in visit.page.inner_text('body'))
    assert text(visit, 'title') == 'portrait'


def test_a_recording_begins_and_ends_with_one_button(visit):
    visit.marked('record').click()
    wait_until(visit, lambda: 'recording into' in visit.page.inner_text('body'))
    # A page that is opened meanwhile shows that something is recorded.
    visit.page.reload()
    wait_until(visit, lambda: visit.marked('record').inner_text() == 'stop')
    visit.page.wait_for_timeout(500)
    visit.marked('record').click()
    wait_until(visit, lambda: visit.marked('record').inner_text() != 'stop')
    wait_until(visit, lambda: re.search('recorded /.*live-', visit.page.inner_text('body')))


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_it_fits_a_phone_in_both_themes(browser, address, scheme):
    size = {'width': 390, 'height': 844}
    with Visit(browser, address, viewport=size, color_scheme=scheme) as visit:
        visit.page.wait_for_selector(WORD, timeout=SOON)
        assert visit.page.evaluate('document.documentElement.scrollWidth') <= size['width']
        dark = visit.page.evaluate("document.body.classList.contains('body--dark')")
        assert dark == (scheme == 'dark')
        visit.page.get_by_label('light or dark').click()
        wait_until(
            visit,
            lambda: dark != visit.page.evaluate("document.body.classList.contains('body--dark')"),
        )


def test_without_the_key_nothing_is_shown(address):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address.split('?')[0], timeout=10)
    assert refused.value.code == 403
