"""The only YAML reader: duplicate keys are refused everywhere, in one line that names the file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.bags.files import check_bag
from emotion_estimator.errors import InputError
from emotion_estimator.settings import EstimatorSettings, load_parameters
from emotion_estimator.simulation.script import load_script
from emotion_estimator.strict_yaml import describe, read_yaml

#: PyYAML writes 1e+16 as `1e+16`, which YAML 1.1 takes for text.
FINITE = st.floats(-1e15, 1e15).filter(lambda number: number == 0 or abs(number) > 1e-3)
ROOT = Path(__file__).parents[1]
CODE = (
    'emotion_estimator',
    'training/emotion_estimator_training',
    'benchmarks',
    'launch',
    'scripts',
)


def _written(folder: Path, text: str, name: str = 'file.yaml') -> Path:
    path = folder / name
    path.write_text(text, encoding='utf-8')
    return path


def test_a_document_is_read(tmp_path):
    assert read_yaml(_written(tmp_path, 'a: [1, 2.5, é]\n')) == {'a': [1, 2.5, 'é']}
    assert read_yaml(_written(tmp_path, '')) is None


@pytest.mark.parametrize(
    ('text', 'line', 'key'),
    [
        ('a: 1\nb: 2\na: 3\n', 3, "'a'"),
        ('outer:\n  a: 1\n  "a": 2\n', 3, "'a'"),
        ('- {a: 1, a: 1}\n', 1, "'a'"),
        ('1: x\n1: y\n', 2, "'1'"),
    ],
)
def test_a_duplicate_key_is_refused(tmp_path, text, line, key):
    path = _written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_yaml(path)
    assert str(caught.value) == (
        f'{path}: invalid YAML in line {line} (key {key} occurs twice); correct it'
    )


MERGES = 'a0: &a0 {k0: 1}\n' + ''.join(
    f'a{i}: &a{i} {{<<: [{", ".join([f"*a{i - 1}"] * 9)}], k{i}: 1}}\n' for i in range(1, 10)
)


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        (MERGES, 'merge keys'),
        ('base: &base {a: 1}\nmine: {<<: *base}\n', 'in line 2 (merge keys'),
        ('a: !!timestamp "x"\n', "could not determine a constructor for the tag 'tag:yaml.org"),
        ('a: !!bool "x"\n', 'cannot be read'),
        ('a: !!int "1:30"\n', 'sexagesimal'),
        ('a: &a [*a]\n', 'alias to what it is part of'),
        ('[' * 5000, 'nested more than 40 deep'),
        ('a:\n' + ''.join(' ' * i + 'b:\n' for i in range(1, 60)), 'nested more than 40 deep'),
        (f'a: {"9" * 5000}\n', 'a number of 5000 characters'),
        ('a: "\\ud800"\n', 'surrogate'),
        ('a: ' + 'x' * 300_000, 'larger than 256 kB'),
        (
            'a0: &a0 [x]\n'
            + ''.join(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 10)}]\n' for i in range(1, 10)),
            'aliases written out',
        ),
    ],
)
def test_what_hangs_or_breaks_a_reader_is_one_line(tmp_path, text, says):
    with pytest.raises(InputError) as caught:
        read_yaml(_written(tmp_path, text))
    assert says in str(caught.value)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_dates_and_times_are_text(tmp_path):
    text = 'a: [2024-13-45, 2024-01-31, 1:30, 12:30:45.5, 010, 0x1F, .inf, yes, ~, 1_000, -2.5]\n'
    assert read_yaml(_written(tmp_path, text))['a'] == [
        '2024-13-45', '2024-01-31', '1:30', '12:30:45.5', 8, 31, float('inf'), True, None, 1000,
        -2.5,
    ]  # fmt: skip


def test_one_key_in_two_mappings_is_no_duplicate(tmp_path):
    assert read_yaml(_written(tmp_path, 'x: {a: 1}\ny: {a: 2}\n'))['y'] == {'a': 2}


def test_a_second_document_is_refused(tmp_path):
    with pytest.raises(InputError, match=r'line 2 .*another document'):
        read_yaml(_written(tmp_path, 'a: 1\n---\nb: 2\n'))


# ROS 2 merges a node's two entries, PyYAML would drop the first: refused rather than run apart.
@pytest.mark.parametrize(
    'text',
    [
        '/**: {ros__parameters: {max_faces: 2}}\n/**: {ros__parameters: {reset_gap: 3.0}}\n',
        'estimator:\n  ros__parameters:\n    max_faces: 2\n\n    max_faces: 3\n',
    ],
)
def test_parameter_files_hold_no_duplicate_keys(tmp_path, text):
    path = _written(tmp_path, text)
    with pytest.raises(InputError, match=r'file\.yaml: invalid YAML in line \d .* occurs twice'):
        load_parameters(path, 'estimator', EstimatorSettings)


def test_a_bag_with_a_duplicate_key_in_its_metadata_is_refused(tmp_path):
    _written(tmp_path, 'rosbag2_bagfile_information: {a: 1, a: 2}\n', 'metadata.yaml')
    with pytest.raises(InputError, match=r"metadata\.yaml: invalid YAML in line 1 \(key 'a'"):
        check_bag(tmp_path, ('/image_raw',))


def test_a_script_with_a_duplicate_key_is_refused(tmp_path):
    path = _written(tmp_path, 'steps:\n- {shows: sad, for: 1, for: 2}\n')
    with pytest.raises(InputError, match=r"in line 2 \(key 'for' occurs twice\)"):
        load_script(path)


def test_nothing_else_loads_yaml():
    door = ROOT / 'emotion_estimator' / 'strict_yaml.py'
    others = []
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob('*')):
            is_code = path.suffix == '.py' or (folder == 'scripts' and not path.suffix)
            if path.is_file() and is_code and path != door and _loads_yaml(path):
                others.append(str(path.relative_to(ROOT)))
    assert not others, f'use strict_yaml.read_yaml in {", ".join(others)}'
    assert _loads_yaml(door)


def _loads_yaml(path: Path) -> bool:
    """Return whether a file refers to one of PyYAML's loading functions."""
    used: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and node.module == 'yaml':
            used.update(alias.name for alias in node.names)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == 'yaml':
            used.add(node.attr)
    return any('load' in name.lower() for name in used)


