"""A text-to-speech server as a process, to be stopped and killed: ``tts_server.py ACTION``."""

import sys

import rclpy
from rclpy.action import ActionServer, CancelResponse
from rclpy.node import Node
from tts_msgs.action import TTS


class TtsServer(Node):
    """Accepts every goal and never ends one; prints which were cancelled."""

    def __init__(self, action: str) -> None:
        super().__init__('tts_server')
        self._server = ActionServer(
            self, TTS, action, lambda goal: TTS.Result(),
            handle_accepted_callback=lambda goal: None, cancel_callback=self._cancel,
        )  # fmt: skip

    def _cancel(self, goal):
        print(f'cancelled: {goal.request.input}', flush=True)
        return CancelResponse.ACCEPT


rclpy.init()
rclpy.spin(TtsServer(sys.argv[1]))
