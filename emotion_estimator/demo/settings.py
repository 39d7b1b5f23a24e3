"""What the user of the demo chooses, and the node parameters that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DemoSettings:
    """Options of the demo.

    :param source: as the camera's parameter of the same name.
    :param landmarks: ``auto``, ``face_landmarker`` or ``face_mesh``.
    :param model: JSON card of a model to use instead of the shipped networks; empty uses these.
    :param conversation: YAML file of topics and utterances; None takes the shipped English one.
    :param policy: YAML file of dialogue rules; None takes the shipped one.
    :param output: folder for the video, the chart, the summary and the logs.
    :param fps: frames per second of the camera and the video.
    :param duration: seconds from the first message to the end of the demo; None waits for the end
        of the source.
    :param domain: ROS_DOMAIN_ID; None takes the environment's, or else a free one.
    :param patience: seconds without a message on ``emotion`` after which the demo gives up.
    :param plain: print lines instead of the live screen, even on a terminal.
    :param page: serve the page of the live node.
    """

    source: str = 'portrait'
    landmarks: str = 'auto'
    model: str = ''
    conversation: Path | None = None
    policy: Path | None = None
    output: Path = Path('out')
    fps: float = 30.0
    duration: float | None = None
    domain: int | None = None
    patience: float = 30.0
    plain: bool = False
    page: bool = True

    def problem(self) -> str | None:
        """Return what is wrong with a value, or None."""
        if not 1 <= self.fps <= 240:
            return f'--fps must be from 1 to 240, not {self.fps:g}'
        if self.duration is not None and not self.duration > 0:
            return f'--duration must be above 0 seconds, not {self.duration:g}'
        if self.domain is not None and not 0 <= self.domain <= 232:
            return f'--domain must be from 0 to 232, not {self.domain}'
        if not self.patience > 0:
            return f'--patience must be above 0 seconds, not {self.patience:g}'
        return None

    def inputs(self) -> list[Path]:
        """Return the paths of files and folders that the demo reads; some may not exist."""
        given: list[str | Path | None] = [self.source, self.model, self.conversation, self.policy]
        found = []
        for each in (name for name in given if name):
            with suppress(RuntimeError, ValueError):
                found.append(Path(each).expanduser())
        return found

    def parameters(self, node: str) -> dict[str, object]:
        """Return the parameters that the demo sets on a node."""
        if node == 'camera':
            return {
                'source': self.source,
                'fps': float(self.fps),
                'exit_at_end': True,
                # Frames would be lost until camera, estimator and demo have discovered each other.
                'wait_for_subscribers': 10.0,
            }
        if node == 'estimator':
            chosen = {'model': self.model} if self.model else {}
            return {'landmark_source': self.landmarks, 'debug_image': True, **chosen}
        if node == 'live':
            return {}
        return dict(self._dialogue_files())

    def _dialogue_files(self) -> Iterator[tuple[str, str]]:
        # Absolute: a node need not run in this process's folder.
        if self.conversation is not None:
            yield 'conversation_file', str(self.conversation.resolve())
        if self.policy is not None:
            yield 'policy_file', str(self.policy.resolve())
