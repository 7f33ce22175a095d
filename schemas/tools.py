"""Typed tools: what an agent may ask for, and what it is told."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Shape
from schemas.sandbox import RunResult

MOST_CONTENT = 1 << 20
"""Bytes that one call reads or writes."""

ToolName = Literal["read_file", "write_file", "run_command", "git_operation"]
SessionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
"""Relative to the session's workspace, with `/` between its parts."""
Encoding = Literal["utf-8", "base64"]

RefusalKind = Literal[
    "invalid_request",
    "unknown_session",
    "rate_limited",
    "path",
    "missing",
    "exists",
    "not_regular",
    "too_large",
    "disk_full",
    "permission",
    "binary",
    "no_sandbox",
    "sandbox_lost",
    "no_repository",
    "unsafe_repository",
    "git",
]
"""`path`: it leaves the workspace, goes over a link, or is no path. `not_regular`: a link, directory, FIFO or device,
or a file with another name elsewhere. `binary`: not UTF-8 text. `unsafe_repository`: its `.git` may run programs or
lead out of the workspace."""


class ToolRequest(Shape):
    """What every call carries."""

    session: SessionName
    dry_run: bool = False
    """Check everything and change nothing."""


class ReadFile(ToolRequest):
    """Read one regular file."""

    tool: Literal["read_file"] = "read_file"
    path: FilePath
    encoding: Encoding = "utf-8"
    max_bytes: Annotated[int, Field(ge=1, le=MOST_CONTENT)] = 256 * 1024
    """A larger file is refused."""


class WriteFile(ToolRequest):
    """Write one regular file; folders on the way are made."""

    tool: Literal["write_file"] = "write_file"
    path: FilePath
    content: Annotated[str, Field(max_length=2 * MOST_CONTENT)]
    encoding: Encoding = "utf-8"
    mode: Literal["create", "overwrite", "append"] = "create"
    """create refuses a file that exists, overwrite and append one that doesn't."""


class RunCommand(ToolRequest):
    """Run one command in the session's sandbox, without a shell."""

    tool: Literal["run_command"] = "run_command"
    argv: Annotated[
        list[Annotated[str, Field(max_length=32_768, pattern=r"^[^\x00]*$")]],
        Field(min_length=1, max_length=256),
    ]
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    stdin: Annotated[str, Field(max_length=MOST_CONTENT)] = ""
    inputs: Annotated[list[FilePath], Field(max_length=200)] = []
    """Files of the workspace that are put into the sandbox before, under the same paths."""
    outputs: Annotated[list[FilePath], Field(max_length=50)] = []
    """Files of the sandbox that are written into the workspace afterwards, where the command made them."""


class GitOperation(ToolRequest):
    """Look at or extend the repository in the session's workspace."""

    tool: Literal["git_operation"] = "git_operation"
    operation: Literal["status", "branch", "commit", "diff"]
    branch: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")] | None = None
    """branch: made at HEAD and switched to; None lists the branches."""
    message: (
        Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"^[^\x00]*\S[^\x00]*$")] | None
    ) = None
    """commit: needed."""
    paths: Annotated[list[FilePath], Field(max_length=1000)] = []
    """commit, diff and status: only these files and folders; all where empty."""
    against: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/~^-]{0,199}$")] | None = None
    """diff: the commit or branch that the files are compared with; what is staged where None."""


ToolCall = Annotated[ReadFile | WriteFile | RunCommand | GitOperation, Field(discriminator="tool")]


class Refusal(Shape):
    """Why nothing was done."""

    kind: RefusalKind
    message: str
    retry_after_seconds: float | None = None
    """When asking again may help; None where it won't."""


class ToolResponse(Shape):
    """What every answer carries. Without a refusal it was done, or in a dry run could be."""

    session: str
    dry_run: bool
    audit_id: str
    """The entry of the log that tells of the call: its number and the beginning of its hash."""
    refusal: Refusal | None = None

    @property
    def ok(self) -> bool:
        return self.refusal is None


class FileContent(Shape):
    """A file as it was read; empty content in a dry run."""

    path: str
    content: str
    encoding: Encoding
    size: int
    sha256: str


class FileWritten(Shape):
    """A file as it now stands, or would."""

    path: str
    size: int
    created: bool


class CopiedOut(Shape):
    """One file that was asked for after a command: written to the workspace, or why not."""

    path: str
    size: int | None = None
    refusal: Refusal | None = None


class CommandRan(Shape):
    """What a command came to; a failed command is no refusal."""

    run: RunResult
    outputs: list[CopiedOut] = []


class FileChange(Shape):
    """One line of a status: git's letters for the index and the workspace, `?` for untracked, `.` for unchanged."""

    path: str
    index: str
    workspace: str


class GitDone(Shape):
    """What git says; which fields are set follows from the operation."""

    operation: Literal["status", "branch", "commit", "diff"]
    branch: str | None = None
    """The current one; None where HEAD is no branch."""
    commit: str | None = None
    """Of HEAD, after the operation; None before the first."""
    branches: list[str] = []
    changes: list[FileChange] = []
    """status: all; commit: what it holds, or would."""
    diff: str = ""
    truncated: bool = False
    """Whether changes or diff were cut."""


class ReadFileResponse(ToolResponse):
    tool: Literal["read_file"] = "read_file"
    result: FileContent | None = None


class WriteFileResponse(ToolResponse):
    tool: Literal["write_file"] = "write_file"
    result: FileWritten | None = None


class RunCommandResponse(ToolResponse):
    tool: Literal["run_command"] = "run_command"
    result: CommandRan | None = None
    """None in a dry run."""


class GitOperationResponse(ToolResponse):
    tool: Literal["git_operation"] = "git_operation"
    result: GitDone | None = None
