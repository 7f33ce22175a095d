"""`worker.py`: what keeps it from serving is said in a line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.door import ROOT, environment
from tests.support.temporal import Place


@pytest.mark.server
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("GENESIS_SANDBOX_PROVIDERS", "docker", 2),
        ("GENESIS_HOST", "a b", 2),
        ("GENESIS_DATABASE_URL", "nonsense://x", 2),
        ("TEMPORAL_ADDRESS", "127.0.0.1:1", 1),
    ],
)
def test_it_says_why_it_can_t_serve(
    temporal: Place, tmp_path: Path, name: str, value: str, code: int
) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "worker.py")],
        cwd=ROOT,
        env=environment(tmp_path, **temporal.environment | {name: value}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
