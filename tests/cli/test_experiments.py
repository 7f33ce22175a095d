"""Whole experiments through the door, and every look at what they left on record."""

import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from services.library import Library
from tests.cli.conftest import Command, Story

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]


def test_an_experiment_ends_merged(story: Story) -> None:
    found = story.merged.json
    assert found["status"] == "merged"
    assert found["recommendation"]["verdict"] == "merge"
    assert found["metrics"]["trades"] > 0
    assert found["tag"] == "strategies/RSI_Reversal/v1"
    assert "<svg" in Path(found["report_path"]).read_text(encoding="utf-8")
    assert "/workflows/first" in story.merged.stderr


def test_manual_approval_waits_with_exit_3_and_says_how_to_go_on(story: Story) -> None:
    assert story.waiting.code == 3, story.waiting.said
    assert re.fullmatch(r"second: http://\S+/workflows/second", story.waiting.stderr.splitlines()[0])
    assert "waiting for a decision" in story.waiting.stdout
    assert re.search(r"python starter.py approve second --commit [0-9a-f]{12}", story.waiting.stdout)
    assert "python starter.py reject second" in story.waiting.stdout


def test_another_process_approves_what_was_judged_and_nothing_else(story: Story) -> None:
    assert story.stale.code == 2, story.stale.said
    assert "refused" in story.stale.json["error"]
    assert story.approved.code == 0, story.approved.said
    assert "tagged strategies/RSI_Reversal/v2" in story.approved.stdout
    assert story.late.code == 2
    assert "has ended (merged)" in story.late.json["error"]


def test_the_end_tells_a_person_what_came_of_it_and_what_is_next(story: Story, look: Command) -> None:
    said = story.approved.stdout
    assert re.search(r"^merge: all 9 gates passed: \d+ trades, return ", said, re.MULTILINE)
    assert re.search(r"^max drawdown % +-\d+\.\d\d ", said, re.MULTILINE)
    assert f"merged as {look('show', 'second', '--json').json['merged_commit']}, tagged" in said
    assert f"report: {story.home / 'reports' / 'second.html'}\n" in said
    for command in ("show second", "trades second", "library versions RSI_Reversal"):
        assert f"python starter.py {command}\n" in said


def test_list_and_jobs(look: Command) -> None:
    rows = look("list", "--strategy", "RSI_Reversal", "--status", "merged", "--json").json["experiments"]
    assert {row["experiment_id"]: row["status"] for row in rows} == {
        "first": "merged",
        "second": "merged",
    }
    assert look("list", "--status", "failed", "--json").json["experiments"] == []
    lines = look("list", "--strategy", "RSI_Reversal", "--limit", "1").stdout.splitlines()
    assert len(lines) == 2, "a heading and one line, however wide"
    assert "first" not in look("jobs").stdout


def test_show_by_the_beginning_of_the_id(look: Command) -> None:
    shown = look("show", "fir", "--json").json
    assert shown["experiment_id"] == "first"
    assert set(shown["gates"].values()) == {"passed"}
    assert [row["event"] for row in shown["sandboxes"]] == ["created", "cleaned_up"]
    text = look("show", "first").stdout
    assert shown["merged_commit"] in text
    assert "max drawdown %" in text


def test_diff_is_the_merged_code(look: Command) -> None:
    text = look("diff", "second").stdout
    assert "+++ b/strategies/RSI_Reversal/strategy.py" in text
    assert look("diff", "second", "--json").json["diff"] == text


def test_trades_say_when_where_why_and_what_they_brought(look: Command, story: Story) -> None:
    trades = look("trades", "first", "--json").json["trades"]
    assert len(trades) == story.merged.json["metrics"]["trades"]
    ends = {f"{end}_{what}" for end in ("entry", "exit") for what in ("time", "bar", "price", "rule")}
    assert ends | {"size", "side", "profit"} <= set(trades[0])
    assert trades[0]["entry_rule"].startswith("entry_rules[0]")
    lines = look("trades", "first").stdout.splitlines()
    assert len(lines) == len(trades) + 1, "one line a trade, however wide"


def test_audit_names_who_decided(look: Command) -> None:
    events = look("audit", "--experiment", "second", "--json").json["events"]
    (taken,) = [event for event in events if event["event"] == "decision_taken"]
    assert taken["actor"] == "mia"
    assert taken["data"]["comment"] == "fine [/] with me"
    assert [event["sequence"] for event in events] == sorted(event["sequence"] for event in events)
    only = look("audit", "--event", "merged", "--strategy", "RSI_Reversal", "--json").json["events"]
    assert {event["event"] for event in only} == {"merged"}


def test_status_of_an_ended_experiment_is_its_record(look: Command) -> None:
    assert look("status", "first", "--json").json["status"] == "merged"


