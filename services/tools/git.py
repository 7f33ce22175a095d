"""Runs git in one directory: no configuration but ours goes before it, no hook, no prompt, no caller's variables."""

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.tools.errors import ToolRefused

SECONDS = 60.0
"""How long one git command may take."""
_CONFIG = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.pager": "cat",
    "core.editor": "false",
    "core.untrackedCache": "false",
    "core.bigFileThreshold": "8m",  # larger files are compared as binary, not line by line in memory
    "core.quotePath": "false",
    "core.fsync": "committed,reference",
    "core.useReplaceRefs": "false",
    "commit.gpgSign": "false",
    "commit.verbose": "false",
    "diff.ignoreSubmodules": "all",
    "submodule.recurse": "false",
    "credential.helper": "",
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
}
_WHO = {"NAME": "Genesis", "EMAIL": "genesis@localhost"}
_ENVIRONMENT = {
    "PATH": os.defpath,
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "GIT_DIR": ".git",
    "GIT_WORK_TREE": ".",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_ALLOW_PROTOCOL": "none",
} | {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _WHO.items()}


@dataclass(frozen=True)
class Ran:
    """One finished git command; `truncated` where its output was cut and it was ended."""

    status: int
    output: bytes
    truncated: bool
    errors: str

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace").strip()


class Git:
    """Calls git in the directory that a descriptor names, with `.git` in it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(
        self,
        *arguments: str,
        stdin: bytes = b"",
        most: int = 1 << 20,
        allowed: Sequence[int] = (0,),
        inside: bool = True,
    ) -> Ran:
        """Run `git <arguments>`, `inside` the repository or far from any; a status not `allowed` is a ToolRefused."""
        configured = [text for key, value in _CONFIG.items() for text in ("-c", f"{key}={value}")]
        argv = ["git", "--no-pager", *configured, *arguments]
        if not inside:
            nowhere = {"GIT_DIR": "/nonexistent", "GIT_WORK_TREE": "/"}
            return _run(argv, "/", _ENVIRONMENT | nowhere, stdin, most)
        # the child resolves this while it still has the descriptor: git runs in the very directory that is held
        ran = _run(argv, f"/proc/self/fd/{self._descriptor}", _ENVIRONMENT, stdin, most)
        if ran.status not in allowed and not ran.truncated:
            said = ran.errors or ran.text or f"it ended with status {ran.status}"
            if "No space left on device" in said:
                raise ToolRefused("disk_full", f"git {arguments[0]}: no space is left")
            raise ToolRefused("git", f"git {arguments[0]} failed: {said:.2000}")
        return ran


def _run(argv: Sequence[str], folder: str, env: Mapping[str, str], stdin: bytes, most: int) -> Ran:
    """Run a program in a folder; what is beyond `most` bytes of output ends it."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(
                argv,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=env,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise ToolRefused(
                "git", "git is not installed on this host; its keeper must install it"
            ) from None
        late = threading.Event()

        def end() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(SECONDS, end)
        timer.start()
        try:
            assert process.stdout is not None
            with process.stdout:
                output = process.stdout.read(most + 1)
            truncated = len(output) > most
            if truncated:
                os.killpg(process.pid, signal.SIGKILL)
            # not reaped yet, so that its number is its own while the timer may still use it
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            timer.cancel()
            timer.join()
            status = process.wait()
        if late.is_set():
            raise ToolRefused("git", f"git took more than {SECONDS:g} s and was ended")
        errors.seek(0)
        return Ran(status, output[:most], truncated, errors.read(8192).decode("utf-8", "replace").strip())
