"""The bill of materials that `make sbom` writes: complete, with hashes and licences, and valid."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip('cyclonedx_py', reason='needs cyclonedx-bom, from requirements/test.lock')

ROOT = Path(__file__).parents[2]
LOCK = ROOT / 'requirements' / 'demo.lock'
#: Their wheels name no licence in any way that a program can read.
NO_LICENCE = {'ros-fastcdr', 'ros-fastdds', 'ros-kilted-rclpy', 'setuptools'}


@pytest.fixture(scope='module')
def script() -> dict:
    return runpy.run_path(str(ROOT / 'scripts' / 'write_sbom.py'))


def run(script, monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, 'argv', ['write_sbom.py', *map(str, arguments)])
    return script['main']()


@pytest.fixture(scope='module')
def written(script, tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp('sbom') / 'new' / 'sbom.cdx.json'
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(script, monkeypatch, '--output', file) == 0
    return file.read_text()


@pytest.fixture(scope='module')
def components(written) -> dict[str, dict]:
    return {one['name'].lower(): one for one in json.loads(written)['components']}


def test_it_is_cyclonedx_by_the_schema(script, written):
    validator = script['JsonStrictValidator'](script['SchemaVersion'].V1_6)
    assert validator.validate_str(written) is None
    document = json.loads(written)
    assert (document['bomFormat'], document['specVersion']) == ('CycloneDX', '1.6')
    assert document['metadata']['component']['name'] == 'emotion-estimator'
    assert document['metadata']['timestamp']
    # The validator looks: a hash that is none is found.
    document['components'][0]['hashes'] = [{'alg': 'SHA-256', 'content': 'none'}]
    assert validator.validate_str(json.dumps(document)) is not None


def test_every_package_of_the_lock_file_is_there_with_the_hashes_that_pip_checks(components):
    text = LOCK.read_text()
    blocks = re.findall(r'^(\S+)==(\S+) (\\\n(?: +--hash=\S+(?: \\)?\n?)+)', text, re.MULTILINE)
    assert len(blocks) == text.count('==')
    packages = {n: one for n, one in components.items() if one['type'] == 'library'}
    assert {name.replace('_', '-').replace('.', '-') for name in packages} == {
        name for name, _, _ in blocks
    }
    for name, version, hashes in blocks:
        package = next(p for n, p in packages.items() if re.sub('[_.]', '-', n) == name)
        assert package['version'] == version
        assert package['purl'].startswith('pkg:pypi/')
        found = {
            one['content']
            for reference in package['externalReferences']
            for one in reference.get('hashes', ())
        }
        assert found == set(re.findall('sha256:([0-9a-f]{64})', hashes))


def test_licences_are_named_wherever_they_are_known(components):
    assert {name for name, one in components.items() if not one.get('licenses')} <= NO_LICENCE
    (manifest,) = components['ros-rclpy']['licenses']
    assert manifest['license']['name'] == 'Apache License 2.0'


def test_models_and_data_are_there_with_their_checksums(components):
    models = [file for kind in ('tflite', 'npz', 'task') for file in ROOT.glob(f'models/*.{kind}')]
    pictures = [f for f in ROOT.glob('emotion_estimator/*/data/*') if f.suffix in ('.jpg', '.png')]
    assert models and pictures
    for file in (*models, *pictures):
        one = components[file.relative_to(ROOT).as_posix().lower()]
        assert one['hashes'] == [
            {'alg': 'SHA-256', 'content': hashlib.sha256(file.read_bytes()).hexdigest()}
        ]
        assert one['licenses'] and one['description']
        assert one['type'] == ('machine-learning-model' if file in models else 'data')
    card = json.loads((ROOT / 'models' / 'emotion_lstm.json').read_text())
    assert components['models/emotion_lstm.tflite']['version'] == card['version']


def test_the_package_depends_on_all_and_packages_on_each_other(written):
    document = json.loads(written)
    needs = {one['ref']: one.get('dependsOn', []) for one in document['dependencies']}
    references = {one['bom-ref'] for one in document['components']}
    assert set(needs[document['metadata']['component']['bom-ref']]) == references
    (mediapipe,) = (ref for ref in needs if ref.startswith('mediapipe=='))
    assert any(ref.startswith('numpy==') for ref in needs[mediapipe])


def test_another_environment_is_refused_in_one_line(script, monkeypatch, tmp_path, capsys, written):
    described = script['Bom'].from_json(json.loads(written))
    monkeypatch.setitem(script['main'].__globals__, 'described_environment', lambda: described)
    lock = tmp_path / 'demo.lock'
    lock.write_text(LOCK.read_text().replace('\npip==', '\npip==0.'))
    assert run(script, monkeypatch, '--lock', lock, '--output', tmp_path / 'sbom.json') == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and error.endswith('; run make setup\n')
    assert re.match(r'write_sbom: demo.lock names pip 0.[\d.]+, but this environment has ', error)
    assert not (tmp_path / 'sbom.json').exists()


def test_a_model_that_is_not_its_cards_is_refused(script, tmp_path):
    shutil.copytree(ROOT / 'models', tmp_path / 'models')
    shutil.copy(ROOT / 'THIRD_PARTY.md', tmp_path)
    assert len(list(script['shipped_files'](tmp_path))) > 5
    (tmp_path / 'models' / 'speaking.npz').write_bytes(b'other')
    with pytest.raises(script['SbomError'], match=r'models/speaking\.npz is not what its card'):
        list(script['shipped_files'](tmp_path))
