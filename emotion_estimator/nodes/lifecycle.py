"""A managed (lifecycle) node that can start itself, reports in each state, and can be recovered.

States and transitions are those of design.ros2.org/articles/node_lifecycle.html.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future

from emotion_estimator.errors import EmotionEstimatorError, InputError, first_line
from emotion_estimator.nodes.diagnostics import DiagnosticsPublisher, Health
from emotion_estimator.nodes.parameters import changed_settings, declare_settings
from emotion_estimator.settings import Settings
from emotion_estimator.timing import Backoff

SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS,
    TransitionCallbackReturn.FAILURE,
    TransitionCallbackReturn.ERROR,
)

#: Seconds before a node that starts itself tries again after an error: first and at most.
_RETRY_FIRST, _RETRY_MOST = 0.5, 10.0


def _names(changes: list[Parameter]) -> frozenset[str]:
    return frozenset(change.name for change in changes)


@contextlib.contextmanager
def until_shutdown(node: Node) -> Iterator[None]:
    """Let a thread's last publication fail quietly when ROS was shut down meanwhile."""
    try:
        yield
    except RuntimeError:
        # rclpy's InvalidHandle and RCLError: publishers vanish with the context.
        if node.context.ok():
            raise


class ManagedNode(LifecycleNode, Generic[Settings]):
    """What the three nodes share; each says what its transitions do.

    An error that a user can act on (:class:`EmotionEstimatorError`) makes `configure` or
    `activate` fail: the node stays where it was. Any other error, and one that comes up at work
    (:meth:`break_down`), goes through the error state, which frees everything, to unconfigured,
    from where the node can be configured anew: by a manager, or by itself with ``autostart``.
    """

    kind: ClassVar[type]
    #: The part of the core whose log lines are this node's.
    core_log: ClassVar[str] = 'emotion_estimator'

    def __init__(self, name: str) -> None:
        """Declare the settings as parameters and begin to report.

        :raises InputError: a parameter is wrong.
        """
        super().__init__(name)
        declared: Any = declare_settings(self, self.kind)
        self.settings: Settings = declared
        #: The last state reached: unconfigured, inactive, active or finalized.
        self.state = 'unconfigured'
        #: Set its result, the exit status, to end the process.
        self.finished: Future = Future()
        self._problem = ''
        self._broken = False
        #: Counts activations; a breakdown of an earlier one is none of the present one's.
        self._activation = 0
        self._active_since = 0.0
        self._starting = False
        self._stopped = False
        self._retry: Any = None
        self._backoff = Backoff(_RETRY_FIRST, _RETRY_MOST)
        self.add_on_set_parameters_callback(self._check_parameters)
        # Where rclpy has it (not on Humble), once every other callback has agreed too.
        self._agreed = hasattr(self, 'add_post_set_parameters_callback')
        if self._agreed:
            self.add_post_set_parameters_callback(self._take_over)
        self._diagnostics = DiagnosticsPublisher(self, self._report)
        self._survive_wrong_requests()

    # What a node does in its transitions.

    def configure(self) -> None:
        """Load models, check files, make publishers."""

    def activate(self) -> None:
        """Start to work."""

    def deactivate(self) -> None:
        """Stop to work and give devices back; also called where :meth:`activate` failed."""

    def clean_up(self) -> None:
        """Free what :meth:`configure` made; also called where it failed half way."""

    def check_settings(self, wanted: Settings, names: frozenset[str]) -> None:
        """Refuse what cannot be taken over now, in any state.

        :param wanted: the settings as they would be.
        :param names: parameters that are set, also those that keep their value.
        :raises InputError: the line says what is wrong.
        """

    def settings_changed(self) -> None:
        """Take over what ``settings`` now says, in any state."""

    def settings_given(self, names: frozenset[str]) -> None:
        """Note that parameters were set, whether or not a value changed; comes last."""

    def health(self) -> Health:
        """Report on the work, in any state; ``state`` and ``last_error`` are added."""
        return Health()

    # Starting, failing and stopping.

    def bring_up(self) -> None:
        """Configure and activate.

        :raises InputError: it did not become active; the line says why.
        """
        self._starting = True
        try:
            if self.state == 'unconfigured':
                self.trigger_configure()
            if self.state == 'inactive':
                self.trigger_activate()
        finally:
            self._starting = False
        if self.state != 'active':
            raise InputError(self._problem or f'{self.get_name()} did not become active')

    def break_down(self, problem: str, *, try_again: bool = True) -> None:
        """Go through the error state: the node cannot go on with its work. From any thread.

        :param try_again: whether ``autostart`` should bring it up once more.
        """
        executor = self.executor
        if executor is not None:
            executor.create_task(self._break_down, problem, try_again, self._activation)

    def finish(self, status: int, problem: str = '') -> None:
        """End the process, with one line where there is a problem. From any thread."""
        if problem:
            self.get_logger().fatal(problem)
        if not self.finished.done():
            self.finished.set_result(status)

    def stop(self) -> None:
        """End all work and free everything, reporting once more; before destruction."""
        if self._stopped:
            return
        self._stopped = True
        with until_shutdown(self):
            self._diagnostics.publish_last()
        self._release()

    # The lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure; on a failure free what was made and stay unconfigured."""
        outcome = self._try(self.configure, lambda: super(ManagedNode, self).on_configure(state))
        if outcome is SUCCESS:
            self.state = 'inactive'
        else:
            self._quietly(self.clean_up)
        return outcome

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate; on a failure stop what was started and stay inactive."""
        self._activation += 1
        self._active_since = time.monotonic()
        # Publishers first: the work may publish at once.
        outcome = self._try(lambda: super(ManagedNode, self).on_activate(state), self.activate)
        if outcome is SUCCESS:
            self.state = 'active'
        else:
            self._quietly(self.deactivate)
            self._quietly(lambda: super(ManagedNode, self).on_deactivate(state))
        return outcome

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate; what cannot be stopped, or broke down before, is an error."""
        outcome = self._try(self.deactivate, lambda: super(ManagedNode, self).on_deactivate(state))
        if outcome is not SUCCESS or self._broken:
            return ERROR
        self.state = 'inactive'
        return SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        outcome = self._try(self.clean_up, lambda: super(ManagedNode, self).on_cleanup(state))
        if outcome is not SUCCESS:
            return ERROR
        self.state = 'unconfigured'
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop for good; the process goes on reporting until it is told to end."""
        self._release()
        self.state = 'finalized'
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so that the node can be configured anew."""
        self._release()
        self._broken = False
        self.state = 'unconfigured'
        return SUCCESS

    def _survive_wrong_requests(self) -> None:
        """Refuse a transition that the state does not allow.

        Asked for by its id, rclpy before Kilted would raise it out of the executor.
        """
        service = self._service_change_state
        change = service.callback

        def change_state(request: Any, response: Any) -> Any:
            try:
                return change(request, response)
            except RuntimeError as error:
                self.get_logger().error(f'no such transition in {self.state}: {first_line(error)}')
                response.success = False
                return response

        service.callback = change_state

    def _try(self, *steps: Callable[[], Any]) -> TransitionCallbackReturn:
        if not self._broken:
            self._problem = ''
        try:
            for step in steps:
                step()
        except EmotionEstimatorError as error:
            self._note(str(error))
            return FAILURE
        except Exception as error:
            self._note(f'{type(error).__name__}: {first_line(error)}')
            return ERROR
        return SUCCESS

    def _quietly(self, step: Callable[[], Any]) -> None:
        """Free what there is; that something is amiss was said before."""
        with contextlib.suppress(Exception):
            step()

    def _release(self) -> None:
        self._quietly(self.deactivate)
        self._quietly(self.clean_up)

    def _note(self, problem: str) -> None:
        self._problem = problem
        # One who starts the node is told by the exception.
        if not self._starting:
            self.get_logger().error(problem)

    def _break_down(self, problem: str, try_again: bool, activation: int) -> None:
        if self.state != 'active' or activation != self._activation:
            return
        if time.monotonic() - self._active_since > _RETRY_MOST:
            self._backoff.reset()
        self._broken = True
        self._note(problem)
        self.trigger_deactivate()
        if try_again and self.settings.autostart:
            self._try_again_later()

    def _try_again_later(self) -> None:
        if self._retry is not None:
            self.destroy_timer(self._retry)
        wait = self._backoff.next()
        self.get_logger().warning(f'starting again in {wait:g} s')
        self._retry = self.create_timer(
            wait, self._try_again, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _try_again(self) -> None:
        self.destroy_timer(self._retry)
        self._retry = None
        if self.state != 'unconfigured' or self._stopped:
            # Somebody else has taken over.
            return
        try:
            self.bring_up()
        except EmotionEstimatorError as error:
            self.get_logger().error(str(error))
            self._try_again_later()

    # Parameters and diagnostics.

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            self.check_settings(self._changed(changes), _names(changes))
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if not self._agreed:
            self._take_over(changes)
        return SetParametersResult(successful=True)

    def _take_over(self, changes: list[Parameter]) -> None:
        wanted = self._changed(changes)
        if wanted != self.settings:
            self.settings = wanted
            self.settings_changed()
        self.settings_given(_names(changes))

    def _changed(self, changes: list[Parameter]) -> Settings:
        configured = self.state in ('inactive', 'active')
        return changed_settings(self.settings, changes, configured=configured)

    def _report(self) -> Health:
        health = self.health()
        at_work = self.state == 'active'
        problem = self._problem or (health.problem if at_work else '')
        return Health(
            values={'state': self.state, **health.values, 'last_error': problem},
            message=health.message if at_work else self.state,
            warning=health.warning if at_work else '',
            problem=problem,
            failed=bool(self._problem) or health.failed,
        )
