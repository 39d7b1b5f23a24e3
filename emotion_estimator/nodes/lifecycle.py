"""A managed (lifecycle) node that starts itself, reports in every state, and recovers from errors.

States and transitions: https://design.ros2.org/articles/node_lifecycle.html.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from rclpy.timer import Timer

from emotion_estimator.errors import EmotionEstimatorError, InputError, first_line
from emotion_estimator.nodes import hang_watch
from emotion_estimator.nodes.bonding import Bonding
from emotion_estimator.nodes.diagnostics import DiagnosticsPublisher, Health
from emotion_estimator.nodes.parameters import changed_settings, declare_settings
from emotion_estimator.nodes.ros_clock import RosClockWatch
from emotion_estimator.settings import Settings
from emotion_estimator.timing import Backoff
from emotion_estimator.untrusted import as_line

SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS,
    TransitionCallbackReturn.FAILURE,
    TransitionCallbackReturn.ERROR,
)

#: Delay in seconds before ``autostart`` tries again after an error: first and maximum.
_RETRY_FIRST, _RETRY_MAX = 0.5, 10.0


@contextlib.contextmanager
def until_shutdown(node: Node) -> Iterator[None]:
    """Ignore the failure of a thread's last publication if ROS has been shut down meanwhile."""
    try:
        yield
    except RuntimeError:
        # rclpy's InvalidHandle or RCLError: publishers disappear with the context.
        if node.context.ok():
            raise


