"""The tools as an agent calls them, on a real workspace, a real log and a real sandbox."""

import base64
import hashlib
import json
import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.sandbox import Limits
from schemas.tools import (
    GitOperation,
    GitOperationResponse,
    ReadFile,
    ReadFileResponse,
    RunCommand,
    RunCommandResponse,
    ToolResponse,
    WriteFile,
    WriteFileResponse,
)
from services.sandboxes import Sandbox, SandboxProvider, SandboxUnavailable, default_providers
from services.sandboxes.docker import DEFAULT_IMAGE
from services.tools import AuditDamaged, AuditLog, Pace, Toolbox
from services.tools.deeds import MOST_COPIED, MOST_FILE
from services.tools.errors import ToolRefused
from tests.services.sandboxes.conftest import PROVIDERS
from tests.support.needs import checked
from tests.support.plain_git import git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "a.txt").write_text("ünï\n")
    return tmp_path / "work"


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "log")


@pytest.fixture
def tools(log: AuditLog, root: Path) -> Toolbox:
    box = Toolbox(log, Pace(calls=10_000))
    box.open("s1", root)
    return box


def entries(log: AuditLog) -> list[dict[str, Any]]:
    report = log.verify()
    assert report
    assert report.ok
    return [json.loads(line)["entry"] for line in log.path.read_text().splitlines()]


def kind(response: ToolResponse) -> str | None:
    return response.refusal.kind if response.refusal else None


# Files


def test_a_file_is_written_read_and_both_are_on_record(tools: Toolbox, log: AuditLog, root: Path) -> None:
    written = tools.write_file(WriteFile(session="s1", path="new/b.txt", content="text"))
    assert isinstance(written, WriteFileResponse)
    assert written.result
    assert written.result.model_dump() == {"path": "new/b.txt", "size": 4, "created": True}
    assert (root / "new" / "b.txt").read_text() == "text"
    read = tools.read_file(ReadFile(session="s1", path="new/b.txt"))
    assert isinstance(read, ReadFileResponse)
    assert read.result
    assert (read.result.content, read.result.size) == ("text", 4)
    digest = hashlib.sha256(b"text").hexdigest()
    assert read.result.sha256 == digest
    called, done, called_again, done_again = entries(log)
    assert called["event"] == called_again["event"] == "called"
    assert called["asked"]["sha256"] == digest
    assert (done["event"], done["call"], done["outcome"]["written_sha256"]) == ("done", 1, digest)
    assert (done_again["call"], done_again["outcome"]) == (3, {"size": 4, "sha256": digest})
    first = json.loads(log.path.read_text().splitlines()[0])
    assert written.audit_id == f"1-{first['hash'][:16]}"
    assert "text" not in json.dumps(entries(log)).replace("b.txt", "")  # hashes, never content


