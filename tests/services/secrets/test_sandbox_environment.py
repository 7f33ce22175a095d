"""A definition asks for secrets by name; its trials have them in their environment, and nothing else has."""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.definitions import check_definition, definition_digest
from schemas.sandbox import Limits, TrialOrder
from services.sandboxes import Sandbox, SandboxUnavailable
from services.sandboxes.bubblewrap import BubblewrapProvider
from services.secrets.redaction import redact_trial
from tests.cli.door import ROOT
from tests.support.canary import Canary, children, new_marker

RULES = json.loads((ROOT / "strategies" / "RSI_Reversal.json").read_text())


def test_a_definition_may_ask() -> None:
    plain = check_definition(RULES).definition
    asking = check_definition(RULES | {"secrets": ["DATA_KEY"]}).definition
    assert (plain.secrets, asking.secrets) == ([], ["DATA_KEY"])
    assert definition_digest(plain) != definition_digest(asking)
    for wrong in ("LD_PRELOAD", "a b", "../x", "", "A" * 65, 3):
        with pytest.raises(Exception, match="secrets"):
            check_definition(RULES | {"secrets": [wrong]})


def test_no_definition_that_ships_asks_for_any() -> None:
    for file in sorted((ROOT / "strategies").glob("*.json")):
        assert check_definition(json.loads(file.read_text())).definition.secrets == []


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    provider = BubblewrapProvider(tmp_path / "sandboxes")
    try:
        provider.check()
    except SandboxUnavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    name = f"secret-{uuid.uuid4().hex[:8]}"
    yield provider.create(name, limits=Limits(), labels={})
    provider.destroy(name)
    provider.close()


CODE = """
import os
from backtesting import Strategy

class S(Strategy):
    def init(self):
        print("found:", os.environ.get("DATA_KEY"), sorted(name for name in os.environ if "KEY" in name))

    def next(self):
        if FAIL:
            raise ValueError(os.environ["DATA_KEY"])
"""
BARS = "Date,Open,High,Low,Close,Volume\n" + "".join(f"2024-01-{day:02d},1,2,1,2,9\n" for day in range(1, 29))
ORDER = TrialOrder(code="strategy.py", entrypoint="S", data="bars.csv")


@pytest.mark.parametrize("prepared", [False, True])
def test_a_trial_has_it_and_nothing_else_does(sandbox: Sandbox, prepared: bool) -> None:
    canary = Canary(new_marker())
    if prepared:
        sandbox.prepare()
    sandbox.put({"strategy.py": CODE.replace("FAIL", "False").encode(), "bars.csv": BARS.encode()})
    given = sandbox.trial(ORDER, timeout=20, env={"DATA_KEY": canary.marker})
    assert given.error is None
    assert f"found: {canary.marker} ['DATA_KEY']" in given.run.stdout
    redacted = redact_trial(given, {"DATA_KEY": canary.marker})
    assert canary.in_bytes("result", redacted.model_dump_json()) == []
    assert "found: [secret DATA_KEY]" in redacted.run.stdout
    assert redacted.model_copy(update={"run": given.run}) == given, "the rest is as it was"
    without = sandbox.trial(ORDER, timeout=20)
    assert "found: None []" in without.run.stdout
    told = sandbox.run(["env"], timeout=20)
    assert canary.in_bytes("another command", told.stdout) == []
    files = [sandbox.read(entry.path, max_bytes=1 << 20) for entry in sandbox.list() if entry.kind == "file"]
    assert [
        canary.in_bytes("a file", content) for content in files if canary.in_bytes("a file", content)
    ] == []
    assert canary.in_processes(children(os.getpid())) == []


def test_an_error_that_holds_it(sandbox: Sandbox) -> None:
    canary = Canary(new_marker())
    sandbox.put({"strategy.py": CODE.replace("FAIL", "True").encode(), "bars.csv": BARS.encode()})
    secrets = {"DATA_KEY": canary.marker}
    result = sandbox.trial(ORDER, timeout=20, env=secrets)
    assert result.error
    assert canary.in_bytes("error", result.error.message)
    assert canary.in_bytes("error", redact_trial(result, secrets).model_dump_json()) == []
