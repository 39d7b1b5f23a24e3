"""Settings as ROS parameters: descriptions, ranges, and when they can be changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from emotion_estimator.errors import InputError
from emotion_estimator.settings import Settings, make_settings
from emotion_estimator.untrusted import quote

#: When a setting can be changed, for `ros2 param describe` and for errors.
_CHANGES = {
    'startup': 'cannot be changed after startup',
    'configure': 'can be changed only while the node is unconfigured',
    'runtime': 'can be changed at any time',
}


def _descriptor(declared: Field[Any]) -> ParameterDescriptor:
    constraints = [_CHANGES[declared.metadata['change']]]
    if declared.metadata['choices']:
        constraints.insert(0, f'one of {", ".join(declared.metadata["choices"])}')
    described = ParameterDescriptor(
        description=declared.metadata['description'],
        additional_constraints='; '.join(constraints),
        read_only=declared.metadata['change'] == 'startup',
        # The settings check types: they take `source:=0` as text and `fps:=15` as 15.0, and their
        # errors name the parameter, which rclpy's do not.
        dynamic_typing=True,
    )
    minimum, maximum = declared.metadata['minimum'], declared.metadata['maximum']
    if minimum is not None:
        if isinstance(declared.default, float):
            described.floating_point_range = [
                FloatingPointRange(from_value=float(minimum), to_value=float(maximum))
            ]
        else:
            described.integer_range = [IntegerRange(from_value=int(minimum), to_value=int(maximum))]
    return described


def declare_settings(node: Node, kind: type[Settings]) -> Settings:
    """Declare every setting of ``kind`` on ``node`` and return the validated values.

    :raises InputError: a value has the wrong type or is out of range; names the parameter.
    """
    values = {}
    for declared in fields(kind):
        try:
            value = node.declare_parameter(
                declared.name, declared.default, _descriptor(declared)
            ).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise InputError(
                f'parameter {declared.name} of {node.get_name()}: {quote(error)}'
            ) from error
        values[declared.name] = _plain(declared, value)
    return make_settings(kind, values)


def changed_settings(
    settings: Settings, changes: Iterable[Parameter[Any]], *, configured: bool
) -> Settings:
    """Return ``settings`` with changed parameters, checked one by one and together.

    :param changes: as passed to an rclpy callback; parameters that are not settings are ignored.
    :param configured: whether the node is configured.
    :raises InputError: a value is wrong, or cannot be changed now.
    """
    declared = {item.name: item for item in fields(settings)}
    wanted: Mapping[str, Any] = {
        item.name: _plain(declared[item.name], item.value)
        for item in changes
        if item.name in declared
    }
    before = asdict(settings)
    for name, value in wanted.items():
        if value == before[name] or declared[name].metadata['change'] == 'runtime':
            continue
        if configured or declared[name].metadata['change'] == 'startup':
            raise InputError(
                f'{name} {_CHANGES[declared[name].metadata["change"]]}'
                + ('; deactivate and clean up the node first' if configured else '')
            )
    return make_settings(type(settings), {**before, **wanted})


def _plain(declared: Field[Any], value: Any) -> Any:
    return str(value) if isinstance(declared.default, str) and type(value) is int else value