@pytest.mark.parametrize(
    ("before", "mode", "after", "refused"),
    [
        (None, "create", b"new", None),
        (b"old", "create", b"old", "exists"),
        (b"old", "overwrite", b"new", None),
        (None, "overwrite", None, "missing"),
        (b"old", "append", b"oldnew", None),
        (None, "append", None, "missing"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_the_modes_and_their_dry_runs(
    tools: Toolbox,
    root: Path,
    before: bytes | None,
    mode: str,
    after: bytes | None,
    refused: str | None,
    dry_run: bool,
) -> None:
    if before is not None:
        (root / "f").write_bytes(before)
    asked = {
        "tool": "write_file",
        "session": "s1",
        "path": "f",
        "content": "new",
        "mode": mode,
        "dry_run": dry_run,
    }
    response = tools.call(asked)
    assert isinstance(response, WriteFileResponse)
    assert (kind(response), response.dry_run) == (refused, dry_run)
    expected = before if dry_run else after
    assert ((root / "f").read_bytes() if (root / "f").exists() else None) == expected
    if response.result:
        assert after is not None
        assert response.result.size == len(after)


def test_a_dry_run_makes_no_folder(tools: Toolbox, root: Path) -> None:
    assert tools.write_file(WriteFile(session="s1", path="x/y/z", content="", dry_run=True)).ok
    assert kind(tools.write_file(WriteFile(session="s1", path="a.txt/z", content="", dry_run=True))) == "path"
    assert [file.name for file in root.iterdir()] == ["a.txt"]
    seen = tools.read_file(ReadFile(session="s1", path="a.txt", dry_run=True))
    assert seen.result
    assert (seen.result.content, seen.result.size) == ("", 6)


def test_bytes_travel_as_base64(tools: Toolbox, root: Path) -> None:
    data = bytes(range(256))
    text = base64.b64encode(data).decode()
    assert tools.write_file(WriteFile(session="s1", path="bin", content=text, encoding="base64")).ok
    assert (root / "bin").read_bytes() == data
    refused = tools.read_file(ReadFile(session="s1", path="bin"))
    assert refused.refusal
    assert (refused.refusal.kind, "encoding base64" in refused.refusal.message) == ("binary", True)
    (root / "zero").write_bytes(b"a\x00b")
    assert kind(tools.read_file(ReadFile(session="s1", path="zero"))) == "binary"
    read = tools.read_file(ReadFile(session="s1", path="bin", encoding="base64"))
    assert read.result
    assert read.result.content == text
    for wrong in ("?", "YWJj\n!", "ü"):
        response = tools.write_file(WriteFile(session="s1", path="x", content=wrong, encoding="base64"))
        assert kind(response) == "invalid_request"


def test_sizes_are_limited(tools: Toolbox, root: Path) -> None:
    (root / "big").write_bytes(b"x" * 1001)
    assert kind(tools.read_file(ReadFile(session="s1", path="big", max_bytes=1000))) == "too_large"
    wide = "ü" * (600 << 10)
    assert kind(tools.write_file(WriteFile(session="s1", path="wide", content=wide))) == "too_large"
    with (root / "full").open("wb") as file:
        file.truncate(MOST_FILE)
    for dry_run in (True, False):
        appended = WriteFile(session="s1", path="full", content="x", mode="append", dry_run=dry_run)
        assert kind(tools.write_file(appended)) == "too_large"
    assert not (root / "wide").exists()


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "link/x", ".git/config", "a\x00b"])
def test_paths_that_lead_out_are_refused_and_on_record(
    tools: Toolbox, log: AuditLog, root: Path, path: str
) -> None:
    (root / "link").symlink_to(root.parent)
    read = tools.read_file(ReadFile(session="s1", path=path))
    write = tools.write_file(WriteFile(session="s1", path=path, content="x"))
    assert (kind(read), kind(write)) == ("path", "path")
    assert [entry["event"] for entry in entries(log)] == ["called", "refused"] * 2
    assert entries(log)[1]["refusal"] == "path"
    assert sorted(file.name for file in root.parent.iterdir()) == ["log", "work"]


# Requests


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({}, "tag"),
        ({"tool": "shell", "session": "s1"}, "tag"),
        ({"tool": "read_file", "session": "s1"}, "path"),
        ({"tool": "read_file", "session": "s1", "path": "a", "shell": True}, "shell"),
        ({"tool": "read_file", "session": "s1", "path": "\ud800"}, "path"),
        ({"tool": "read_file", "session": "s1", "path": "a", "\ud800": 1}, "unicode"),
        ({"tool": "read_file", "session": "s1", "path": "a", "max_bytes": 10**12}, "max_bytes"),
        ({"tool": "read_file", "session": "../x", "path": "a"}, "session"),
        ({"tool": "run_command", "session": "s1", "argv": "rm -rf /"}, "argv"),
        ({"tool": "run_command", "session": "s1", "argv": []}, "argv"),
        ({"tool": "run_command", "session": "s1", "argv": ["a\x00b"]}, "argv"),
        ({"tool": "git_operation", "session": "s1", "operation": "push"}, "operation"),
        ({"tool": "git_operation", "session": "s1", "operation": "branch", "branch": "--force"}, "branch"),
        ({"tool": "git_operation", "session": "s1", "operation": "diff", "against": "--output=x"}, "against"),
        ({"tool": "git_operation", "session": "s1", "operation": "commit", "message": " \n"}, "message"),
        ("", "can't be read"),
        ("[" * 100_000, "can't be read"),
        (b"\xff", "can't be read"),
        ("null", "valid dictionary"),
        ("[1]", "valid dictionary"),
        ('{"tool": "read_file", "session": "s1", "path": "a"', "can't be read"),
        ('"' + "x" * (9 << 20) + '"', "at most"),
    ],
)
def test_what_is_no_request_is_refused_in_words_and_on_record(
    tools: Toolbox, log: AuditLog, asked: Any, where: str
) -> None:
    response = tools.call(asked)
    assert response.refusal
    assert response.refusal.kind == "invalid_request"
    assert where in response.refusal.message
    assert len(response.refusal.message) <= 1000
    (entry,) = entries(log)
    assert (entry["event"], entry["refusal"]) == ("refused", "invalid_request")
    assert response.audit_id.startswith("1-")


