"""A settings table as ROS parameters: descriptions, ranges, and when a change counts."""

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

#: What `ros2 param describe` says of each kind of setting.
_CHANGES = {
    'startup': 'fixed when the node starts',
    'configure': 'may change while the node is unconfigured',
    'runtime': 'may change at any time',
}


def _descriptor(declared: Field[Any]) -> ParameterDescriptor:
    constraints = [_CHANGES[declared.metadata['change']]]
    if declared.metadata['choices']:
        constraints.insert(0, f'one of {", ".join(declared.metadata["choices"])}')
    described = ParameterDescriptor(
        description=declared.metadata['description'],
        additional_constraints='; '.join(constraints),
        read_only=declared.metadata['change'] == 'startup',
        # Types are checked by the settings: `source:=0` is the text it looks like, `fps:=15` serves
        # as 15.0, and what does not fit gets a line that names it, which rclpy's own does not.
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

    :raises InputError: a value given to the node has the wrong type or is out of range; the line
        names the parameter.
    """
    values = {}
    for declared in fields(kind):
        try:
            value = node.declare_parameter(
                declared.name, declared.default, _descriptor(declared)
            ).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise InputError(f'parameter {declared.name} of {node.get_name()}: {error}') from error
        values[declared.name] = _plain(declared, value)
    return make_settings(kind, values)


def changed_settings(
    settings: Settings, changes: Iterable[Parameter], *, configured: bool
) -> Settings:
    """Return ``settings`` with the changes among them, checked one by one and as a whole.

    :param changes: as rclpy hands them to a callback; those that are no settings are passed over.
    :param configured: whether the node has read what counts from `configure` on.
    :raises InputError: a value is wrong, or may not change now; the line says what to do.
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
                + (': deactivate and clean up the node first' if configured else '')
            )
    return make_settings(type(settings), {**before, **wanted})


def _plain(declared: Field[Any], value: Any) -> Any:
    return str(value) if isinstance(declared.default, str) and type(value) is int else value
