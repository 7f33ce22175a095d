"""What the options come to, before anything is started."""

from datetime import timedelta

import pytest

from tests.cli.test_fork import asked

pytestmark = pytest.mark.usefixtures("home")


def test_the_deadline_is_an_hour_or_what_the_setting_says_or_the_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert asked(None, strategy="RSI_Reversal").timeout == timedelta(hours=1)
    monkeypatch.setenv("GENESIS_EXPERIMENT_TIMEOUT_MS", "90000")
    assert asked(None, strategy="RSI_Reversal").timeout == timedelta(seconds=90)
    assert asked(None, strategy="RSI_Reversal", timeout="15m").timeout == timedelta(minutes=15)


def test_bars_of_another_length_than_the_definition_s_are_warned_of() -> None:
    """Its rules may say '20-day', which would be read as 20 hours."""
    request = asked(None, strategy="Volume_Breakout", data="EURUSD", holdout=0.2)
    assert request.holdout is not None
    for data in (request.data, request.holdout.whole):
        assert "its bars are 1h, Volume_Breakout is written for 1d" in data.warnings[-1]
    assert not any("written for" in said for said in asked(None, strategy="VWAP_Reversion").data.warnings)