class ManagedNode(LifecycleNode, Generic[Settings]):
    """Base of the nodes, which define what their transitions do.

    An error that a user can act on (:class:`EmotionEstimatorError`) makes `configure` or
    `activate` fail, and the node stays in its state. Any other error, and one reported by
    :meth:`break_down`, takes it through the error state, which frees everything, to unconfigured.
    From there it can be configured again, by a manager or, with ``autostart``, by itself.
    """

    #: The dataclass of the node's settings.
    kind: ClassVar[type[Any]]
    #: The Python logger of the core whose lines the node logs as its own.
    core_log: ClassVar[str] = 'emotion_estimator'

    def __init__(self, name: str) -> None:
        """Declare the settings as parameters and start reporting.

        :raises InputError: a parameter is wrong.
        """
        super().__init__(name)
        self.settings: Settings = declare_settings(self, self.kind)
        #: The last state reached: unconfigured, inactive, active or finalized.
        self.state = 'unconfigured'
        #: Ends the process once it has a result: the exit status.
        self.finished: Future[int] = Future()
        self._problem = ''
        self._broken = False
        #: Counts activations, so that a breakdown of an earlier one can be ignored.
        self._activation = 0
        self._active_since = 0.0
        self._starting = False
        self._stopped = False
        self._retry: Timer | None = None
        self._backoff = Backoff(_RETRY_FIRST, _RETRY_MAX)
        self.add_on_set_parameters_callback(self._check_parameters)
        # Called once every other callback has accepted the parameters, too; Humble lacks it.
        self._has_post_set = hasattr(self, 'add_post_set_parameters_callback')
        if self._has_post_set:
            self.add_post_set_parameters_callback(self._apply_parameters)
        self._clock_watch = RosClockWatch(self)
        self._bonding = Bonding(self)
        self._diagnostics = DiagnosticsPublisher(self, self._report)
        self._refuse_wrong_transitions()

    def create_publisher(self, *args: Any, **more: Any) -> Any:
        """Create a publisher whose publications are watched (nodes/hang_watch.py)."""
        publisher = super().create_publisher(*args, **more)
        hang_watch.guard(publisher)
        return publisher

    # For subclasses: what the transitions do.

    def configure(self) -> None:
        """Load models, check files, create publishers."""

    def activate(self) -> None:
        """Start working."""

    def deactivate(self) -> None:
        """Stop working and release devices; also called after :meth:`activate` failed."""

    def clean_up(self) -> None:
        """Free what :meth:`configure` created; also called after it failed halfway."""

    def check_settings(self, wanted: Settings, names: frozenset[str]) -> None:
        """Refuse settings that cannot be applied now; called in any state.

        :param wanted: the settings as they would be.
        :param names: the parameters being set, including those that keep their value.
        :raises InputError: a setting cannot be applied.
        """

    def settings_changed(self) -> None:
        """Apply changed ``settings``; called in any state."""

    def parameters_set(self, names: frozenset[str]) -> None:
        """React to set parameters, whether or not a value changed; called last, in any state."""

    def health(self) -> Health:
        """Report on the work, in any state; ``state`` and ``last_error`` are added to it."""
        return Health()

    # Starting, failing and stopping.

    def bring_up(self) -> None:
        """Configure and activate.

        :raises InputError: the node did not become active, and why.
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
        """Go through the error state because the node cannot work any more. From any thread.

        :param try_again: whether ``autostart`` should bring it up again.
        """
        executor = self.executor
        if executor is not None:
            executor.create_task(self._break_down, problem, try_again, self._activation)

    def finish(self, status: int, problem: str = '') -> None:
        """End the process, and log the problem if there is one. From any thread."""
        if problem:
            self.get_logger().fatal(as_line(problem))
        if not self.finished.done():
            self.finished.set_result(status)

    def stop(self) -> None:
        """Publish a last report, stop working and free everything; to call before destruction."""
        if self._stopped:
            return
        self._stopped = True
        with until_shutdown(self):
            self._diagnostics.publish_last()
        self._release()

    # The lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure; on failure free everything and stay unconfigured."""
        outcome = self._try(self.configure, lambda: super(ManagedNode, self).on_configure(state))
        if outcome is SUCCESS:
            self.state = 'inactive'
        else:
            self._quietly(self.clean_up)
        return outcome

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate; on failure stop everything and stay inactive."""
        self._activation += 1
        self._active_since = time.monotonic()
        # Publishers first: the work may publish immediately.
        outcome = self._try(lambda: super(ManagedNode, self).on_activate(state), self.activate)
        if outcome is SUCCESS:
            self.state = 'active'
            if self.settings.bond:
                self._bonding.form()
        else:
            self._quietly(self.deactivate)
            self._quietly(lambda: super(ManagedNode, self).on_deactivate(state))
        return outcome

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate; go through the error state on failure or after a breakdown."""
        self._bonding.end()
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
        """Stop for good; the process keeps reporting until it is stopped."""
        self._release()
        self.state = 'finalized'
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, so that the node can be configured again."""
        self._release()
        self._broken = False
        self.state = 'unconfigured'
        return SUCCESS

    def _refuse_wrong_transitions(self) -> None:
        """Refuse transitions that the state does not allow.

        Before Kilted, rclpy lets one that is requested by its id raise out of the executor.
        """
        service = self._service_change_state
        change = service.callback

        def change_state(
            request: ChangeState.Request, response: ChangeState.Response
        ) -> ChangeState.Response:
            try:
                return change(request, response)
            except RuntimeError as error:
                self.get_logger().error(f'not allowed while {self.state}: {first_line(error)}')
                response.success = False
                return response

        service.callback = change_state

    def _try(self, *steps: Callable[[], object]) -> TransitionCallbackReturn:
        if not self._broken:
            self._problem = ''
        try:
            for step in steps:
                step()
        except EmotionEstimatorError as error:
            self._record_problem(str(error))
            return FAILURE
        except Exception as error:
            self._record_problem(f'{type(error).__name__}: {first_line(error)}')
            return ERROR
        return SUCCESS

    def _quietly(self, step: Callable[[], object]) -> None:
        """Run a cleanup step, ignoring its errors: the cause has been reported."""
        with contextlib.suppress(Exception):
            step()

    def _release(self) -> None:
        self._bonding.end()
        self._quietly(self.deactivate)
        self._quietly(self.clean_up)

    def _record_problem(self, problem: str) -> None:
        self._problem = problem = as_line(problem)
        # bring_up() raises it.
        if not self._starting:
            self.get_logger().error(problem)

    def _break_down(self, problem: str, try_again: bool, activation: int) -> None:
        if self.state != 'active' or activation != self._activation:
            return
        if time.monotonic() - self._active_since > _RETRY_MAX:
            self._backoff.reset()
        self._broken = True
        self._record_problem(problem)
        self.trigger_deactivate()
        if try_again and self.settings.autostart:
            self._try_again_later()

    def _try_again_later(self) -> None:
        if self._retry is not None:
            self.destroy_timer(self._retry)
        delay = self._backoff.next()
        self.get_logger().warning(f'starting again in {delay:g} s')
        self._retry = self.create_timer(
            delay, self._try_again, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _try_again(self) -> None:
        assert self._retry is not None
        self.destroy_timer(self._retry)
        self._retry = None
        if self.state != 'unconfigured' or self._stopped:
            # A lifecycle manager has taken over.
            return
        try:
            self.bring_up()
        except EmotionEstimatorError as error:
            self.get_logger().error(as_line(error))
            self._try_again_later()

    # Parameters and diagnostics.

    def _check_parameters(self, changes: list[Parameter[Any]]) -> SetParametersResult:
        try:
            self.check_settings(self._changed(changes), _names(changes))
        except InputError as error:
            return SetParametersResult(successful=False, reason=as_line(error))
        except Exception as error:
            # Otherwise the caller would wait for an answer for ever.
            reason = as_line(f'{type(error).__name__}: {first_line(error)}')
            self.get_logger().error(f'parameters cannot be checked: {reason}')
            return SetParametersResult(successful=False, reason=reason)
        if not self._has_post_set:
            self._apply_parameters(changes)
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changes: list[Parameter[Any]]) -> None:
        wanted = self._changed(changes)
        if wanted != self.settings:
            self.settings = wanted
            self.settings_changed()
        self.parameters_set(_names(changes))

    def _changed(self, changes: list[Parameter[Any]]) -> Settings:
        configured = self.state in ('inactive', 'active')
        return changed_settings(self.settings, changes, configured=configured)

    def _report(self) -> Health:
        health = self.health()
        active = self.state == 'active'
        stuck = self._clock_watch.problem()
        problem = self._problem or (stuck or health.problem if active else '')
        return Health(
            values={'state': self.state, **health.values, 'last_error': problem},
            message=health.message if active else self.state,
            warning=health.warning if active else '',
            problem=problem,
            failed=bool(self._problem or stuck) or health.failed,
        )


def _names(changes: list[Parameter[Any]]) -> frozenset[str]:
    return frozenset(change.name for change in changes)
