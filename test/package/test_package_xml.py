"""package.xml, setup.py and CMakeLists.txt name what the code needs: no more and no less."""

from __future__ import annotations

import ast
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

catkin_package = pytest.importorskip('catkin_pkg.package')

ROOT = Path(__file__).parents[2]
PACKAGE = 'emotion_estimator'
# Keys and pip's names whose module has another name.
MODULES = {
    'backports.zstd': 'backports',
    'opencv-python-headless': 'cv2',
    'python3-opencv': 'cv2',
    'pillow': 'PIL',
    'python3-pil': 'PIL',
    'scikit-learn': 'sklearn',
    'PyYAML': 'yaml',
}
# Needed by the generated messages, which are not in the sources.
GENERATED_USE = {'rosidl_default_runtime'}
# Started as programs: key and how the code calls it.
PROGRAMS = {'rosbag2': "'ros2', 'bag', "}
# What CMake tests with.
CMAKE_TESTS = {'ament_lint_auto', 'ament_lint_common'}
# Used where they are installed, and done without where not.
OPTIONAL = {
    'bondpy', 'distributed', 'hri_actions_msgs', 'hri_msgs', 'py_trees', 'tf2_msgs',
    'tts_msgs',
}  # fmt: skip
# The same, for language models: the extras `llm` and `mcp`, what comes with them, and what the
# examples and tests use.
OPTIONAL |= {
    'gguf', 'jsonschema', 'livekit', 'mcp', 'openai', 'pipecat', 'pydantic', 'uvicorn',
}  # fmt: skip
# For `make sbom`.
OPTIONAL |= {'cyclonedx_py'}
# No rosdep key has these; rosbags, which has one, brings them. Python 3.14 has `compression`.
WITH_ROSBAGS = {'apsw', 'backports', 'compression', 'lz4'}
# No key either: requirements/robot.txt installs it. Films need it, nothing else does.
FOR_FILMS = {'av'}
# Nor have these, which the page in the browser and its tests need.
FOR_THE_PAGE = {'fastapi', 'nicegui', 'playwright'}
# Named in a variable, so that no import of it is to be seen.
LITERT = 'ai_edge_litert'
TRAINING = ROOT / 'training' / f'{PACKAGE}_training'

# Loaded by pytest, which is there then.
PLUGIN = ROOT / PACKAGE / 'replay' / 'pytest_plugin.py'


def sources(*folders: Path, but: Iterable[Path] = ()) -> list[Path]:
    found = [file for folder in folders for file in sorted(folder.rglob('*.py'))]
    return [file for file in found if not set(but) & {file, *file.parents}]


INSTALLED = (
    *sources(ROOT / PACKAGE, ROOT / 'launch', but=(PLUGIN,)),
    *(file for file in (ROOT / 'scripts').iterdir() if file.is_file() and not file.suffix),
)
# Folders whose files tests import from each other.
SHARED = ('test/helpers', 'test/helpers/stand_ins', 'test/nodes', 'benchmarks', 'reliability')
LOCAL = {PACKAGE, TRAINING.name, *(file.stem for folder in SHARED
                                   for file in (ROOT / folder).glob('*.py'))}  # fmt: skip


def named_by(node: ast.AST) -> Iterator[str]:
    """Yield the modules that an import, or a call of import_module with a constant, names."""
    match node:
        case ast.Import(names=names):
            yield from (name.name for name in names)
        case ast.ImportFrom(module=str(module), level=0):
            yield module
        case ast.Call(func=ast.Attribute(attr='import_module' | 'importorskip'),
                      args=[ast.Constant(value=str(module)), *_]):  # fmt: skip
            yield module


def imported(files: Iterable[Path]) -> set[str]:
    """Return the top-level packages imported in ``files`` that Python itself does not have."""
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    names = {name.partition('.')[0] for node in nodes for name in named_by(node)}
    return names - sys.stdlib_module_names - LOCAL


