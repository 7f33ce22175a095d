"""Texts that a shape takes or refuses, where a pattern could be got past."""

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from schemas.definition import RiskLimits, StrategyDefinition
from schemas.experiment import ExperimentId


def refusal(shape: type[BaseModel], **fields: object) -> str:
    with pytest.raises(ValidationError) as refused:
        shape.model_validate(fields)
    return str(refused.value)


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("version", "1.0.0\n", "is not a version"),
        ("version", "١.0.0", "is not a version"),
        ("period", "5y\n", "is not a period"),
    ],
)
def test_nothing_may_follow(field: str, text: str, said: str) -> None:
    assert said in refusal(StrategyDefinition, **{"name": "A", "symbol": "GOOG", field: text})


@pytest.mark.parametrize("text", ["1.2.3%", ".%", "2. . ATR", "price 1.2.3"])
def test_a_distance_that_is_no_number_is_told_with_what_is_allowed(text: str) -> None:
    assert "is not understood; allowed are '2%'" in refusal(RiskLimits, stop_loss=text)


@pytest.mark.parametrize(
    "text", ["2%", " 2.5 % ", ".5%", "2. ATR", "2x ATR(14)", "price 95.5", "distance 0.002"]
)
def test_distances(text: str) -> None:
    assert RiskLimits.model_validate({"stop_loss": text}).stop_loss is not None


@pytest.mark.parametrize("text", ["a..b", "a.", "a.lock", "-a", "", "a/b", "a\n"])
def test_an_id_names_branches(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ExperimentId).validate_python(text)
    assert TypeAdapter(ExperimentId).validate_python("a.b-c_1") == "a.b-c_1"
