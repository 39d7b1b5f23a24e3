"""``emotion-estimator replay`` on the made bag, whose truth is known."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from available import LANDMARK_SOURCE, TASK
from made_bag import made_bag

from emotion_estimator.bags.messages import Header
from emotion_estimator.bags.reader import open_bag, read_actions, read_emotions
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.cli import main as cli
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.frame import read_results
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.replay.comparison import agreement, compare
from emotion_estimator.replay.job import ReplayJob, run_job
from emotion_estimator.replay.run import replay
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import EstimatorSettings

SETTINGS = EstimatorSettings(landmark_source=LANDMARK_SOURCE)


def run(monkeypatch, capfd, *arguments, status=0):
    """Run the verb as the command does; return what it printed."""
    command = ['emotion-estimator', 'replay', *map(str, arguments)]
    if '--landmarks' not in command:
        command += ['--landmarks', LANDMARK_SOURCE]
    monkeypatch.setattr('sys.argv', command)
    assert cli.main() == status
    return capfd.readouterr()


def short_bag(folder, images=6, topic='/image_raw/compressed'):
    with BagWriter(folder) as writer:
        for k in range(images):
            header = Header(10**9 + k * 10**8, 'eye')
            writer.image(topic, np.zeros((64, 64, 3), np.uint8), header, 80)
    return folder


def test_it_finds_the_truth_through_the_face_landmarker_too(tmp_path):
    # The bundled face mesh is what LANDMARK_SOURCE is in most environments; users have this one.
    settings = EstimatorSettings(landmark_source='face_landmarker', face_landmarker_path=str(TASK))
    run_job(ReplayJob(made_bag(), settings=settings, results=tmp_path / 'results.jsonl'))
    found = [(r.stamp, r.label) for r in read_results(tmp_path / 'results.jsonl')]
    truth = [(r.stamp, r.label) for r in read_emotions(made_bag(), '/ground_truth')]
    assert agreement(truth, found).settled.share > 0.85


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    """Return the folder and the summary of a complete replay of the made bag."""
    folder = tmp_path_factory.mktemp('replayed')
    job = ReplayJob(
        made_bag(),
        settings=SETTINGS,
        results=folder / 'results.jsonl',
        written=folder / 'bag',
        report=folder / 'report',
    )
    return folder, run_job(job)


def test_it_finds_the_truth_of_the_recording(results):
    folder, summary = results
    found = [(r.stamp, r.label) for r in read_results(folder / 'results.jsonl')]
    assert len(found) == summary.frames == 390
    truth = [(r.stamp, r.label) for r in read_emotions(made_bag(), '/ground_truth')]
    assert agreement(truth, found).settled.share > 0.85
    assert {'continue', 'pause', 'resume'} <= {action.action for action in summary.actions}
    assert summary.problems == ()


def test_the_same_bag_gives_the_same_bytes(monkeypatch, capfd, results):
    folder, _ = results
    printed = run(monkeypatch, capfd, made_bag(), '--json').out
    assert printed == (folder / 'results.jsonl').read_text()
    for line in printed.splitlines()[:5]:
        assert set(json.loads(line)) == {'stamp', 'faces'}


def test_a_part_has_the_results_of_the_complete_bag(monkeypatch, capfd, results):
    folder, _ = results
    complete = (folder / 'results.jsonl').read_text().splitlines()
    part = run(monkeypatch, capfd, made_bag(), '--json', '--begin', 7, '--end', 9).out.splitlines()
    first = json.loads(complete[0])['stamp']
    offsets = [json.loads(line)['stamp'] - first for line in complete]
    assert part == [line for line, at in zip(complete, offsets) if 7 <= at < 9]


def looped_bag(folder):
    """Record six pictures twice over, the stamps as the first time, as of a looping player."""
    with BagWriter(folder) as writer, open_bag(short_bag(folder.parent / 'once')) as once:
        for lap in range(2):
            for message in once.messages():
                late = 1_700_000_000 * 10**9 + lap * 10**9
                writer.copy(message._replace(log_time=message.log_time + late))
    return folder


def test_results_lie_beside_their_images_whatever_the_stamps(monkeypatch, capfd, tmp_path):
    bag, written = looped_bag(tmp_path / 'loop'), tmp_path / 'written'
    printed = run(monkeypatch, capfd, bag, '--json', '--write-bag', written).out
    (tmp_path / 'printed.jsonl').write_text(printed)
    assert len(printed.splitlines()) == 12
    found = compare(list(read_results(tmp_path / 'printed.jsonl')), list(read_emotions(written)))
    assert len(found.pairs) == 12
    assert not found.missing
    with open_bag(bag) as before, open_bag(written) as after:
        assert after.duration == before.duration


def test_an_interrupted_run_leaves_nothing_that_looks_complete(monkeypatch, capfd, tmp_path):
    bag = short_bag(tmp_path / 'bag')
    arguments = [bag, '--output', tmp_path / 'out', '--write-bag', tmp_path / 'written']
    real = EmotionEstimator.__call__

    def stopped(self, frame):
        if frame.stamp > 1.3:
            raise KeyboardInterrupt
        return real(self, frame)

    with monkeypatch.context() as patch:
        patch.setattr(EmotionEstimator, '__call__', stopped)
        run(patch, capfd, *arguments, status=130)
    assert {p.name for p in tmp_path.iterdir()} == {'bag', 'out'}
    assert list((tmp_path / 'out').iterdir()) == []
    # Again, and over what a killed run left behind.
    (tmp_path / '.written.partial' / 'written').mkdir(parents=True)
    run(monkeypatch, capfd, *arguments, '--resume')
    assert len(list(read_emotions(tmp_path / 'written'))) == 6
    assert len((tmp_path / 'out' / 'bag.jsonl').read_text().splitlines()) == 6
    assert not list(tmp_path.glob('.*.partial'))
    assert not list((tmp_path / 'out').glob('.*'))


def test_a_report_that_fails_leaves_the_bag_undone(monkeypatch, capfd, tmp_path):
    (tmp_path / 'file').write_text('')
    bag = short_bag(tmp_path / 'bag')
    said = run(
        monkeypatch,
        capfd,
        bag,
        '--output',
        tmp_path / 'out',
        '--report',
        tmp_path / 'file' / 'x',
        status=2,
    )
    assert str(tmp_path / 'file') in said.err
    assert not (tmp_path / 'out' / 'bag.jsonl').exists()


def test_in_pieces_it_gives_the_same_as_at_once(results):
    folder, _ = results
    estimator = EmotionEstimator.load(SETTINGS)
    policy = DialogueManager.load(resource_dir('config') / 'dialogue.yaml')
    pieces = []
    with open_bag(made_bag()) as bag:
        first = next(iter(bag.images())).stamp
        for begin, end in ((None, first + 7.0), (first + 7.0, first + 7.1), (first + 7.1, None)):
            pieces += replay(bag.images(begin, end), estimator, policy)
    estimator.close()
    assert [frame.result.as_json() for frame in pieces] == (
        (folder / 'results.jsonl').read_text().splitlines()
    )


def test_a_part_of_it_can_be_replayed(monkeypatch, capfd):
    lines = run(monkeypatch, capfd, made_bag(), '--json', '--begin', 2, '--end', 3).out.splitlines()
    stamps = [json.loads(line)['stamp'] for line in lines]
    first = next(iter(open_bag(made_bag()).images())).stamp
    assert len(stamps) == 15
    assert first + 2 <= stamps[0] < first + 2.1
    assert stamps[-1] < first + 3


def test_the_written_bag_holds_the_input_and_the_results(results):
    folder, summary = results
    written = list(read_emotions(folder / 'bag'))
    expected = list(read_results(folder / 'results.jsonl'))
    assert compare(expected, written).overall.share == 1.0
    assert [r.stamp for r in written] == pytest.approx([r.stamp for r in expected], abs=1e-6)
    assert [a.action for a in read_actions(folder / 'bag')] == [a.action for a in summary.actions]
    with open_bag(made_bag()) as before, open_bag(folder / 'bag') as after:
        assert set(before.topics) < set(after.topics)
        assert {'/emotion', '/emotions', '/dialogue/action'} <= set(after.topics)
        assert [i.data for i in after.images()] == [i.data for i in before.images()]


def test_the_report_shows_it(results):
    folder, _ = results
    assert (folder / 'report' / 'results.jsonl').read_text() == (
        (folder / 'results.jsonl').read_text()
    )
    page = (folder / 'report' / 'report.html').read_text()
    assert '390' in page
    # Images of people are there for whoever asks for them.
    assert 'data:image' not in page


def test_pictures_of_faces_are_in_the_report_for_whoever_asks(monkeypatch, capfd, tmp_path):
    both = [shutil.copytree(made_bag(), tmp_path / name) for name in ('one', 'two')]
    for jobs in (1, 2):
        run(monkeypatch, capfd, *both, '--report', tmp_path / f'by{jobs}', '--thumbnails',
            '--jobs', jobs)  # fmt: skip
    one, two = ((tmp_path / f'by{jobs}/one/report.html').read_bytes() for jobs in (1, 2))
    assert one == two
    assert one.count(b'<img src="data:image/jpeg;base64,') > 2


EXPECTED = """\
labels:
  - {label: happy, from: 4.0, to: 6.0}
