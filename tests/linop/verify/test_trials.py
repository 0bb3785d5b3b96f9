"""A check that has checked nothing does not pass, and an exception inside a check is a report."""

import math
from typing import Any

import numpy as np
import pytest

from distdl_ops import AgreementError, DistributedSpace, Grid, Split, simulate
from linop import (
    Diagonal,
    Euclidean,
    FunctionOperator,
    LinopError,
    Weighted,
    check,
    check_adjoint,
    check_batch,
    check_claims,
    check_linear,
    check_pure,
    check_space,
)

pytestmark = pytest.mark.serial

A = Diagonal([1.0, 2.0])
WITH_TRIALS = {"adjoint": check_adjoint, "claims": check_claims, "linear": check_linear, "pure": check_pure}


@pytest.mark.parametrize("trials", [0, -1, math.nan, 1.0, True, "3", None])
@pytest.mark.parametrize("check_one", [*WITH_TRIALS.values(), check_space], ids=[*WITH_TRIALS, "space"])
def test_trials_that_are_none(check_one: Any, trials: Any) -> None:
    """Only a whole number of one or more is a number of trials; the error names it."""
    with pytest.raises(LinopError, match="trials"):
        check_one(Weighted(Euclidean(2), 2.0) if check_one is check_space else A, trials=trials)


@pytest.mark.parametrize("check_one", [*WITH_TRIALS.values(), check_batch, check])
def test_an_exception_is_a_report(check_one: Any) -> None:
    """What an operator raises inside a check makes it fail, in the operator's own words."""

    def fail(x: Any) -> Any:
        raise KeyError("no such key")

    operator = FunctionOperator(Euclidean(2), Euclidean(2), fail, fail, name="Broken", exact=True, batched=True)
    report = check_one(operator)
    assert not report
    assert "KeyError: 'no such key'" in str(report)


def test_an_exception_on_one_rank_is_the_same_report_on_all() -> None:
    """A rank that fails by itself takes the others with it, into the same report."""

    def main(world: Any) -> list[str]:
        S = DistributedSpace(Grid(world, p=3), (6,), p=Split(0))

        def fail(x: Any) -> Any:
            if world.rank == 1:
                raise KeyError("no such key")
            return x.copy()

        operator = FunctionOperator(S, S, fail, fail, name="Broken", batched=True)
        return [str(one(operator)) for one in (check_adjoint, check_linear, check_pure, check_batch)]

    first, *others = simulate(3, main)
    assert all("no such key" in told and "FAILED" in told for told in first)
    assert all(other == first for other in others)


def test_ranks_that_ask_for_other_trials() -> None:
    """Processes that leave each other are an error, and no report."""

    def main(world: Any) -> str:
        S = DistributedSpace(Grid(world, p=2), (600,), p=Split(0))
        operator = FunctionOperator(S, S, np.copy, np.copy, batched=True)
        try:
            check_adjoint(operator, trials=1 + world.rank, mode="floating")
        except AgreementError as error:
            return str(error)
        return "passed"

    first, second = simulate(2, main)
    assert first == second
    assert "trials" in first
