"""A settings table as ROS parameters: descriptions and ranges included."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from emotion_estimator.errors import InputError
from emotion_estimator.settings import Settings, make_settings


def _descriptor(declared: Field[Any]) -> ParameterDescriptor:
    described = ParameterDescriptor(
        description=declared.metadata['description'],
        additional_constraints=', '.join(declared.metadata['choices']),
        # Settings are read once, when the node starts.
        read_only=True,
        # `-p source:=0` arrives as a number; it is taken as the text it looks like.
        dynamic_typing=isinstance(declared.default, str),
    )
    minimum, maximum = declared.metadata['minimum'], declared.metadata['maximum']
    if minimum is not None:
        if isinstance(declared.default, float):
            described.floating_point_range = [
                FloatingPointRange(from_value=float(minimum), to_value=float(maximum))
            ]
        else:
            described.integer_range = [
                IntegerRange(from_value=int(minimum), to_value=int(maximum))
            ]
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
        if isinstance(declared.default, str) and type(value) is int:
            value = str(value)
        values[declared.name] = value
    return make_settings(kind, values)