actions:
  - {action: resume, from: 0.0, to: 2.0}
"""


@pytest.mark.parametrize(('text', 'status'), [
    (EXPECTED, 0), (EXPECTED.replace('happy', 'sad'), 1), (EXPECTED.replace('resume', 'end'), 1),
    ('labels: 7', 2),
])  # fmt: skip
def test_what_is_not_as_expected_is_said_and_ends_with_1(
    monkeypatch, capfd, tmp_path, text, status
):
    (tmp_path / 'expected.yaml').write_text(text)
    said = run(monkeypatch, capfd, made_bag(), '--expect', tmp_path / 'expected.yaml',
               '--report', tmp_path / 'report', '--end', 7, status=status)  # fmt: skip
    told = [line for line in said.err.splitlines() if line.startswith('emotion-estimator:')]
    assert len(told) == (status > 0)
    if status < 2:
        summary = json.loads((tmp_path / 'report' / 'summary.json').read_text())
        assert sum(not each['met'] for each in summary['expected']) == status
        assert ('not met' in (tmp_path / 'report' / 'report.html').read_text()) == (status == 1)


def test_several_bags_at_once_give_what_each_gives(monkeypatch, capfd, tmp_path, results):
    folder, _ = results
    other = shutil.copytree(made_bag(), tmp_path / 'other')
    same = shutil.copytree(made_bag(), tmp_path / 'same')
    bad = tmp_path / 'bad'
    bad.mkdir()
    said = run(
        monkeypatch, capfd, other, bad, same, '--output', tmp_path / 'out', '--jobs', 2, status=2
    )
    assert '1 of 3 bags could not be replayed' in said.err
    assert f'{bad}: ' in said.err
    for name in ('other', 'same'):
        assert (tmp_path / 'out' / f'{name}.jsonl').read_bytes() == (
            (folder / 'results.jsonl').read_bytes()
        )
    # Called again, only what is missing is done.
    before = (tmp_path / 'out' / 'same.jsonl').stat().st_mtime_ns
    (tmp_path / 'out' / 'other.jsonl').unlink()
    run(monkeypatch, capfd, other, same, '--output', tmp_path / 'out', '--resume')
    assert (tmp_path / 'out' / 'other.jsonl').is_file()
    assert (tmp_path / 'out' / 'same.jsonl').stat().st_mtime_ns == before


def test_the_robots_parameter_file_counts(monkeypatch, capfd, tmp_path):
    params = tmp_path / 'robot.yaml'
    params.write_text('estimator: {ros__parameters: {max_rate_hz: 5.0}}\n')
    bag = short_bag(tmp_path / 'bag', images=11)
    lines = run(monkeypatch, capfd, bag, '--json', '--params', params).out.splitlines()
    assert len(lines) == 6


def test_the_policy_may_name_topics_of_a_conversation_of_its_own(monkeypatch, capfd, tmp_path):
    policy, conversation = tmp_path / 'policy.yaml', tmp_path / 'talk.yaml'
    policy.write_text(
        'turn_taking: false\n'
        'rules: [{name: to cats, emotion: none, held_for: 0.3, action: change_topic, topic: cats}]'
    )
    conversation.write_text('topics: {dogs: {name: dogs}, cats: {name: cats}}')
    bag = short_bag(tmp_path / 'bag')
    said = run(monkeypatch, capfd, bag, '--policy', policy, status=2)
    assert "rule 'to cats': topic 'cats' is not in" in said.err
    said = run(monkeypatch, capfd, bag, '--policy', policy, '--conversation', conversation)
    assert 'change_topic (to cats): no face' in said.out


def test_bad_images_are_reported_and_skipped(monkeypatch, capfd, tmp_path):
    bag = tmp_path / 'bag'
    with BagWriter(bag) as writer, open_bag(short_bag(tmp_path / 'good')) as good:
        for k, message in enumerate(good.messages()):
            if k == 2:
                begin = message.data.index(b'\xff\xd8\xff')
                picture = bytes(len(message.data) - begin)
                message = message._replace(data=message.data[:begin] + picture)
            writer.copy(message)
    said = run(monkeypatch, capfd, bag, '--json')
    assert len(said.out.splitlines()) == 5
    assert '1 images do not decode, first at 1.200000 s' in said.err


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['/nowhere/bag'], '/nowhere/bag'),
        (['{short}', '{short2}', '--json'], '--json is for one bag'),
        (['{short}', '--resume'], '--resume needs --output'),
        (['{short}', '--begin', '3', '--end', '2'], '--end 2 is not after --begin 3'),
        (['{short}', '--scheduler', 'tcp://x:1'], '--scheduler is for --engine dask'),
        (['{short}', '--topic', '/other'], '/other'),
        (['{short}', '--params', '/nowhere.yaml'], '/nowhere.yaml'),
        (['{short}', '{short}', '--output', 'x'], 'two bags are named'),
        (['{short}', '--write-bag', '{short2}'], 'exists'),
        (['{short}', '--output', '/proc/nope'], '/proc/nope'),
        (['{short}', '--begin', '100'], 'no image later than 100 s after the first'),
        (['{short}', '--report', '{short2}'], 'is a bag'),
        (['{short}', '--thumbnails'], '--thumbnails are for --report'),
        (['{short}', '--expect', '/nowhere.yaml'], '/nowhere.yaml'),
        (['{short}', '--expect', 'x.yaml', '--begin', '1'], 'from its first image'),
        (['{short}', '--expect', 'x.yaml', '--output', 'x', '--resume'], 'from its first image'),
    ],
)
def test_bad_usage_and_input_give_one_line(monkeypatch, capfd, tmp_path, arguments, says):
    places = {'short': short_bag(tmp_path / 'one'), 'short2': short_bag(tmp_path / 'two')}
    said = run(monkeypatch, capfd, *(a.format(**places) for a in arguments), status=2)
    assert says in said.err
    assert 'Traceback' not in said.err
    assert len(said.err.strip().splitlines()) == 1


def torn_bag(folder):
    """Write a bag of eight images: one is twice there, one does not decode, two are lost."""
    with BagWriter(folder.parent / 'whole') as writer:
        for k in range(6):
            writer.image('/image', np.full((64, 64, 3), k, np.uint8), Header(10**9 + k * 10**8))
    with open_bag(folder.parent / 'whole') as whole, BagWriter(folder) as writer:
        for k, message in enumerate(whole.messages()):
            writer.copy(message if k != 2 else message._replace(data=message.data[:60]))
            if k == 4:
                writer.copy(message)
    metadata = folder / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('message_count: 7', 'message_count: 9'))
    return folder


TORN = {'do not decode': 1, 'missing or damaged': 2, 'recorded twice': 1}


def test_it_ends_with_the_account(monkeypatch, capfd, tmp_path):
    bag = torn_bag(tmp_path / 'bag')
    said = run(monkeypatch, capfd, bag, '--report', tmp_path / 'report')
    line = said.err.splitlines()[-1]
    assert line.startswith(f'{bag}: declared 9 images, read 5, left out 4: ')
    assert all(f'{count} {reason}' in line for reason, count in TORN.items())
    account = {'unit': 'images', 'declared': 9, 'read': 5, 'left_out': TORN}
    assert json.loads((tmp_path / 'report/summary.json').read_text())['account'] == account
    assert line.removeprefix(f'{bag}: ') in (tmp_path / 'report/report.html').read_text()
    said = run(monkeypatch, capfd, bag, '--json', '--strict', status=3)
    assert len(said.out.splitlines()) == 5
    assert json.loads(said.err.splitlines()[-1]) == {'file': str(bag), 'account': account}


def test_what_nobody_asked_for_is_not_left_out(monkeypatch, capfd, tmp_path):
    bag = short_bag(tmp_path / 'bag', images=10)
    for options, words in (
        ((), 'declared 10 images, read 10'),
        (('--begin', 0.55), 'declared 4 images, read 4'),
        (('--end', 0.55), 'read 6 images'),
        (('--begin', 0.25, '--end', 0.55), 'read 3 images'),
    ):
        said = run(monkeypatch, capfd, bag, '--strict', *options)
        assert said.err.splitlines()[-1] == f'{bag}: {words}'


def test_images_above_the_rate_are_left_out(monkeypatch, capfd, tmp_path):
    bag = short_bag(tmp_path / 'bag', images=10)
    (tmp_path / 'slow.yaml').write_text('estimator: {ros__parameters: {max_rate_hz: 5.0}}')
    said = run(monkeypatch, capfd, bag, '--params', tmp_path / 'slow.yaml', '--strict', status=3)
    assert said.err.splitlines()[-1] == (
        f'{bag}: declared 10 images, read 5, left out 5: 5 above max_rate_hz'
    )


def test_each_of_several_bags_has_its_account(monkeypatch, capfd, tmp_path):
    bags = [short_bag(tmp_path / 'good'), torn_bag(tmp_path / 'torn')]
    said = run(monkeypatch, capfd, *bags, '--jobs', 1, '--strict', status=3)
    accounts = [line for line in said.err.splitlines() if 'declared' in line]
    assert f'{bags[0]}: declared 6 images, read 6' in accounts
    assert sum('left out 4' in line for line in accounts) == 1