def test_library_shows_and_compares_the_versions(look: Command) -> None:
    (strategy,) = look("library", "list", "--json").json["strategies"]
    assert (strategy["name"], strategy["versions"]) == ("RSI_Reversal", 2)
    versions = look("library", "versions", "RSI_Reversal", "--json").json["versions"]
    assert [one["experiment_id"] for one in versions] == ["first", "second"]
    compared = look("library", "compare", "RSI_Reversal", "v1", "2", "--json").json
    before, after = compared["metrics"]["return_pct"]
    assert before != after
    assert "stop" in compared["diff"]
    text = look("library", "compare", "RSI_Reversal", "1", "2").stdout
    assert re.search(r"return % .*-?\d", text)
    assert "+++ b/strategies/RSI_Reversal/strategy.py" in text
    refused = look("library", "compare", "RSI_Reversal", "1", "9", "--json")
    assert refused.code == 2
    assert "it has 1, 2" in refused.json["error"]


def test_the_same_id_twice_is_refused(story: Story) -> None:
    again = story.starter("--strategy", "RSI_Reversal", "--id", "first", "--json")
    assert again.code == 2
    assert "first exists already" in again.json["error"]


def test_reject_rolls_back(story: Story) -> None:
    waiting = story.starter("--strategy", "RSI_Reversal", "--approval", "manual", "--id", "unloved", "--json")
    assert waiting.code == 3, waiting.said
    assert waiting.json["status"] == "waiting"
    rejected = story.starter("reject", "unloved", "--comment", "too few trades", "--json")
    assert rejected.code == 0, rejected.said
    assert rejected.json["status"] == "rolled_back"
    assert "too few trades" in rejected.json["reason"]
    assert Library(story.home / "library.git").branches() == []


def test_of_two_that_change_one_strategy_the_second_conflicts_and_changes_nothing(
    story: Story, tmp_path: Path
) -> None:
    """Both on a CSV file of one's own, from YAML; both approved by a person who didn't see the other's merge."""
    rng = np.random.default_rng(7)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, 400)))
    bars = pd.DataFrame({" open ": closes, "HIGH": closes * 1.01, "Low": closes * 0.99, "Close": closes})
    bars.index = pd.date_range("2020-01-01", periods=len(bars), freq="D")
    bars.to_csv(tmp_path / "own.csv", index_label="date")
    for period in (5, 9):
        definition = tmp_path / f"{period}.yaml"
        definition.write_text(
            f"name: Twice\nsymbol: OWN\nentry_rules: [Close > SMA({period})]\n"
            f"exit_rules: [Close < SMA({period})]\n"
        )
        asked = ("--definition", definition, "--data", tmp_path / "own.csv", "--approval", "manual")
        waiting = story.starter(*asked, "--id", f"twice-{period}")
        assert waiting.code == 3, waiting.said
    merged = story.starter("approve", "twice-5", "--json")
    assert merged.json["tag"] == "strategies/Twice/v1", merged.said
    refused = story.starter("approve", "twice-9", "--json")
    assert refused.code == 1, refused.said
    assert refused.json["status"] == "rolled_back"
    assert "the library has moved: strategies/Twice/definition.json, " in refused.json["reason"]
    library = Library(story.home / "library.git")
    assert [version.experiment_id for version in library.versions("Twice")] == ["twice-5"]
    assert library.branches() == []


def test_cancel_of_what_nobody_has_taken_up_yet(story: Story) -> None:
    story = replace(story, starter=partial(story.starter, GENESIS_TASK_QUEUE=f"cli-unserved-{os.getpid()}"))
    started = story.starter("--strategy", "RSI_Reversal", "--id", "hasty", "--detach", "--json")
    assert started.code == 0, started.said
    assert started.json["url"].endswith("/workflows/hasty")
    assert story.starter("status", "hasty", "--json").json["experiment_id"] == "hasty"
    cancelled = story.starter("cancel", "hasty", "--json")
    assert cancelled.code == 0, cancelled.said
    assert cancelled.json["status"] == "cancelled"
    refused = story.starter("approve", "hasty", "--json")
    assert refused.code == 2
    assert "has ended (cancelled)" in refused.json["error"]


@pytest.mark.parametrize("verb", ["approve", "reject", "cancel", "status"])
def test_what_no_server_knows(story: Story, verb: str) -> None:
    refused = story.starter(verb, "nobody-ran-this", "--json")
    assert refused.code == 2
    assert "no experiment 'nobody-ran-this'" in refused.json["error"]


def test_replay_from_the_server_and_from_the_exported_file(story: Story) -> None:
    held = story.starter("replay", "first", "--json")
    assert held.code == 0, held.said
    assert held.json["source"] == "the server"
    assert held.json["holds"] is True
    alone = story.starter("replay", "first", "--json", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert alone.code == 0, alone.said
    assert alone.json["source"] == str(story.home / "histories" / "first.json")
