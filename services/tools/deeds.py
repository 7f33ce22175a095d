"""What each tool does. Each returns its result and what the log keeps of it; what it won't do is a ToolRefused."""

import base64
import binascii
import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.tools import (
    MOST_CONTENT,
    CommandRan,
    CopiedOut,
    FileContent,
    FileWritten,
    GitDone,
    GitOperation,
    ReadFile,
    Refusal,
    RefusalKind,
    RunCommand,
    WriteFile,
)
from services.sandboxes import Sandbox, SandboxLost, SandboxRefusal
from services.sandboxes.served import MOST_ARGV
from services.tools.audit import Sealed
from services.tools.contained import Contained, parts_of
from services.tools.errors import ToolRefused
from services.tools.repository import WorkspaceRepository

MOST_FILE = 16 << 20
"""Bytes that a file may grow to by appending."""
MOST_COPIED = 16 << 20
"""Bytes of all inputs, and of all outputs, of one command."""
SandboxSource = Callable[[], Sandbox]
"""Gives the session's sandbox, leasing it on the first call; for example `lambda: manager.lease(sandbox_id)`."""
Told = dict[str, Any]
"""What the log keeps of a call or of its outcome."""


@dataclass(frozen=True)
class Session:
    """What the host gave a session."""

    workspace: Contained
    sandbox: SandboxSource | None
    turn: threading.Lock


def read_file(session: Session, request: ReadFile) -> tuple[FileContent, Told]:
    data = session.workspace.read(request.path, request.max_bytes)
    content = base64.b64encode(data).decode() if request.encoding == "base64" else _text(request.path, data)
    digest = hashlib.sha256(data).hexdigest()
    result = FileContent(
        path=request.path,
        content="" if request.dry_run else content,
        encoding=request.encoding,
        size=len(data),
        sha256=digest,
    )
    return result, {"size": len(data), "sha256": digest}


def write_file(session: Session, request: WriteFile) -> tuple[FileWritten, Told]:
    data = _bytes(request)
    workspace, path, size = session.workspace, request.path, len(data)
    match request.mode:
        case "create":
            if request.dry_run and workspace.exists(path):
                raise ToolRefused("exists", f"{path} exists; write it with the mode overwrite or append")
            if not request.dry_run:
                workspace.create(path, data)
        case "overwrite":
            workspace.size(path)
            if not request.dry_run:
                workspace.overwrite(path, data)
        case "append":
            size += workspace.size(path)
            if size > MOST_FILE:
                raise ToolRefused("too_large", f"{path} would have {size} bytes, at most {MOST_FILE} may be")
            if not request.dry_run:
                size = workspace.append(path, data, MOST_FILE)
    written = FileWritten(path=path, size=size, created=request.mode == "create")
    return written, {"size": size, "written_sha256": hashlib.sha256(data).hexdigest()}


def run_command(session: Session, request: RunCommand) -> tuple[CommandRan | None, Told]:
    if session.sandbox is None:
        raise ToolRefused("no_sandbox", "this session has no sandbox, and commands run nowhere else")
    if (size := sum(len(part.encode()) for part in request.argv)) > MOST_ARGV:
        raise ToolRefused(
            "too_large", f"the command has {size} bytes, at most {MOST_ARGV} may be; write a file and name it"
        )
    inputs: dict[str, bytes] = {}
    for path in request.inputs:
        inputs[path] = session.workspace.read(path, MOST_COPIED - sum(map(len, inputs.values())))
    for path in request.outputs:
        parts_of(path)
    if request.dry_run:
        return None, {"inputs_bytes": sum(map(len, inputs.values()))}
    try:
        sandbox = session.sandbox()
        if inputs:
            sandbox.put(inputs)
        run = sandbox.run(request.argv, timeout=request.timeout_seconds, stdin=request.stdin.encode())
        outputs = _copy_out(session.workspace, sandbox, request.outputs)
    except SandboxRefusal as refused:
        raise _sandbox_refused(refused) from refused
    except SandboxLost as lost:
        raise ToolRefused(
            "sandbox_lost", f"the sandbox was lost with all in it ({lost}); call again"
        ) from lost
    told = run.model_dump(exclude={"stdout", "stderr"}) | {
        "stdout_sha256": digest_of(run.stdout),
        "stderr_sha256": digest_of(run.stderr),
        "copied_out": sum(copied.refusal is None for copied in outputs),
    }
    return CommandRan(run=run, outputs=outputs), told


def _copy_out(workspace: Contained, sandbox: Sandbox, paths: Sequence[str]) -> list[CopiedOut]:
    """Bring files back; what can't be brought is told of each, because the command has run."""
    copied, left = [], MOST_COPIED
    for path in paths:
        try:
            data = sandbox.read(path, max_bytes=left)
            (workspace.overwrite if workspace.exists(path) else workspace.create)(path, data)
        except SandboxRefusal as refused:
            copied.append(CopiedOut(path=path, refusal=as_value(_sandbox_refused(refused))))
        except ToolRefused as refused:
            copied.append(CopiedOut(path=path, refusal=as_value(refused)))
        else:
            left -= len(data)
            copied.append(CopiedOut(path=path, size=len(data)))
    return copied


def git_operation(session: Session, request: GitOperation, call: Sealed) -> tuple[GitDone, Told]:
    trailers = [f"Tool-Session: {request.session}", f"Audit-Id: {call.audit_id}"]
    done = WorkspaceRepository(session.workspace).carry_out(request, trailers)
    return done, {
        "branch": done.branch,
        "commit": done.commit,
        "changes": len(done.changes),
        "diff_sha256": digest_of(done.diff),
    }


def _text(path: str, data: bytes) -> str:
    try:
        if b"\0" not in data:
            return data.decode("utf-8")
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8"
    else:
        why = "it holds zero bytes"
    raise ToolRefused("binary", f"{path} is no text: {why}; read it with the encoding base64")


def _bytes(request: WriteFile) -> bytes:
    if request.encoding == "utf-8":
        data = request.content.encode()
    else:
        try:
            data = base64.b64decode(request.content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ToolRefused("invalid_request", f"the content is not base64: {error}") from error
    if len(data) > MOST_CONTENT:
        raise ToolRefused(
            "too_large", f"the content has {len(data)} bytes, at most {MOST_CONTENT} are written at once"
        )
    return data


def _sandbox_refused(refused: SandboxRefusal) -> ToolRefused:
    kinds: dict[str, RefusalKind] = {
        "path": "path",
        "missing": "missing",
        "too_large": "too_large",
        "disk_full": "disk_full",
    }
    return ToolRefused(kinds.get(refused.kind, "not_regular"), str(refused))


def as_value(refused: ToolRefused) -> Refusal:
    return Refusal(kind=refused.kind, message=str(refused), retry_after_seconds=refused.retry_after_seconds)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
