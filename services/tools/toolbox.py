"""The tools that an agent may be given: each call is counted, checked, logged, done, and logged again."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from schemas.tools import (
    GitOperation,
    GitOperationResponse,
    ReadFile,
    ReadFileResponse,
    Refusal,
    RunCommand,
    RunCommandResponse,
    ToolCall,
    ToolRequest,
    ToolResponse,
    WriteFile,
    WriteFileResponse,
)
from services.tools import deeds
from services.tools.audit import AuditLog, Sealed
from services.tools.contained import Contained
from services.tools.deeds import SandboxSource, Session, Told, as_value, digest_of
from services.tools.errors import ToolRefused
from services.tools.pace import Pace

_CALLS: TypeAdapter[ToolCall] = TypeAdapter(ToolCall)
MOST_REQUEST = 8 << 20
"""Bytes of one request as JSON."""
_STRANGER = "-"
"""All calls for sessions that aren't open share one pace."""
_SHOWN, _LISTED = 200, 10
"""Characters of a text and texts of a list that the log keeps; a hash stands for the whole."""

Answer = TypeVar("Answer", bound=ToolResponse)


class Toolbox:
    """Serves sessions that were opened. Thread-safe; the calls of one session are done one after the other.

    What an agent asks wrongly, or may not do, is a `Refusal` in the response. What only the host can mend is an
    exception: AuditUnwritable, SandboxUnavailable, SandboxesFull, OSError.
    """

    def __init__(self, log: AuditLog, pace: Pace | None = None) -> None:
        self._log = log
        self._pace = pace or Pace()
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for session in list(self._sessions):
            self.close(session)

    def open(self, session: str, workspace: Path, sandbox: SandboxSource | None = None) -> None:
        """Let `session` use the tools on `workspace`, a folder of its own. Without `sandbox` it can run nothing.

        Raises ValueError where the session is open or its name isn't one, OSError where the folder can't be opened.
        """
        name = ToolRequest(session=session).session
        with self._lock:
            if name in self._sessions:
                raise ValueError(f"session {name} is open already; close it first, or take another name")
            self._sessions[name] = Session(Contained(workspace), sandbox, threading.Lock())

    def close(self, session: str) -> None:
        """End a session; a call that runs ends first. Idempotent. Workspace and sandbox are left to their owner."""
        with self._lock:
            closed = self._sessions.pop(session, None)
        if closed:
            with closed.turn:
                closed.workspace.close()

    # Calls

    def call(self, asked: Mapping[str, Any] | str | bytes) -> ToolResponse:
        """One call as an agent sends it: JSON, or the values read from it. `tool` names which."""
        values: Any = asked
        try:
            if isinstance(asked, str | bytes):
                if len(asked) > MOST_REQUEST:
                    raise ValueError(f"it has {len(asked)} bytes, at most {MOST_REQUEST} are read")
                values = from_json(asked)
            request = _CALLS.validate_python(values)
        except ValidationError as error:
            return self._invalid(values, _in_words(error))
        except ValueError as error:
            return self._invalid(None, _in_words(error))
        match request:
            case ReadFile():
                return self.read_file(request)
            case WriteFile():
                return self.write_file(request)
            case RunCommand():
                return self.run_command(request)
            case GitOperation():
                return self.git_operation(request)

    def read_file(self, request: ReadFile) -> ReadFileResponse:
        """Read a file of the workspace."""
        told = {"path": _short(request.path), "encoding": request.encoding, "max_bytes": request.max_bytes}
        return self._serve(
            request, told, ReadFileResponse, lambda session, _: deeds.read_file(session, request)
        )

    def write_file(self, request: WriteFile) -> WriteFileResponse:
        """Create, overwrite or append to a file of the workspace."""
        told = {
            "path": _short(request.path),
            "mode": request.mode,
            "encoding": request.encoding,
            "characters": len(request.content),
            "sha256": digest_of(request.content),
        }
        return self._serve(
            request, told, WriteFileResponse, lambda session, _: deeds.write_file(session, request)
        )

    def run_command(self, request: RunCommand) -> RunCommandResponse:
        """Run a command in the session's sandbox, without a shell."""
        told = {
            "timeout_seconds": request.timeout_seconds,
            "stdin_sha256": digest_of(request.stdin),
            **_listed("argv", request.argv),
            **_listed("inputs", request.inputs),
            **_listed("outputs", request.outputs),
        }
        return self._serve(
            request, told, RunCommandResponse, lambda session, _: deeds.run_command(session, request)
        )

    def git_operation(self, request: GitOperation) -> GitOperationResponse:
        """Look at the workspace's repository, make a branch or a commit."""
        told = {
            "operation": request.operation,
            "branch": request.branch,
            "message": _short(request.message or ""),
            "against": request.against,
            **_listed("paths", request.paths),
        }
        return self._serve(
            request,
            told,
            GitOperationResponse,
            lambda session, call: deeds.git_operation(session, request, call),
        )

    def _serve(
        self,
        request: ToolRequest,
        told: Told,
        answer: type[Answer],
        act: Callable[[Session, Sealed], tuple[Any, Told]],
    ) -> Answer:
        """Log the call, do it, log its outcome. A call without an outcome in the log was cut short."""
        name = request.session
        asked = {
            "session": name,
            "tool": answer.model_fields["tool"].default,
            "dry_run": request.dry_run,
            "asked": told,
        }

        def refuse(refused: ToolRefused, entry: Told, call: Sealed | None = None) -> Answer:
            sealed, refusal = self._refuse(refused, entry)
            audit_id = (call or sealed).audit_id
            return answer(session=name, dry_run=request.dry_run, audit_id=audit_id, refusal=refusal)

        try:
            session = self._admit(name)
        except ToolRefused as refused:
            return refuse(refused, asked)
        with session.turn:
            if self._sessions.get(name) is not session:
                return refuse(_not_open(name), asked)
            call = self._log.append({"event": "called", **asked})
            of_it = {"call": call.number, "session": name}
            try:
                result, outcome = act(session, call)
            except ToolRefused as refused:
                return refuse(refused, of_it, call)
            except BaseException as error:
                failure = {"error": type(error).__name__, "message": _short(str(error))}
                self._log.append({"event": "failed", **of_it, **failure})
                raise
            self._log.append({"event": "done", **of_it, "outcome": outcome})
            told_back = {
                "session": name,
                "dry_run": request.dry_run,
                "audit_id": call.audit_id,
                "result": result,
            }
            return answer.model_validate(told_back)

    def _admit(self, name: str) -> Session:
        with self._lock:
            session = self._sessions.get(name)
        self._pace.admit(name if session else _STRANGER)
        if session is None:
            raise _not_open(name)
        return session

    def _invalid(self, asked: Any, why: str) -> ToolResponse:
        """Refuse what isn't a request. It counts for the session that it names, where there is one."""
        named = asked.get("session") if isinstance(asked, Mapping) else None
        name = named if isinstance(named, str) and named in self._sessions else _STRANGER
        refused = ToolRefused("invalid_request", why)
        try:
            self._pace.admit(name)
        except ToolRefused as too_fast:
            refused = too_fast
        sealed, refusal = self._refuse(refused, {"session": name})
        return ToolResponse(session=name, dry_run=False, audit_id=sealed.audit_id, refusal=refusal)

    def _refuse(self, refused: ToolRefused, entry: Told) -> tuple[Sealed, Refusal]:
        told = {"event": "refused", **entry, "refusal": refused.kind, "message": _short(str(refused))}
        return self._log.append(told), as_value(refused)


def _not_open(name: str) -> ToolRefused:
    return ToolRefused("unknown_session", f"there is no open session {name}; its host opens it")


def _in_words(error: ValueError) -> str:
    """Where a request is wrong; not what it held, which may be large or secret."""
    told = [f"the request can't be read: {error}"]
    if isinstance(error, ValidationError):
        details = error.errors(include_url=False, include_input=False, include_context=False)
        told = [
            f"{'.'.join(map(str, detail['loc'])) or 'request'}: {detail['msg']}" for detail in details[:5]
        ]
    return _short("; ".join(told).encode("utf-8", "backslashreplace").decode(), 1000)


def _listed(name: str, texts: Sequence[str]) -> Told:
    if not texts:
        return {}
    return {name: [_short(text) for text in texts[:_LISTED]], f"{name}_sha256": digest_of("\0".join(texts))}


def _short(text: str, most: int = _SHOWN) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
