"""Five kinds of simulated people to hold conversations with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from emotion_estimator.simulation.person import (
    FALSE_VOICE,
    PersonTraits,
    SimulatedPerson,
    Spells,
)


class TalkativePerson(SimulatedPerson):
    """Likes to talk, and long.

    Answers quickly and for 4 to 25 s, with thinking pauses of up to 1.5 s that are not the end;
    fills silences with remarks; does not mind being talked over.
    """

    traits = PersonTraits(
        answers=0.95, murmurs=0.02, remarks=0.6, thinks=(0.2, 1.0), talks=(4.0, 25.0), pauses=0.5,
        pause=(0.3, 1.5), early=0.15, interrupts=0.04, yields=0.4, starts=(6.0, 14.0),
        initiative=0.8, deaf_at_first=0.1, mumbles=0.04, smiles=Spells(1.0, (1.0, 5.0)),
    )  # fmt: skip


class QuietPerson(SimulatedPerson):
    """Likes company, but few words.

    Needs 2 to 5.5 s to think, answers in one short sentence, says mm-hm or nods instead; mumbles;
    hardly ever begins; falls silent at once when the robot talks.
    """

    traits = PersonTraits(
        answers=0.6, nods=0.12, murmurs=0.15, remarks=0.1, thinks=(2.0, 5.5), talks=(0.8, 4.0),
        pauses=0.1, pause=(0.5, 1.5), early=0.0, interrupts=0.0, yields=0.95, starts=(30.0, 80.0),
        initiative=0.3, deaf=0.08, deaf_at_first=0.35, mumbles=0.2, amused=0.08,
        smiles=Spells(0.5, (1.0, 4.0)),
    )  # fmt: skip


class RestlessPerson(SimulatedPerson):
    """Is only half there.

    Looks away, drinks coffee, speaks with somebody else, comes and goes for 1 to 40 s, sometimes in
    the middle of a sentence.
    """

    traits = PersonTraits(
        answers=0.7, murmurs=0.08, remarks=0.3, thinks=(0.5, 2.5), talks=(1.5, 9.0), pauses=0.25,
        early=0.08, interrupts=0.04, deaf=0.1, deaf_at_first=0.3, mumbles=0.1,
        away=Spells(1.5, (1.0, 40.0)), glances=Spells(3.0, (0.8, 5.0)),
        asides=Spells(0.4, (2.0, 10.0)), noise=Spells(0.6, (FALSE_VOICE, FALSE_VOICE)),
    )  # fmt: skip


class GrievingPerson(SimulatedPerson):
    """Has lost somebody.

    Is sad for 8 to 60 s at a time, oftener in the first five minutes; then tells something sad,
    says nothing, cries, or declines to talk, and wants to be left alone for a while. Otherwise
    answers briefly. Later calmer.
    """

    traits = PersonTraits(
        answers=0.7, nods=0.05, murmurs=0.1, remarks=0.25, thinks=(1.0, 3.5), talks=(2.0, 8.0),
        pauses=0.4, pause=(0.4, 1.5), early=0.0, interrupts=0.0, yields=0.8, starts=(15.0, 45.0),
        deaf=0.05, mumbles=0.12, smiles_telling=0.02, amused=0.03, smiles=Spells(0.2, (1.0, 4.0)),
        sadness=Spells(0.9, (8.0, 60.0)),
    )  # fmt: skip

    #: Seconds until the sad spells become rarer.
    _worst = 300.0

    def _sadness(self) -> Spells:
        spells = self.traits.sadness
        return spells if self._now < self._worst else replace(spells, rate=spells.rate / 3)

    def _reply(self, asked: bool) -> None:
        if not self._sad and self._withdrawn <= self._now:
            super()._reply(asked)
            return
        what, thinks = self._draw.random(), self._draw.uniform(*self.traits.thinks)
        if self._withdrawn > self._now:
            # Wants to be left alone: now and then a word.
            if what < 0.1:
                super()._reply(asked)
            else:
                self._await_silence()
        elif what < 0.4:
            self._plan('telling', thinks, self._draw.uniform(5.0, 20.0))
        elif what < 0.55:
            self._plan('refusal', thinks, 0.0)
        elif what < 0.7:
            self._cry(thinks)
        else:
            self._await_silence()

    def _begins_to_talk(self) -> None:
        if self._sad and self._withdrawn <= self._now and self._chance(0.5):
            self._plan('telling', 0.0, self._draw.uniform(5.0, 20.0))
        elif self._sad or self._withdrawn > self._now:
            self._await_silence()
        else:
            super()._begins_to_talk()

    def _cry(self, after: float) -> None:
        """Sob for some seconds, which the voice activity detection hears half of the time."""
        audible = self._chance(0.5)

        def begin(now: float) -> None:
            lasts = self._draw.uniform(1.5, 4.0)
            if audible:
                self._make_sound(lasts)
            self._saddened = self._until(max(self._saddened, now + lasts + 1.0))

        # Nothing follows: they wait until it is quiet.
        self._await_silence()
        self._later(after, begin)


class CheerfulPerson(SimulatedPerson):
    """Is in high spirits, and impatient.

    Smiles for 1 to 8 s at a time, laughs aloud, breaks into the robot's sentences with a word or a
    whole sentence, and does not stop when talked over.
    """

    traits = PersonTraits(
        answers=0.9, murmurs=0.03, remarks=0.6, thinks=(0.1, 0.9), talks=(1.5, 9.0), pauses=0.2,
        early=0.25, interrupts=0.25, yields=0.3, starts=(6.0, 16.0), initiative=0.7, deaf=0.02,
        deaf_at_first=0.1, mumbles=0.05, smiles_telling=0.5, amused=0.35, laughs=0.5,
        smiles=Spells(3.0, (1.0, 8.0)), sadness=Spells(0.0),
    )  # fmt: skip


#: The kinds of people, by name.
PEOPLE: Mapping[str, type[SimulatedPerson]] = MappingProxyType(
    {
        'talkative': TalkativePerson,
        'quiet': QuietPerson,
        'restless': RestlessPerson,
        'grieving': GrievingPerson,
        'cheerful': CheerfulPerson,
    }
)
