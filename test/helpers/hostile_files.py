"""Files that nobody should open without looking, made for tests: one of each kind that hurt."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path

#: Digits of a number that Python refuses to convert.
_LONG = '9' * 5000
#: Beyond every cap: takes no space on the disk.
_ENDLESS = 64 << 30

_YAML = {
    # In lines: PyYAML takes a tenth of a second for so many brackets in one.
    'deep': '[\n' * 5000,
    'deep_blocks': '\n'.join(f'{" " * n}a:' for n in range(400)),
    'merge': 'a: &a {x: 1}\nb: {<<: *a}\n',
    'merge_bomb': 'a0: &a0 {x: 1}\n'
    + ''.join(f'a{n}: &a{n} {{<<: [{", ".join([f"*a{n - 1}"] * 9)}]}}\n' for n in range(1, 20)),
    'aliases': 'a0: &a0 [1]\n'
    + ''.join(f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]\n' for n in range(1, 20)),
    'recursive': '&a [*a]\n',
    'recursive_field': 'steps: &a {shows: *a, for: 1}\n',
    'timestamp_tag': 'when: !!timestamp "x"\n',
    'impossible_date': 'when: 2024-99-99\n',
    'object_tag': 'when: !!python/object/apply:os.getcwd []\n',
    'int_tag': 'when: !!int "x"\n',
    'long_number': f'rate: {_LONG}\n',
    'long_number_in_parameters': f'estimator: {{ros__parameters: {{max_faces: {_LONG}}}}}\n',
    'long_hexadecimal': f'rate: 0x{"f" * 5000}\n',
    'wrong_types': 'estimator: {ros__parameters: {max_faces: [1, {a: b}], 1: 2, ? [a, b] : c}}\n',
    'long_value': f'estimator: {{ros__parameters: {{model: [{"x, " * 1000}]}}}}\n',
    'escapes': 'estimator: {ros__parameters: {"\\e[31m\\n\\e]0;title\\a": 1}}\n"\\e[2J\\n": 1\n',
    'surrogate': 'about: "\\ud800"\n',
    'beyond_unicode': 'about: "\\UFFFFFFFF"\n',
    'documents': 'a: 1\n---\na: 2\n',
    'list': '[1, 2]\n',
    'unhashable_key': '? {a: b}\n: c\n',
}
_FACE = {
    'face_id': '1', 'label': 'happy', 'confidence': 1.0, 'probabilities': {'happy': 1.0},
    'roi': [0, 0, 9, 9],
}  # fmt: skip


def _result(**changed: object) -> str:
    return json.dumps({'stamp': 1.0, 'faces': [{**_FACE, **changed}]})


_JSON = {
    # Larger than YAML files may be, which a reader of YAML is to see first.
    'deep': '[' * 300_000,
    'deep_fields': '{"stamp":' * 100_000,
    'huge_number': f'{{"stamp": 1{"0" * 400}, "faces": []}}',
    'long_number': f'{{"stamp": {_LONG}, "faces": []}}',
    'overflow': '{"stamp": 1e400, "faces": []}',
    'nan': '{"stamp": NaN, "faces": []}',
    'stamp_is_text': '{"stamp": "x\\u001b[2J\\n", "faces": []}',
    'faces_is_number': '{"stamp": 1, "faces": 1}',
    'surrogate': _result(label='\ud800'),
    'roi_overflow': '{"stamp": 1, "faces": [' + json.dumps(_FACE).replace('9]', '1e308]') + ']}',
    'probability_is_text': _result(probabilities={'happy': 'x' * 10_000}),
    'probability_is_object': _result(probabilities={'happy': {'a': 1}}),
    'head_is_list': _result(head_pose=[1, 2]),
    'nul': '{"stamp": 1, "faces": []}\0',
}
_CSV = {
    'long_cell': '0,' * 52 + '9' * 300_000,
    'long_number': '0,' * 52 + _LONG,
    'many_columns': '1,' * 200_000,
    'nul': '0,' * 52 + '1\0',
    'nan': 'nan,' * 52 + 'nan',
    'infinite': '0,' * 52 + 'inf',
    'escapes': '0,' * 52 + '\x1b[2J',
    'open_quote': '"' + 'x\n' * 200_000,
}
#: Bytes of any kind.
_BYTES = {
    'empty': b'',
    'newline': b'\n',
    'noise': bytes((n * 7919 + n // 251) % 256 for n in range(4096)),
    'null_bytes': bytes(4096),
    'utf_16': 'stamp: 1\n'.encode('utf-16'),
    'latin_1': 'caf\xe9: 1\n'.encode('latin-1'),
    'one_long_line': b'x' * (5 << 20),
    'lone_continuation': b'{"stamp": 1, "faces": ["\xff"]}',
}


@dataclass(frozen=True)
class HostileFiles:
    """The files, by their names in tests.

    :param names: what is no regular file, what cannot be opened, and what has a strange name.
    :param contents: bytes, YAML, JSON lines and CSV that hurt whoever reads them.
    :param good: a file of one result as JSON.
    """

    names: dict[str, Path]
    contents: dict[str, Path]
    good: Path


def make_hostile_files(folder: Path) -> HostileFiles:
    """Make the files in a new folder."""
    folder.mkdir()
    names = {
        'missing': folder / 'missing',
        'missing_below_a_file': folder / 'noise' / 'missing',
        'long_name': folder / ('x' * 300),
        'long_path': folder / '/'.join(['x' * 200] * 30),
        'folder': folder / 'folder',
        'pipe': folder / 'pipe',
        'socket': folder / 'socket',
        'loop': folder / 'loop',
        'zero': Path('/dev/zero'),
        'full': Path('/dev/full'),
        'null': Path('/dev/null'),
        'endless': folder / 'endless',
        'escaping_name': folder / 'a\nb\x1b[2J\x1b]0;c\x07.yaml',
        'undecodable_name': folder / os.fsdecode(b'\xff\xfe.jsonl'),
        'formula_name': folder / '$\\frac{$.jsonl',
        'option_name': folder / '-h',
    }
    names['folder'].mkdir()
    os.mkfifo(names['pipe'])
    names['loop'].symlink_to('loop')
    with names['endless'].open('wb') as file:
        file.truncate(_ENDLESS)
    for name in ('escaping_name', 'undecodable_name', 'formula_name', 'option_name'):
        names[name].write_bytes(b'\x01\x02')
    _make_socket(names['socket'])
    if os.geteuid() != 0:
        names['unreadable'] = folder / 'unreadable'
        names['unreadable'].touch(mode=0)
    contents = {}
    for suffix, texts in (('.yaml', _YAML), ('.jsonl', _JSON), ('.csv', _CSV), ('', _BYTES)):
        for name, content in texts.items():
            path = folder / f'{name}{suffix}'
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            contents[path.name] = path
    good = folder / 'good.jsonl'
    good.write_text(_result())
    return HostileFiles(names, contents, good)


def _make_socket(path: Path) -> None:
    # A socket's address is limited to some hundred bytes, and temporary folders may be deep.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)
