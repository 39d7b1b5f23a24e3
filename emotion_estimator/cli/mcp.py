"""``emotion-estimator mcp``: the robot as tools for language models."""

from __future__ import annotations

import contextlib
import json
import os
import re
from typing import TYPE_CHECKING

import click

from emotion_estimator.cli.verbosity import note
from emotion_estimator.demo.nodes import choose_domain
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.language_model.mcp_server import (
    HOST,
    PATH,
    listen,
    make_server,
    need_mcp,
    reserved_output,
    serve_http,
    serve_stdio,
)
from emotion_estimator.language_model.tools import function_list

if TYPE_CHECKING:
    from emotion_estimator.nodes.mcp_bridge import McpBridge

#: A namespace as ROS accepts it.
_NAMESPACE = re.compile(r'/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*)?', re.ASCII)


def _namespace(context: click.Context, option: click.Parameter, name: str) -> str:
    """Check a namespace."""
    if not _NAMESPACE.fullmatch(name):
        raise click.BadParameter(
            f'{name[:40]!r} is not a namespace; use letters, digits and _ between single '
            'slashes, as in /robot_1'
        )
    return name


@click.command()
@click.option(
    '--http',
    'port',
    type=click.IntRange(0, 65535),
    metavar='PORT',
    help='Serve streamable HTTP on this port of 127.0.0.1 (0: a free one) instead of standard '
    'input and output.',
)
@click.option(
    '--namespace',
    default='',
    callback=_namespace,
    help="Namespace of the robot's topics and services.",
)
@click.option(
    '--schema',
    is_flag=True,
    help="Print the tools as JSON, as OpenAI's chat completions take them, and exit (no ROS).",
)
def mcp(port: int | None, namespace: str, schema: bool) -> None:
    """Offer the robot to language models as tools (MCP; needs ROS 2).

    The Model Context Protocol (MCP) is what clients such as Claude Desktop speak. The tools are
    get_emotion, get_context and choose_topic. No image is ever given out. A client usually starts
    this itself; it ends when the client goes away.
    """
    if schema:
        click.echo(json.dumps(function_list(), indent=2, ensure_ascii=False))
        return
    need_mcp()
    # Fast DDS ends the process where the domain is too high.
    choose_domain({'ROS_DOMAIN_ID': '0', **os.environ})
    if port is None:
        with reserved_output() as wire, _bridge(namespace) as bridge:
            serve_stdio(make_server(bridge.toolbox), wire)
        return
    with contextlib.closing(listen(port)) as listener, _bridge(namespace) as bridge:
        url = f'http://{HOST}:{listener.getsockname()[1]}{PATH}'
        note(f'serving MCP at {url}')
        serve_http(make_server(bridge.toolbox), listener)


def _bridge(namespace: str) -> McpBridge:
    try:
        from emotion_estimator.nodes.mcp_bridge import McpBridge
    except ImportError as error:
        raise InputError(
            f'mcp needs ROS 2 and this package built for it ({first_line(error)}); build with '
            'colcon and source install/setup.bash'
        ) from error
    return McpBridge(namespace)
