#!/usr/bin/env python3
"""A state chart driven by /dialogue/action: the actions are its events.

In FlexBE, SMACH, YASMIN or SCXML, write the same table as transitions.
"""

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from emotion_estimator.msg import DialogueAction

#: Next state by state and event; any other event leaves the state unchanged.
TRANSITIONS = {
    ('idle', 'resume'): 'talking',
    ('waiting', 'resume'): 'talking',
    ('talking.chatting', 'celebrate'): 'talking.celebrating',
    ('talking', 'continue'): 'talking.chatting',
    ('talking', 'change_topic'): 'talking.chatting',
    # Silence, or a sad face: company comes before everything else.
    ('talking', 'acknowledge'): 'talking.comforting',
    ('talking', 'check_in'): 'talking.comforting',
    # The person has taken the turn.
    ('talking', 'yield'): 'talking.listening',
    ('talking', 'pause'): 'waiting',
}
#: The state that a state with others inside begins in.
INITIAL = {'talking': 'talking.chatting'}


def after(state: str, event: str) -> str:
    """Return the state after an event; `end` leads to idle from every state."""
    if event == 'end':
        return 'idle'
    for source in (state, state.partition('.')[0]):
        if (source, event) in TRANSITIONS:
            target = TRANSITIONS[source, event]
            return INITIAL.get(target, target)
    return state


class StateChart(Node):
    """Follows the actions and logs each state it enters."""

    def __init__(self) -> None:
        super().__init__('state_chart')
        self._state = 'talking.chatting'
        self.create_subscription(DialogueAction, 'dialogue/action', self._on_action, 10)

    def _on_action(self, action: DialogueAction) -> None:
        state = after(self._state, action.action)
        if state != self._state:
            self._state = state
            # Here a robot would start the state's own behaviour.
            self.get_logger().info(f'{action.action} -> {state}, about {action.topic}')


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(StateChart())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # rclpy raises this when Ctrl-C arrives while it takes a message.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
