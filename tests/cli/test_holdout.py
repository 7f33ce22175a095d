"""The holdout from the person's side: asked for, left out where it would be too small, shown."""

from pathlib import Path

import pytest

from cli.running import sealed
from services.artifacts import Artifacts
from services.market_data import MarketData
from tests.cli.conftest import Command, Story


@pytest.fixture
def market(tmp_path: Path) -> MarketData:
    return MarketData(Artifacts(tmp_path / "artifacts"))


def test_the_last_share_of_the_bars_is_frozen_apart(market: MarketData) -> None:
    known, holdout = sealed(market, market.load("GOOG"), 0.25)
    assert holdout is not None
    assert (known.bars, holdout.bars, holdout.whole.bars) == (1611, 537, 2148)
    assert known.digest != holdout.whole.digest
    assert known.end < holdout.whole.end
    assert str(holdout) == "the last 537 of 2,148 bars"


def test_zero_switches_it_off(market: MarketData, capsys: pytest.CaptureFixture[str]) -> None:
    whole = market.load("GOOG")
    assert sealed(market, whole, 0.0) == (whole, None)
    assert capsys.readouterr().err == ""


def test_too_few_bars_hold_nothing_back_and_this_is_said(
    market: MarketData, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = market.load("BTCUSD")
    assert sealed(market, whole, 0.2) == (whole, None)
    assert f"no holdout: {whole.bars} bars are too few" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["-0.1", "0.51", "all"])
def test_a_share_out_of_bounds_is_refused(command: Command, share: str) -> None:
    told = command("--strategy", "RSI_Reversal", "--holdout", share)
    assert told.code == 2
    assert "--holdout" in told.stderr


def test_show_puts_windows_side_by_side_and_counts_tries(story: Story, look: Command) -> None:
    """The second experiment of the strategy, on the same bars."""
    shown = look("show", "second").stdout
    for text in ("in-sample", "out-of-sample", "5/5", "holdout conforms", "opened before: by 1"):
        assert text in shown, text
    told = look("show", "second", "--json").json
    assert set(told["holdout_gates"].values()) == {"passed"}
    assert told["evidence"]["tries"] == 2
    assert told["evidence"]["opened_before"] == 1
    assert Path(told["report_path"]).read_text().count("What it is worth") == 1


def test_the_end_of_a_run_tells_it_as_data(story: Story) -> None:
    evidence = story.merged.json["evidence"]
    assert [window["name"] for window in evidence["windows"][:3]] == ["in-sample", "out-of-sample", "all"]
    assert story.merged.json["holdout"]["bars"] == 429
