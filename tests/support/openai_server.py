"""A local HTTP server that speaks the OpenAI protocol, and plays a script: answers, and everything that goes wrong.

It also takes the requests of OpenAI's Responses, Anthropic's and Google's protocols, as far as an answer or a fault
needs.
"""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["Handler"], None]
"""Answers one request."""


@dataclass
class Script:
    """Replies in order; the last one is repeated. Requests are kept as they came."""

    replies: list[Reply]
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the test ends: what hangs lets go."""
    url: str = ""

    @property
    def calls(self) -> int:
        return len(self.requests)

    def prompt(self, number: int = -1) -> str:
        """All texts of a request, in order."""
        return "\n".join(str(message.get("content")) for message in self.requests[number]["messages"])


class Handler(BaseHTTPRequestHandler):
    script: Script
    body: dict[str, Any]
    """Of the request that is being answered."""
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.body = body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script = self.script
        with script.lock:
            reply = script.replies[min(len(script.requests), len(script.replies) - 1)]
            script.requests.append(body)
            script.paths.append(self.path)
            script.headers.append(dict(self.headers))
        reply(self)

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def openai_server(*replies: Reply) -> Iterator[Script]:
    script = Script(list(replies))
    handler = type("ScriptedHandler", (Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


# -- answers


def says(
    content: str | None, *, finish: str = "stop", refusal: str | None = None, output: int = 200
) -> Reply:
    """A chat completion with this text."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    return raw(json.dumps(completion(message, finish, output)).encode())


def calls_tool(arguments: str, name: str = "generated_code", *, finish: str = "tool_calls") -> Reply:
    """A chat completion that calls the output tool with these arguments, right or wrong."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return raw(json.dumps(completion(message, finish, 200)).encode())


def completion(message: dict[str, Any], finish: str, output: int) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": "test-model-2026-01-01",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": output, "total_tokens": 1000 + output},
    }


def raw(body: bytes, status: int = 200, **headers: str) -> Reply:
    return lambda handler: handler.send(status, body, **headers)


# -- faults


def fails(
    status: int, message: str = "no", code: str | None = None, kind: str = "error", **headers: str
) -> Reply:
    error = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return raw(json.dumps(error).encode(), status, **headers)


def hangs() -> Reply:
    """Takes the request and never answers, until the test is over."""

    def reply(handler: Handler) -> None:
        handler.script.over.wait(60)
        handler.close_connection = True

    return reply


def breaks_off(content: str) -> Reply:
    """Sends the beginning of an answer, then resets the connection."""

    def reply(handler: Handler) -> None:
        message = {"role": "assistant", "content": content}
        body = json.dumps(completion(message, "stop", 10)).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2])
        handler.wfile.flush()
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    return reply