def module_of(name: str) -> str:
    """Return what the package of a rosdep key, or of a requirement of pip, is imported as."""
    bare = re.split(r'[\[<>=!~ ]', name)[0]
    plain = bare.removeprefix('python3-').removesuffix('-pip')
    return MODULES.get(bare, plain.lower().replace('-', '_'))


@cache
def declared(*kinds: str) -> set[str]:
    package = catkin_package.parse_package(str(ROOT / 'package.xml'))
    return {entry.name for kind in kinds for entry in getattr(package, f'{kind}_depends')}


def setup_arguments(monkeypatch) -> dict:
    given: dict = {}
    monkeypatch.setattr('setuptools.setup', lambda **arguments: given.update(arguments))
    runpy.run_path(str(ROOT / 'setup.py'))
    return given


def test_rosdep_installs_what_the_installed_code_imports():
    wanted = {module_of(key) for key in declared('exec') - GENERATED_USE - set(PROGRAMS)}
    assert imported(INSTALLED) - OPTIONAL - WITH_ROSBAGS - FOR_FILMS - FOR_THE_PAGE == wanted


@pytest.mark.parametrize('key', PROGRAMS)
def test_rosdep_installs_what_the_installed_code_starts(key):
    assert key in declared('exec')
    assert any(PROGRAMS[key] in file.read_text() for file in INSTALLED)


def test_rosdep_installs_what_the_tests_import():
    files = sources(ROOT / 'test')
    wanted = {module_of(key) for key in declared('test') - CMAKE_TESTS}
    # catkin_pkg comes with colcon.
    known = {module_of(key) for key in declared('exec')} | OPTIONAL | WITH_ROSBAGS | FOR_FILMS
    assert imported(files) - known - FOR_THE_PAGE - {'catkin_pkg', 'setuptools'} == wanted


def test_what_is_optional_is_imported_late():
    assert not OPTIONAL & declared('exec', 'build', 'test')
    for file in INSTALLED:
        for node in ast.parse(file.read_text()).body:
            assert not OPTIONAL & {name.partition('.')[0] for name in named_by(node)}, file


def test_only_the_page_needs_nicegui():
    page = ROOT / PACKAGE / 'live' / 'page.py'
    assert FOR_THE_PAGE - {'playwright'} <= imported([page])
    assert not FOR_THE_PAGE & imported([file for file in INSTALLED if file.name != page.name])