#: Pieces that YAML is made of, and some that broke readers.
PIECES = st.sampled_from(
    ['a', 'b', ': ', '- ', '? ', '\n', '  ', '{', '}', '[', ']', ', ', '"', "'", '&a ', '*a', '<<',
     '!!', '!!int ', '!!timestamp ', '!!bool ', '!!python/object:x ', '|', '>', '#', '%', '---\n',
     '...', '~', '1:30', '0x_', '0b', '0o9', '08', '1_', '-.inf', '.nan', '2024-99-99', '1e400',
     '9' * 70, '\\ud800', '\\UFFFFFFFF', '\x00', '\x1b', '\t', '\ufeff', '\ud800', '\u2028']
)  # fmt: skip


@pytest.fixture(scope='module')
def some_file(tmp_path_factory):
    return tmp_path_factory.mktemp('yaml') / 'file.yaml'


@given(
    st.binary()
    | st.lists(PIECES, max_size=30).map(lambda each: ''.join(each).encode(errors='surrogatepass'))
)
def test_any_file_is_read_or_refused_in_one_line(some_file, data):
    some_file.write_bytes(data)
    try:
        value = read_yaml(some_file)
    except InputError as error:
        assert str(error).isprintable()
        assert len(str(error)) < len(str(some_file)) + 300
    else:
        assert all(type(each) in KINDS for each in flattened(value))


KINDS = (type(None), bool, int, float, str, list, dict)


def flattened(value):
    yield value
    if isinstance(value, (list, dict)):
        for each in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from flattened(each)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**50), 10**50) | st.text() | FINITE,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=15,
    )
)
def test_what_is_written_is_read(some_file, value):
    # Without what YAML forbids, and what a quoted line break folds.
    some_file.write_text(yaml.safe_dump(value, width=10**9), 'utf-8')
    assert read_yaml(some_file) == value


@given(st.recursive(
    st.none() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30,
))  # fmt: skip
def test_any_value_is_described_in_a_few_printable_characters(value):
    words = describe(value)
    assert words.isprintable()
    assert 0 < len(words) <= 40
