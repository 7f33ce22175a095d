"""sandbox run, list and cleanup, in real sandboxes."""

import json
import os
from pathlib import Path

import docker
import pytest

from services.records import Records
from services.sandboxes.bubblewrap import BubblewrapProvider
from services.sandboxes.docker import DockerProvider
from services.settings import Settings
from tests.cli.conftest import Command, Story
from tests.cli.door import ROOT, starter, worker
from tests.support.needs import checked
from tests.support.temporal import Place


@pytest.fixture(autouse=True)
def _sandboxes(tmp_path: Path) -> None:
    checked(BubblewrapProvider(tmp_path / "probe"))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "script.py"


def test_output_exit_code_and_time(command: Command, script: Path) -> None:
    script.write_text("import sys\nprint('héllo')\nprint('oops', file=sys.stderr)\n")
    told = command("sandbox", "run", script, "--provider", "bubblewrap")
    assert told.code == 0, told.said
    assert told.stdout == "héllo\n"
    assert told.stderr.startswith("oops\n")
    assert "exit code 0 after" in told.stderr
    script.write_text("raise SystemExit(7)")
    found = command("sandbox", "run", script, "--json")
    assert found.code == 1
    assert found.json["exit_code"] == 7
    assert found.json["ok"] is False


def test_the_limit_that_was_hit_is_said(command: Command, script: Path) -> None:
    script.write_text("while True: pass")
    slow = command("sandbox", "run", script, "--timeout", "0.5", "--json")
    assert slow.code == 1
    assert slow.json["timed_out"] is True
    assert slow.json["limits_hit"] == ["time: killed after 0.5 s"]
    script.write_text("print(len(bytearray(700 << 20)))")
    greedy = command("sandbox", "run", script, "--memory", "128")
    assert greedy.code == 1
    assert "memory: more than 128 MB" in greedy.stderr


def test_it_is_apart_from_this_machine(command: Command, script: Path, home: Path) -> None:
    secret = script.parent / "secret"
    secret.write_text("x")
    script.write_text(
        f"import os\nprint(os.path.exists({str(secret)!r}))\nprint('GENESIS_HOME' in os.environ)\n"
    )
    assert command("sandbox", "run", script).stdout == "False\nFalse\n"
    for key, word in ("sandboxes", "list"), ("removed", "cleanup"):
        found = command("sandbox", word, "--json").json[key]
        # Docker is the machine's: other tests' containers may be there
        assert [one for one in found if "genesis.command" in one["labels"]] == []


def test_a_hostile_file_name_runs_as_main(command: Command, tmp_path: Path) -> None:
    odd = tmp_path / "-c import os; \x1b[31m.py"
    odd.write_text("print(__file__)")
    assert "main.py" in command("sandbox", "run", "--", odd).stdout


@pytest.mark.parametrize("thing", ["/dev/null", "/", "/none.py"])
def test_what_is_no_file(command: Command, thing: str) -> None:
    told = command("sandbox", "run", thing, "--json")
    assert told.code == 2
    assert thing in told.json["error"]


def test_a_provider_that_cannot_work_says_why(
    command: Command, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.write_text("pass")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    told = command("sandbox", "run", script, "--provider", "docker", "--json")
    assert told.code == 1
    assert "no Docker daemon answers" in told.json["error"]


@pytest.mark.docker
@pytest.mark.server
def test_a_whole_experiment_in_docker(temporal: Place, tmp_path: Path) -> None:
    """To its merge, the holdout in a second container; costs by option; and no container is left."""
    checked(DockerProvider())
    home, name = tmp_path / "home", f"docker-{os.getpid()}"
    where = {**temporal.environment, "GENESIS_TASK_QUEUE": name}  # nothing in stock: containers bear its name
    charged = ("--commission", 0.001, "--spread", 0.0005, "--slippage", 0.0002)
    with worker(home, **where, GENESIS_SANDBOX_PROVIDERS='["docker"]'):
        done = starter(home, "--strategy", "RSI_Reversal", "--id", name, *charged, "--json", **where)
        leased = docker.from_env().api.containers(
            all=True, filters={"label": f"genesis.label.genesis.experiment={name}"}
        )
    assert done.code == 0, done.said
    found = done.json
    assert (found["status"], found["holdout"]["bars"]) == ("merged", 429)
    assert {gate["outcome"] for gate in found["gates"] + found["holdout"]["gates"]} == {"passed"}
    assert found["stressed"]["return_pct"] < found["metrics"]["return_pct"]
    records = Records(Settings(home=home).records_url)
    assert {row.provider for row in records.sandboxes(name)} == {"docker"}
    assert records.leases(open_only=True) == []
    assert leased == []


def test_what_a_failed_try_out_left_can_be_unpacked(story: Story, look: Command, tmp_path: Path) -> None:
    definition = json.loads((ROOT / "strategies" / "RSI_Reversal.json").read_text())
    definition["entry_rules"] = ["RSI(14) < 0"]
    file = tmp_path / "never.json"
    file.write_text(json.dumps(definition))
    failed = story.starter("--definition", file, "--id", "never")
    assert failed.code == 1, failed.said
    shown = look("show", "never").stdout
    assert "preserved: failed: trades" in shown
    told = look("sandbox", "preserved", "never", "-o", tmp_path / "kept", "--json")
    assert [found["path"] for found in told.json["files"]] == ["strategy.py"]
    assert "class" in (tmp_path / "kept" / "strategy.py").read_text()
    assert look("sandbox", "preserved", "never").code == 0
    blocked = look("sandbox", "preserved", "never", "-o", file)
    assert blocked.code == 2
    assert "name another directory" in blocked.stderr
    nothing = look("sandbox", "preserved", "first")
    assert nothing.code == 2
    assert "nothing was preserved of first" in nothing.stderr
