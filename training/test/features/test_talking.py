"""Who is made to talk, and whose mouths they get."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from emotion_estimator.perception.face_crop import rigid_frame
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.talking import (
    LentMouth,
    MouthLenders,
    TalkingPlan,
    mouth_in,
)

HAPPY, SAD, NEUTRAL, ANGRY = (
    FER_CLASSES.index(name) for name in ('happy', 'sad', 'neutral', 'angry')
)
STRAIGHT = np.random.default_rng(3).uniform(40, 160, (478, 3)).astype(np.float32)
# Its direction is 0, as that of a face of which nothing is known.
STRAIGHT[1, :2] = rigid_frame(STRAIGHT[:, :2])[0]
#: The tip of the nose elsewhere, as in a turned face.
TURNED = STRAIGHT.copy()
TURNED[1, 0] += 60
SMALL = STRAIGHT / 4


def picture(row: int) -> np.ndarray:
    """Return a picture whose grey value is its number."""
    return np.full((200, 200, 3), row, np.uint8)


FILMED = LentMouth(np.full((9, 9), 255, np.uint8), STRAIGHT)


def planned(
    emotion: list[int],
    person: list[int] | None = None,
    landmarks: list[np.ndarray] | None = None,
    usable: list[bool] | None = None,
    filmed: tuple[LentMouth, ...] = (),
    plan: TalkingPlan | None = None,
    seed: int = 0,
) -> list[tuple[int, int | None]]:
    """Return the row of each picture, and of its mouth: 255 from a film, None its own."""
    count = len(emotion)
    lenders = MouthLenders(
        picture,
        np.stack(landmarks or [STRAIGHT] * count),
        np.array(emotion),
        np.arange(count) if person is None else np.array(person),
        np.ones(count, bool) if usable is None else np.array(usable),
        filmed,
    )
    chosen = lenders.plan(plan or TalkingPlan(mouths=30), np.random.default_rng(seed))
    return [(row, None if one is None else int(one.grey.max())) for row, one in chosen]


def lent(pairs: list[tuple[int, int | None]], row: int) -> set[int | None]:
    return {mouth for other, mouth in pairs if other == row}


def test_mouths_come_from_other_people_of_the_same_class() -> None:
    found = planned([NEUTRAL, NEUTRAL, NEUTRAL, HAPPY, HAPPY], person=[0, 0, 1, 2, 3])
    assert lent(found, 0) == lent(found, 1) == {2, None}
    assert lent(found, 2) == {0, 1, None}
    assert lent(found, 3) == {4, None}


def test_the_sad_and_the_angry_move_their_own_mouths() -> None:
    found = planned([SAD, SAD, ANGRY, ANGRY, NEUTRAL, HAPPY], filmed=(FILMED,))
    assert {mouth for row, mouth in found if row < 4} == {None}


def test_mouths_of_films_are_for_the_neutral() -> None:
    found = planned([NEUTRAL, NEUTRAL, HAPPY, HAPPY], filmed=(FILMED,))
    assert lent(found, 0) == {1, 255, None}
    assert lent(found, 2) == {3, None}


def test_faces_that_are_turned_otherwise_or_small_lend_none() -> None:
    found = planned([NEUTRAL] * 4, landmarks=[STRAIGHT, TURNED, SMALL, STRAIGHT], filmed=(FILMED,))
    assert lent(found, 0) == {3, 255, None}
    assert lent(found, 1) == {None}
    assert lent(found, 2) == {0, 3, 255, None}, 'they may borrow'


def test_faces_of_the_other_part_neither_talk_nor_lend() -> None:
    found = planned([NEUTRAL] * 4, usable=[True, True, False, False])
    assert {row for row, _ in found} == {0, 1}
    assert {mouth for _, mouth in found} == {0, 1, None}


@pytest.mark.parametrize('seed', range(3))
def test_the_plan_is_filled_whoever_is_skipped(seed: int) -> None:
    # One person with 60 pictures, and 40 others.
    person = [0] * 60 + list(range(1, 41))
    found = planned(
        [NEUTRAL] * 100, person, plan=TalkingPlan(mouths=2, each=6, faces=30), seed=seed
    )
    faces = Counter(row for row, _ in found)
    assert set(faces.values()) == {2}
    assert len(faces) == 30, 'faces of a person with enough others take no place'
    assert sum(row < 60 for row in faces) <= 6


def test_there_are_fewer_of_other_classes() -> None:
    emotion = [NEUTRAL] * 40 + [HAPPY] * 40 + [SAD] * 40 + [ANGRY] * 40
    found = planned(emotion, plan=TalkingPlan(mouths=1, faces=32))
    assert Counter(emotion[row] for row, _ in found) == {NEUTRAL: 32, HAPPY: 16, SAD: 16, ANGRY: 4}


def test_nobody_talks_where_nobody_is() -> None:
    assert planned([NEUTRAL], usable=[False]) == []


def test_a_large_picture_of_a_mouth_is_made_smaller() -> None:
    image = np.random.default_rng(1).integers(0, 256, (1500, 1200, 3)).astype(np.uint8)
    landmarks = STRAIGHT * 6
    mouth = mouth_in(image, landmarks)
    assert max(mouth.grey.shape) == 256
    across = [np.ptp(one[:, 0]) for one in (mouth.landmarks, landmarks)]
    down = [np.ptp(one[:, 1]) for one in (mouth.landmarks, landmarks)]
    assert across[0] / across[1] == pytest.approx(down[0] / down[1])
    # Of a face at the border, what is there.
    near = mouth_in(image[:300, :300], STRAIGHT - np.float32([40, 40, 0]))
    assert near.landmarks[:, :2].min() == pytest.approx(0, abs=1)
