"""The tools served by the Model Context Protocol (MCP), over standard input and output or HTTP."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, cast

from emotion_estimator import __version__
from emotion_estimator.errors import InputError
from emotion_estimator.language_model.tools import TOOLS, AgentTool, AgentToolbox

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

_INSTRUCTIONS = (
    'Tools of a robot that sees the face of one person and talks with them. What they give are '
    'estimates of facial expression, often wrong, and never what the person feels.'
)

#: Where the tools are served over HTTP: only programs on this machine reach them.
HOST = '127.0.0.1'
PATH = '/mcp'

#: Maximum number of characters of a name that is repeated in an error.
_NAME = 40


def need_mcp() -> None:
    """Check that the MCP SDK is installed.

    :raises InputError: it is not, or it is too old.
    """
    try:
        # Version 1 has none.
        from mcp import Client  # noqa: F401
    except ImportError as error:
        raise InputError(
            "mcp needs the MCP SDK, version 2 or later: pip install 'emotion-estimator[mcp]'"
        ) from error


def make_server(toolbox: AgentToolbox) -> Server[Any]:
    """Return an MCP server with the tools; ``toolbox`` answers their calls."""
    from mcp.server.lowlevel import Server
    from mcp.shared.exceptions import MCPError
    from mcp.types import (
        INVALID_PARAMS,
        CallToolRequestParams,
        CallToolResult,
        ListToolsResult,
        PaginatedRequestParams,
        TextContent,
    )

    async def list_tools(_: Any, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[_declaration(tool) for tool in TOOLS])

    async def call_tool(_: Any, call: CallToolRequestParams) -> CallToolResult:
        try:
            answer = await toolbox.call(call.name, call.arguments)
        except KeyError:
            known = ', '.join(tool.name for tool in TOOLS)
            raise MCPError(
                INVALID_PARAMS, f'there is no tool {call.name[:_NAME]!r}, only {known}'
            ) from None
        return CallToolResult(
            content=[TextContent(type='text', text=answer.text)],
            structured_content=answer.data,
            is_error=answer.failed,
        )

    return Server(
        'emotion-estimator',
        version=__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _declaration(tool: AgentTool) -> Any:
    from mcp.types import Tool, ToolAnnotations

    return Tool(
        name=tool.name,
        description=tool.description,
        input_schema=dict(tool.parameters),
        output_schema=dict(tool.result),
        annotations=ToolAnnotations(
            read_only_hint=not tool.acts, destructive_hint=False, open_world_hint=False
        ),
    )


@contextlib.contextmanager
def reserved_output() -> Iterator[int]:
    """Keep standard output for the protocol; whatever else is printed goes to standard error.

    ROS logs to standard output where ``RCUTILS_LOGGING_USE_STDOUT`` says so, from C.

    :returns: descriptor of the real standard output.
    :raises InputError: standard output or standard error is closed.
    """
    # Not at the top: the tools' schema is for every system.
    import fcntl

    try:
        # Above 2: with standard error closed, a plain duplicate would take its place.
        wire = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 3)
        os.dup2(2, 1)
    except OSError as error:
        raise InputError(
            'mcp needs standard output for the protocol and standard error for messages; one of '
            'them is closed'
        ) from error
    try:
        yield wire
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()
        os.dup2(wire, 1)
        os.close(wire)


def serve_stdio(server: Server[Any], wire: int) -> None:
    """Serve one client over standard input and output until it goes away, or a signal arrives.

    SIGINT and SIGTERM take their usual effect once the server has stopped.

    :param wire: from :func:`reserved_output`.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    arrived: list[signal.Signals] = []

    async def serve() -> None:
        serving = asyncio.ensure_future(_serve_lines(server, wire))

        def stop(number: signal.Signals) -> None:
            arrived.append(number)
            serving.cancel()

        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        await asyncio.wait({serving})
        if serving.cancelled():
            return
        error = serving.exception()
        # Streams of the SDK that are closed while they are in use break with all sorts of errors.
        if error is not None and not arrived and not _client_has_gone(error):
            raise error

    try:
        asyncio.run(serve())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        signal.raise_signal(arrived[0])


async def _serve_lines(server: Server[Any], wire: int) -> None:
    from mcp.server.stdio import stdio_server

    lines, output = _Lines(0), _Output(wire)
    async with stdio_server(cast(Any, lines), cast(Any, output)) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _client_has_gone(error: BaseException) -> bool:
    """Return whether all that failed is talking to a client that is no longer there."""
    parts: tuple[BaseException, ...] = getattr(error, 'exceptions', ())
    if parts:
        return all(map(_client_has_gone, parts))
    return isinstance(error, OSError) or type(error).__name__ == 'BrokenResourceError'


class _Lines:
    """Lines of a descriptor.

    Read in a daemon thread: asyncio waits for its own worker threads at the end, and one that
    reads from a terminal or an idle client would keep the process until the next line.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b''
        # The loop may be closed before the client ends.
        with contextlib.suppress(RuntimeError):
            while data := self._next():
                *lines, rest = (rest + data).split(b'\n')
                for line in lines:
                    self._put(line.decode('utf-8', 'replace'))
            self._put(None)

    def _next(self) -> bytes:
        try:
            return os.read(self._descriptor, 65_536)
        except OSError:
            return b''

    def _put(self, line: str | None) -> None:
        self._loop.call_soon_threadsafe(self._lines.put_nowait, line)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (line := await self._lines.get()) is not None:
            yield line


class _Output:
    """Writes to a descriptor in a daemon thread, for the same reason as :class:`_Lines`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: queue.SimpleQueue[tuple[bytes, concurrent.futures.Future[None]]]
        self._waiting = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def _write(self) -> None:
        while True:
            data, written = self._waiting.get()
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                written.set_exception(error)
            else:
                written.set_result(None)

    async def write(self, text: str) -> None:
        written: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._waiting.put((text.encode(), written))
        await asyncio.shield(asyncio.wrap_future(written))

    async def flush(self) -> None:
        """Do nothing: what has been written is on its way."""


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine's own address alone.

    :param port: 1 to 65535; 0 takes a free one.
    :raises InputError: the port cannot be used.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(16)
    except OSError as error:
        listener.close()
        raise InputError(
            f'cannot listen on {HOST}:{port}: {error.strerror or error}; give another port'
        ) from error
    return listener


def serve_http(server: Server[Any], listener: socket.socket) -> None:
    """Serve any number of clients by streamable HTTP until SIGINT or SIGTERM.

    Requests from web pages are refused: the SDK checks ``Host`` and ``Origin``.

    :param listener: from :func:`listen`; it is closed at the end.
    """
    import uvicorn

    # Requests that a shutdown cuts off are no news, and there is nobody to read an access log.
    logging.getLogger('uvicorn.error').setLevel(logging.CRITICAL)
    app = server.streamable_http_app(streamable_http_path=PATH, host=HOST)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=0, lifespan='on'
    )
    # Stops the server on a signal, and raises the signal again.
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