def test_json_is_answered_by_the_tool_it_names(tools: Toolbox, root: Path) -> None:
    response = tools.call('{"tool": "read_file", "session": "s1", "path": "a.txt"}')
    assert isinstance(response, ReadFileResponse)
    assert response.result
    assert response.result.content == "ünï\n"
    assert ReadFileResponse.model_validate_json(response.model_dump_json()) == response


def test_only_open_sessions_are_served(tools: Toolbox, log: AuditLog, root: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    tools.open("s2", tmp_path / "other")
    with pytest.raises(ValueError, match="session s2 is open already"):
        tools.open("s2", root)
    with pytest.raises(ValidationError):
        tools.open("../s", root)
    with pytest.raises(FileNotFoundError):
        tools.open("s3", tmp_path / "none")
    assert kind(tools.read_file(ReadFile(session="s2", path="a.txt"))) == "missing"  # that is the first one's
    assert kind(tools.read_file(ReadFile(session="s3", path="a.txt"))) == "unknown_session"
    tools.close("s2")
    tools.close("s2")
    assert kind(tools.read_file(ReadFile(session="s2", path="a.txt"))) == "unknown_session"
    assert [entry["event"] for entry in entries(log)] == ["called", "refused", "refused", "refused"]


def test_leaving_the_toolbox_closes_its_sessions(log: AuditLog, root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with Toolbox(log) as tools:
        tools.open("s1", root)
        tools.open("s2", root)
        assert tools.read_file(ReadFile(session="s2", path="a.txt")).ok
    assert kind(tools.read_file(ReadFile(session="s1", path="a.txt"))) == "unknown_session"
    assert len(os.listdir("/proc/self/fd")) == before


# The pace


def test_too_many_calls_are_told_when_to_come_again(log: AuditLog, root: Path, tmp_path: Path) -> None:
    now = [1000.0]
    tools = Toolbox(log, Pace(clock=lambda: now[0]))
    tools.open("s1", root)
    tools.open("s2", root)
    for _ in range(100):
        assert tools.read_file(ReadFile(session="s1", path="a.txt")).ok
        now[0] += 0.25
    refused = tools.read_file(ReadFile(session="s1", path="a.txt"))
    assert refused.refusal
    assert refused.refusal.kind == "rate_limited"
    assert refused.refusal.message == (
        "session s1 has made 100 calls in 60 s, the most it may; try again in 35.000 s"
    )
    assert refused.refusal.retry_after_seconds == 35.0
    assert entries(log)[-1]["refusal"] == "rate_limited"
    assert tools.read_file(ReadFile(session="s2", path="a.txt")).ok  # each by itself
    now[0] += 34.999
    assert kind(tools.call({"tool": "nonsense", "session": "s1"})) == "rate_limited"
    now[0] += 0.001
    assert tools.read_file(ReadFile(session="s1", path="a.txt")).ok
    assert kind(tools.read_file(ReadFile(session="s1", path="a.txt"))) == "rate_limited"


def test_strangers_share_one_pace(log: AuditLog) -> None:
    tools = Toolbox(log, Pace(calls=2, clock=lambda: 0.0))
    kinds = [kind(tools.read_file(ReadFile(session=f"x{n}", path="a"))) for n in range(3)]
    assert kinds == ["unknown_session", "unknown_session", "rate_limited"]
    assert kind(tools.call("{")) == "rate_limited"


def test_a_pace_holds_among_threads_and_forgets(log: AuditLog) -> None:
    now = [0.0]
    pace = Pace(calls=50, seconds=10, clock=lambda: now[0])

    def admitted(_: int) -> bool:
        try:
            pace.admit("s")
        except ToolRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(admitted, range(200))) == 50
    for number in range(1000):
        pace.admit(f"other-{number}")
    now[0] = 10.0
    pace.admit("s")
    assert len(pace._made) == 1
    for calls, seconds in ((0, 1.0), (1, 0.0), (1, float("nan"))):
        with pytest.raises(ValueError, match="no pace"):
            Pace(calls=calls, seconds=seconds)


# The log comes first


def test_without_a_log_nothing_is_done(tools: Toolbox, log: AuditLog, root: Path) -> None:
    assert tools.read_file(ReadFile(session="s1", path="a.txt")).ok
    log.path.write_bytes(b"")
    with pytest.raises(AuditDamaged):
        tools.write_file(WriteFile(session="s1", path="b.txt", content="x"))
    assert not (root / "b.txt").exists()


def test_broken_machinery_is_on_record_and_raised(log: AuditLog, root: Path) -> None:
    def none() -> Sandbox:
        raise SandboxUnavailable("nothing works here; install something")

    tools = Toolbox(log)
    tools.open("s1", root, none)
    with pytest.raises(SandboxUnavailable):
        tools.run_command(RunCommand(session="s1", argv=["true"]))
    assert [(entry["event"], entry.get("error")) for entry in entries(log)] == [
        ("called", None),
        ("failed", "SandboxUnavailable"),
    ]


def test_long_requests_fit_the_log(tools: Toolbox, log: AuditLog) -> None:
    names = ["😀" * 1000] * 200
    request = RunCommand(session="s1", argv=["😀" * 30_000] * 256, inputs=names, outputs=names[:50])
    assert kind(tools.run_command(request)) == "no_sandbox"
    git = GitOperation(session="s1", operation="commit", message="😀" * 20_000, paths=names)
    assert kind(tools.git_operation(git)) == "path"
    assert kind(tools.read_file(ReadFile(session="s1", path="😀" * 4096))) == "path"
    assert len(entries(log)) == 6


def test_many_threads_and_a_session_that_closes_meanwhile(log: AuditLog, root: Path) -> None:
    tools = Toolbox(log, Pace(calls=10_000))
    tools.open("s1", root)
    started = threading.Event()

    def work(number: int) -> str | None:
        started.set()
        return kind(tools.write_file(WriteFile(session="s1", path=f"f{number}", content="x")))

    with ThreadPoolExecutor(8) as pool:
        working = [pool.submit(work, number) for number in range(120)]
        started.wait(10)
        tools.close("s1")
        outcomes = [future.result() for future in working]
    assert set(outcomes) <= {None, "unknown_session"}
    assert len(list(root.iterdir())) == 1 + outcomes.count(None)
    events = [entry["event"] for entry in entries(log)]
    assert events.count("done") == outcomes.count(None)
    assert len(os.listdir(root)) == 1 + outcomes.count(None)


# git


def test_git_is_a_tool_like_the_others(tools: Toolbox, log: AuditLog, root: Path) -> None:
    assert kind(tools.git_operation(GitOperation(session="s1", operation="status"))) == "no_repository"
    git(root, "init", "--quiet", "--initial-branch=main", "--template=")
    done = tools.call({"tool": "git_operation", "session": "s1", "operation": "commit", "message": "first"})
    assert isinstance(done, GitOperationResponse)
    assert done.result
    assert done.result.branch == "main"
    trailers = git(root, "log", "-1", "--format=%(trailers)").split("\n")
    assert trailers == ["Tool-Session: s1", f"Audit-Id: {done.audit_id}"]
    assert entries(log)[-1]["outcome"]["commit"] == git(root, "rev-parse", "HEAD")


# Commands


@pytest.fixture(scope="module", params=PROVIDERS)
def provider(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SandboxProvider]:
    (found,) = default_providers(tmp_path_factory.mktemp("state"), order=[request.param], image=DEFAULT_IMAGE)
    yield checked(found)
    found.close()


def make(provider: SandboxProvider) -> Sandbox:
    return provider.create(
        f"tools-{uuid.uuid4().hex[:8]}", limits=Limits(), labels={"test": str(os.getpid())}
    )


@pytest.fixture(scope="module")
def sandbox(provider: SandboxProvider) -> Sandbox:
    return make(provider)


@pytest.fixture
def running(log: AuditLog, root: Path, sandbox: Sandbox) -> Toolbox:
    tools = Toolbox(log)
    tools.open("s1", root, lambda: sandbox)
    return tools


def run(tools: Toolbox, *argv: str, **more: Any) -> RunCommandResponse:
    response = tools.call({"tool": "run_command", "session": "s1", "argv": list(argv), **more})
    assert isinstance(response, RunCommandResponse)
    return response


def test_a_command_runs_in_the_sandbox_and_nowhere_else(
    running: Toolbox, log: AuditLog, root: Path, tmp_path: Path
) -> None:
    look = f"import os; print(os.path.exists({str(tmp_path)!r}), os.getcwd(), open('a.txt').read().strip())"
    response = run(running, "python3", "-c", look, inputs=["a.txt"])
    assert response.result
    assert response.result.run.stdout == "False /workspace ünï\n"
    assert response.result.run.exit_code == 0
    (done,) = [entry for entry in entries(log) if entry["event"] == "done"]
    assert done["outcome"]["exit_code"] == 0
    assert done["outcome"]["stdout_sha256"] == hashlib.sha256("False /workspace ünï\n".encode()).hexdigest()


def test_there_is_no_shell(running: Toolbox) -> None:
    response = run(running, "echo", "$HOME; id > x && `id` | $(id) *")
    assert response.result
    assert response.result.run.stdout == "$HOME; id > x && `id` | $(id) *\n"
    failed = run(running, "echo hello")
    assert failed.ok
    assert failed.result
    assert failed.result.run.exit_code == 127


def test_a_command_that_is_too_long_is_refused_and_costs_no_sandbox(running: Toolbox) -> None:
    for dry_run in (True, False):
        refused = run(running, *["\1" * 32_768] * 100, dry_run=dry_run).refusal
        assert refused
        assert refused.kind == "too_large"
    assert run(running, "true", *["\1" * 32_768] * 15).ok


def test_a_command_that_fails_is_no_refusal(running: Toolbox) -> None:
    response = run(
        running, "python3", "-c", "import sys; sys.exit(sys.stdin.read() == 'in' and 7)", stdin="in"
    )
    assert response.result
    assert response.result.run.exit_code == 7
    slow = run(running, "sleep", "30", timeout_seconds=0.2)
    assert slow.result
    assert slow.result.run.timed_out


def test_outputs_come_back_only_as_files_of_the_workspace(running: Toolbox, root: Path) -> None:
    making = "; ".join(
        [
            "import os",
            "open('new.txt', 'w').write('made')",
            "open('a.txt', 'w').write('over')",
            "os.symlink('/etc/passwd', 'ln')",
            "os.mkfifo('fifo')",
            "open('big', 'wb').truncate(17 << 20)",
            "os.makedirs('d')",
            "open('d/x', 'w').close()",
        ]
    )
    wanted = ["new.txt", "a.txt", "d/x", "ln", "fifo", "big", "none"]
    response = run(running, "python3", "-c", making, outputs=wanted)
    assert response.result
    assert response.result.run.ok, response.result.run.stderr
    came = {one.path: one.refusal.kind if one.refusal else one.size for one in response.result.outputs}
    assert came == {
        "new.txt": 4,
        "a.txt": 4,
        "d/x": 0,
        "ln": "not_regular",
        "fifo": "not_regular",
        "big": "too_large",
        "none": "missing",
    }
    assert (root / "new.txt").read_text() == "made"
    assert (root / "a.txt").read_text() == "over"
    assert sorted(file.name for file in root.iterdir()) == ["a.txt", "d", "new.txt"]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", ".git/hooks/pre-commit", "link"])
def test_inputs_and_outputs_stay_inside(running: Toolbox, root: Path, path: str) -> None:
    (root / "link").symlink_to("/etc/passwd")
    assert kind(run(running, "true", inputs=[path])) == "path"
    out = run(running, "true", outputs=[path])
    if path != "link":
        assert kind(out) == "path"
    else:
        assert out.result
        assert out.result.outputs[0].refusal


def test_inputs_are_limited_together(running: Toolbox, root: Path) -> None:
    for name in ("one", "two"):
        with (root / name).open("wb") as file:
            file.truncate(MOST_COPIED // 2 + 1)
    assert kind(run(running, "true", inputs=["one", "two"])) == "too_large"


def test_a_dry_run_of_a_command_checks_and_leases_nothing(log: AuditLog, root: Path) -> None:
    leased: list[int] = []

    def source() -> Sandbox:
        leased.append(1)
        raise SandboxUnavailable("not asked for")

    tools = Toolbox(log)
    tools.open("s1", root, source)
    response = run(tools, "true", inputs=["a.txt"], dry_run=True)
    assert (response.ok, response.result, leased) == (True, None, [])
    assert kind(run(tools, "true", inputs=["none"], dry_run=True)) == "missing"


def test_a_lost_sandbox_is_said(log: AuditLog, root: Path, provider: SandboxProvider) -> None:
    lost = make(provider)
    lost.destroy()
    tools = Toolbox(log)
    tools.open("s1", root, lambda: lost)
    assert kind(run(tools, "true")) == "sandbox_lost"
