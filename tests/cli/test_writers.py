"""Who writes the code, as it is typed or set."""

import pytest

from cli.output import Exit
from cli.running import Wish, request_from
from schemas.experiment import ExperimentRequest
from services.settings import Settings
from tests.cli.conftest import Command

A, B = "openai:a", "anthropic:b"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[ExperimentRequest]:
    """The requests that command lines come to, without being started."""
    found: list[ExperimentRequest] = []

    async def kept(wish: Wish) -> Exit:
        found.append(request_from(wish, Settings()))
        return Exit.DONE

    monkeypatch.setattr("cli.running.run", kept)
    return found


@pytest.mark.parametrize(
    ("typed", "writers"),
    [
        ([], ["offline"]),
        (["--engine", A], [A]),
        (["--engine", A, "--candidates", 3], [A] * 3),
        (["--engine", A, "--engine", B], [A, B]),
        (["--engine", A, "--engine", B, "--candidates", 2], [A, A, B, B]),
        (["--engine", A, "--engine", A], [A, A]),
    ],
)
def test_engines_and_candidates(
    command: Command, asked: list[ExperimentRequest], typed: list[object], writers: list[str]
) -> None:
    told = command("--strategy", "RSI_Reversal", *typed)
    assert told.code == 0, told.said
    assert sorted(asked[0].writers) == sorted(writers)


def test_the_setting_names_the_engine_where_no_option_does(
    command: Command, asked: list[ExperimentRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENESIS_ENGINE", A)
    assert command("--strategy", "RSI_Reversal", "--candidates", 2).code == 0
    assert command("--strategy", "RSI_Reversal", "--engine", B).code == 0
    assert [request.writers for request in asked] == [[A, A], [B]]


def test_more_than_sixteen_are_too_many(command: Command, asked: list[ExperimentRequest]) -> None:
    told = command("--strategy", "RSI_Reversal", "--engine", A, "--engine", B, "--candidates", 9)
    assert told.code == 2, told.said
    assert "at most 16" in told.stderr
    assert asked == []
