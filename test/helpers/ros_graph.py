"""The real nodes as processes on a DDS domain of their own, and a listener among them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, SetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from emotion_estimator.demo.nodes import (
    choose_domain,
    find_prefix,
    node_command,
    ros_environment,
)
from emotion_estimator.demo.processes import ChildProcess, ProcessSet
from emotion_estimator.resources import profile_variable, resource_dir


class RosGraph:
    """Starts nodes and spins a listener; leaving the ``with`` block ends all of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # One that nobody here listens in, such as another test at the same time.
        self.domain = choose_domain({})
        self._config = resource_dir('config')
        self._processes = ProcessSet()
        self._context = rclpy.Context()
        self._heard: list[list] = []
        self._clients: dict = {}

    def __enter__(self) -> RosGraph:
        self.environment = ros_environment(os.environ, self.domain, self._config / 'fastdds.xml')
        # Read by the listener's own Fast DDS, in this process.
        for name in (profile_variable(os.environ), 'ROS_AUTOMATIC_DISCOVERY_RANGE'):
            os.environ[name] = self.environment[name]
        rclpy.init(context=self._context, domain_id=self.domain)
        self.node = Node('listener', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.stop()
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def start(self, node: str, *arguments: str, **parameters: object) -> ChildProcess:
        """Start one of the package's nodes with its shipped parameter file.

        :param arguments: further ROS arguments, such as ``-r``, ``__ns:=/left``.
        """
        prefix = find_prefix(os.environ)
        command = node_command(node, prefix, self._config, parameters, arguments)
        log = '_'.join([node, *re.findall(r'\w+', ' '.join(arguments))])
        return self.run(log, *command)

    def run(self, name: str, *command: str) -> ChildProcess:
        """Start a program among the nodes; it logs to ``<name>.log``."""
        child = ChildProcess(name, command, self.folder / f'{name}.log')
        return self._processes.start(child, self.environment)

    def also_spin(self, node: Node) -> None:
        """Spin another node of this context, too."""
        self._executor.add_node(node)

    def hear(self, kind: type, topic: str, qos: object = 50) -> list:
        """Return a list that grows by every message on ``topic``."""
        heard: list = []
        self._heard.append(heard)
        self.node.create_subscription(kind, topic, heard.append, qos)
        return heard

    def call(self, kind: type, service: str, request: object, timeout: float = 40.0) -> object:
        """Call a service and return its answer; a client is kept for the next call."""
        client = self._clients.get(service)
        if client is None:
            client = self._clients[service] = self.node.create_client(kind, service)
        self.wait_until(client.service_is_ready, timeout, f'{service} is there')
        future = client.call_async(request)
        self.wait_until(future.done, timeout, f'{service} answers')
        return future.result()

    def transition(self, node: str, name: str | int) -> bool:
        """Ask ``node`` for a lifecycle transition by name or id; tell whether it succeeded."""
        transition = Transition(label=name) if isinstance(name, str) else Transition(id=name)
        request = ChangeState.Request(transition=transition)
        return self.call(ChangeState, f'{node}/change_state', request).success

    def state(self, node: str) -> str:
        """Return the lifecycle state that ``node`` says it is in."""
        return self.call(GetState, f'{node}/get_state', GetState.Request()).current_state.label

    def set_parameters(self, node: str, **values: object) -> str:
        """Set parameters of ``node`` one by one; return the first reason it refused, or ''."""
        request = SetParameters.Request(parameters=_messages(values))
        results = self.call(SetParameters, f'{node}/set_parameters', request).results
        return next((r.reason or 'refused' for r in results if not r.successful), '')

    def set_together(self, node: str, **values: object) -> str:
        """Set parameters of ``node`` as a whole; return the reason it refused, or ''."""
        request = SetParametersAtomically.Request(parameters=_messages(values))
        result = self.call(
            SetParametersAtomically, f'{node}/set_parameters_atomically', request
        ).result
        return '' if result.successful else result.reason or 'refused'

    def describe(self, node: str, *names: str) -> list:
        """Return the descriptors of parameters of ``node``."""
        request = DescribeParameters.Request(names=list(names))
        return self.call(DescribeParameters, f'{node}/describe_parameters', request).descriptors

    def heard_anything(self, during: float) -> bool:
        """Spin for up to ``during`` seconds; tell whether a message or an event came."""
        before = sum(map(len, self._heard))
        self._executor.spin_once(timeout_sec=during)
        return sum(map(len, self._heard)) > before

    def wait_until(self, done: Callable[[], object], timeout: float, what: str) -> None:
        """Spin until ``done()``; fail naming ``what`` after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not done():
            left = deadline - time.monotonic()
            assert left > 0, f'not within {timeout} s: {what}'
            self._executor.spin_once(timeout_sec=min(left, 0.2))


def _messages(values: dict) -> list:
    return [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]


def value_of(diagnostics: list, node: str, key: str) -> str | None:
    """Return what ``node`` last said of ``key`` on /diagnostics."""
    for message in reversed(diagnostics):
        for status in message.status:
            if status.name == node:
                return {item.key: item.value for item in status.values}.get(key)
    return None
