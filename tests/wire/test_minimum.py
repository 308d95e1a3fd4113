"""What a kernelspec says its kernel needs at least."""

from __future__ import annotations

from decimal import Decimal

import pytest

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.wire.minimum import START, at_least, check, minimum_of


@pytest.mark.parametrize(
    ("metadata", "minimum"),
    [
        ({}, {"cpu": "0.01", "mem": "64m"}),
        ({"ai.backend.resource.min.mem": "2g", "debugger": True}, {"cpu": "0.01", "mem": "2g"}),
        ({"ai.backend.resource.min.mem": "1m"}, {"cpu": "0.01", "mem": "64m"}),
        (
            {"ai.backend.resource.min.cpu": 1, "ai.backend.resource.min.cuda.device": "1"},
            {"cpu": "1", "mem": "64m", "cuda.device": "1"},
        ),
        ({"ai.backend.resource.min.cuda.device": "0"}, {"cpu": "0.01", "mem": "64m"}),
    ],
)
def test_labels(metadata: dict[str, object], minimum: dict[str, str]) -> None:
    assert minimum_of(metadata) == minimum


def test_a_label_that_cannot_be_read_hides_no_kernel(caplog: pytest.LogCaptureFixture) -> None:
    assert minimum_of({"ai.backend.resource.min.mem": ["much"]})["mem"] == "64m"
    assert "ai.backend.resource.min.mem is ignored" in caplog.text


def test_less_is_refused_naming_the_slot_and_all_amounts() -> None:
    least = at_least({"cuda.device": Decimal(1)}, START)
    check({"cpu": Decimal("0.01"), "mem": START["mem"], "cuda.device": Decimal(1)}, least)
    with pytest.raises(InvalidRequest) as caught:
        check({"cpu": Decimal(1), "mem": START["mem"]}, least)
    assert "(cpu=0.01 mem=64m cuda.device=1)" in str(caught.value)
    assert caught.value.field == "cuda.device"