def test_only_films_need_pyav(tmp_path):
    (tmp_path / 'av.py').write_text("raise ModuleNotFoundError('none', name='av')")
    film = tmp_path / 'a.avi'
    film.write_bytes(b'RIFF\0\0\0\0AVI LIST')
    script = """
import importlib, pkgutil, sys
import emotion_estimator.sources
from emotion_estimator.errors import InputError
from emotion_estimator.sources.open_source import open_source
for each in pkgutil.iter_modules(emotion_estimator.sources.__path__):
    if each.name not in ('film', 'film_alpha'):
        importlib.import_module(f'emotion_estimator.sources.{each.name}')
next(open_source('portrait').frames())
try:
    open_source(sys.argv[1])
except InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, '-P', '-c', script, str(film)],
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{ROOT}'}, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.stdout.startswith(f'video {film} needs PyAV'), done.stderr


def test_pip_and_rosdep_install_the_same(monkeypatch):
    given = setup_arguments(monkeypatch)
    of_pip = {module_of(n) for n in (*given['install_requires'], *given['extras_require']['demo'])}
    keys = {key for key in declared('exec') if key.startswith('python3-')}
    assert of_pip - {LITERT} - WITH_ROSBAGS - FOR_FILMS == {module_of(key) for key in keys}
    assert LITERT in of_pip


def test_pip_installs_what_training_imports(monkeypatch):
    tomllib = pytest.importorskip('tomllib', reason='Python 3.10 has none')
    given = tomllib.loads((TRAINING.parent / 'pyproject.toml').read_text())['project']
    wanted = {module_of(name) for name in given['dependencies']} - {'dask'}
    robot = {module_of(name) for name in setup_arguments(monkeypatch)['install_requires']}
    files = [*sources(TRAINING), ROOT / PACKAGE / 'worker_pool.py']
    found = imported(files)
    assert found - {PACKAGE} <= wanted | {'distributed'}
    # Of what the robot's package installs too, all that training imports itself is named again.
    assert wanted - {PACKAGE, LITERT} - found == set()
    assert found & robot <= wanted


def test_cmake_finds_what_is_declared_for_the_build():
    text = (ROOT / 'CMakeLists.txt').read_text()
    found = set(re.findall(r'find_package\((\w+) REQUIRED\)', text))
    assert found == declared('build', 'buildtool')
    # Tests are an offer: without their tools the package is built all the same.
    assert {*re.findall(r'find_package\((\w+) QUIET\)', text), 'ament_lint_common'} == CMAKE_TESTS
    assert declared('test') >= CMAKE_TESTS


def test_messages_use_what_is_declared_and_exported():
    fields = '\n'.join(file.read_text() for file in (ROOT / 'msg').glob('*.msg'))
    used = set(re.findall(r'^(\w+)/', fields, re.M)) - {PACKAGE}
    assert used == declared('build') == declared('build_export')
    text = (ROOT / 'CMakeLists.txt').read_text()
    for keyword in ('DEPENDENCIES', 'ament_export_dependencies\\(rosidl_default_runtime'):
        (names,) = re.findall(rf'{keyword} ([\w ]+)', text)
        assert set(names.split()) == used


def test_one_licence_everywhere(monkeypatch):
    given = setup_arguments(monkeypatch)
    package = catkin_package.parse_package(str(ROOT / 'package.xml'))
    (licence,) = package.licenses
    assert licence == given['license'] == 'Apache-2.0'
    text = (ROOT / package.licenses[0].file).read_text()
    assert 'Apache License' in text and 'Version 2.0' in text
    assert package.version == given['version']


def test_the_validator_of_ros_has_no_complaint():
    warnings: list[str] = []
    catkin_package.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    assert warnings == []


@pytest.mark.filterwarnings('ignore:.*traverse:DeprecationWarning')
def test_the_changelog_is_one_that_the_release_tools_read():
    changelog = pytest.importorskip('catkin_pkg.changelog')
    text = (ROOT / 'CHANGELOG.rst').read_text()
    # What catkin_prepare_release writes in place of the word.
    released = re.sub(r'\(forthcoming\)', '(2026-01-01)', text)
    read = changelog.populate_changelog_from_rst(changelog.Changelog(PACKAGE), released)
    versions = {version: content for version, _, content in read.foreach_version()}
    package = catkin_package.parse_package(str(ROOT / 'package.xml'))
    assert versions[package.version]
    assert len(versions) == len(re.findall(r'^\d+\.\d+\.\d+ \(', text, re.M))


def test_rosdoc2_reads_what_package_xml_names():
    package = catkin_package.parse_package(str(ROOT / 'package.xml'))
    (file,) = (export.content for export in package.exports if export.tagname == 'rosdoc2')
    kind, config = yaml.safe_load_all((ROOT / file).read_text())
    # What rosdoc2 refuses to go without.
    assert kind == {'type': 'rosdoc2 config', 'version': 1}
    (builder,) = config['builders']
    assert (ROOT / config['settings']['python_source'] / '__init__.py').is_file()
    assert list((ROOT / builder['sphinx']['user_doc_dir']).glob('*.md'))


def test_the_package_says_where_it_is_from():
    package = catkin_package.parse_package(str(ROOT / 'package.xml'))
    domains = {maintainer.email.partition('@')[2] for maintainer in package.maintainers}
    assert {url.type for url in package.urls} >= {'website'}
    for url in package.urls:
        assert re.fullmatch(r'https://([\w.-]+)(/\S*)?', url.url)[1] in {*domains, 'github.com'}
