"""Mutants: the same for the same key, and well-formed where their format has checksums."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib

import corpus
import cv2
import mutators
import numpy as np
import pytest
from readers import READERS


def test_a_key_gives_the_same_mutant_again_and_another_key_another():
    seeds = [b'a: 1\nb: [2, 3]\n', b'c: text\n']
    made = [mutators.mutant(seeds, mutators.mutate_yaml, f'1/x/{n}') for n in range(200)]
    assert made == [mutators.mutant(seeds, mutators.mutate_yaml, f'1/x/{n}') for n in range(200)]
    assert len(set(made)) > 150


def chunks(png: bytes):
    at = 8
    while at + 12 <= len(png):
        (size,) = struct.unpack_from('>I', png, at)
        name_and_body = png[at + 4 : at + 8 + size]
        yield name_and_body, png[at + 8 + size : at + 12 + size]
        at += 12 + size


def test_the_checksums_of_a_mutated_png_are_right():
    png = corpus.png_of(32, 24)
    for number in range(100):
        mutant = mutators.mutate_png(png, random.Random(number), [png])
        for content, checksum in chunks(mutant):
            assert checksum == struct.pack('>I', zlib.crc32(content))


@pytest.mark.parametrize(('depth', 'kind'), [(8, 0), (16, 6)])
def test_a_made_png_is_one(depth, kind):
    image = cv2.imdecode(
        np.frombuffer(corpus.png_of(40, 200, depth, kind), np.uint8), cv2.IMREAD_UNCHANGED
    )
    assert image.shape[:2] == (200, 40)
    assert not image.any()


def test_some_mutated_archives_still_open():
    out = io.BytesIO()
    np.savez(out, w1=np.zeros(20, np.float32), b1=np.ones(3))
    opened = 0
    for number in range(100):
        mutant = mutators.mutate_zip(out.getvalue(), random.Random(number))
        with zipfile.ZipFile(io.BytesIO(mutant)) as archive:
            opened += archive.testzip() is None
    assert opened == 100


def test_lengths_of_mutated_mcap_records_lead_to_the_end():
    (bag,) = corpus.bags('mcap')
    for number in range(50):
        mutant = mutators.mutate_mcap(bag, random.Random(number))
        at, end = 8, len(mutant)
        while at + 9 <= end and not mutant.startswith(b'\x89MCAP', at):
            at += 9 + struct.unpack_from('<Q', mutant, at + 1)[0]
        assert at in (end, end - 8)


@pytest.mark.parametrize('name', READERS)
def test_every_mutation_takes_anything(name):
    for number in range(200):
        generator = random.Random(number)
        data = generator.randbytes(generator.randrange(80))
        assert isinstance(READERS[name].mutation(data, generator, [data, b'x']), bytes)
