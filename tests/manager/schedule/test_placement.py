"""Who starts, who waits and what for. Pure: nothing runs here."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_sessions.amounts import GPU_SLOT
from jupyter_sessions.errors import InvalidRequest, NotEnough
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.schedule.placement import Capacity, Decision, decide
from tests.manager.records import make_record

GIB = 1024**3


def machine(cpu: int = 4, mem: int = 8, gpus: int = 2, max_sessions: int = 0) -> Capacity:
    names = [f"GPU-{number}" for number in range(gpus)]
    slots = {"cpu": Decimal(cpu), "mem": Decimal(mem * GIB), GPU_SLOT: Decimal(gpus)}
    return Capacity(slots, names, max_sessions)


def running(name: str, gpus: list[str] | None = None, **slots: int | str) -> Record:
    record = make_record(name, **slots, **({"cuda_device": len(gpus)} if gpus else {}))
    record.enter("PREPARING")
    record.gpus = gpus or []
    return record


def started(decisions: list[Decision]) -> list[bool]:
    return [decision.start for decision in decisions]


def reasons(decisions: list[Decision]) -> list[str]:
    return [decision.reason for decision in decisions]


def test_what_fits_starts_in_order() -> None:
    decisions = decide(machine(cpu=3), [make_record(f"run-{number}") for number in range(4)], [])
    assert started(decisions) == [True, True, True, False]
    assert decisions[3].reason == "Waiting for 1 CPU (0 free)."


def test_first_come_first_served_for_a_slot() -> None:
    """A small one must not slip past a big one that waits for the same slot."""
    decisions = decide(machine(), [make_record("big", cpu=4), make_record("small")], [running("old", cpu=2)])
    assert started(decisions) == [False, False]
    assert reasons(decisions) == [
        "Waiting for 4 CPUs (2 free).",
        "Waiting behind 'big', which needs 4 CPUs (2 free). Second in the queue.",
    ]


def test_who_does_not_contend_may_overtake() -> None:
    holding = [running("one", ["GPU-0"]), running("two", ["GPU-1"])]
    pending = [make_record("gpu-a", cuda_device=1), make_record("plain"), make_record("gpu-b", cuda_device=1)]
    decisions = decide(machine(), pending, holding)
    assert started(decisions) == [False, True, False]
    assert decisions[0].reason == "Waiting for 1 GPU (0 free)."
    assert decisions[2].reason == "Waiting behind 'gpu-a', which needs 1 GPU (0 free). Second in the queue."


def test_nobody_starves() -> None:
    """Small ones that come for ever do not keep a big one from its turn."""
    holding = [running(f"old-{number}") for number in range(4)]
    big = make_record("big", cpu=4)
    for round_ in range(4):
        decisions = decide(machine(), [big, make_record(f"new-{round_}")], holding)
        assert not any(started(decisions))
        holding.pop()
    assert started(decide(machine(), [big, make_record("last")], holding)) == [True, False]


def test_all_that_it_lacks_is_said() -> None:
    decisions = decide(machine(mem=2), [make_record("big", cpu=2, mem=2 * GIB)], [running("old", cpu=3)])
    assert decisions[0].reason == "Waiting for 2 CPUs (1 free) and 2 GiB (1.5 GiB free)."


def test_the_first_ten_are_told_their_place_and_others_about_where_they_are() -> None:
    pending = [make_record(f"wait-{number}", cpu=4) for number in range(23)]
    found = reasons(decide(machine(), pending, [running("old")]))
    behind = "Waiting behind 'wait-0', which needs 4 CPUs (3 free). "
    assert found[0] == "Waiting for 4 CPUs (3 free)."
    assert [found[1], found[9]] == [f"{behind}Second in the queue.", f"{behind}Tenth in the queue."]
    far = "Waiting in the queue, with at least {} sessions before this one."
    assert [found[10], found[20], found[22]] == [far.format(10), far.format(20), far.format(20)]


def test_a_long_queue_that_moves_changes_few_reasons() -> None:
    pending = [make_record(f"wait-{number}", cpu=4) for number in range(600)]
    before = {one.id: one.reason for one in decide(machine(), pending, [running("old")])}
    after = {one.id: one.reason for one in decide(machine(), pending[1:], [running("wait-0", cpu=4)])}
    assert sum(before[one] != reason for one, reason in after.items()) <= 10 + len(
        "10 20 50 100 200 500".split()
    )


def test_whom_one_waits_behind_is_told_to_the_same_key_alone() -> None:
    """And with the reason of that one, where both are short of something else as well."""
    first, second, third = make_record("big-a", cpu=2), of("OTHER", "mine", cpu=1), make_record("more", cpu=1)
    found = reasons(decide(machine(), [first, second, third], [running("old", cpu=3)]))
    needs = "which needs 2 CPUs (1 free)"
    assert found[1] == f"Waiting behind a session of another key, {needs}. Second in the queue."
    assert found[2] == f"Waiting behind 'big-a', {needs}. Third in the queue."
    gpu, both = make_record("gpu", cuda_device=1), make_record("both", cpu=4, cuda_device=1)
    found = reasons(decide(machine(gpus=1), [gpu, both], [running("old", ["GPU-0"])]))
    assert found[1] == "Waiting behind 'gpu', which needs 1 GPU (0 free). Second in the queue."


def test_enough_shares_that_lie_on_several_gpus() -> None:
    slots = {"cpu": Decimal(4), "mem": Decimal(8 * GIB), "cuda.shares": Decimal(8)}
    capacity = Capacity(slots, ["GPU-0", "GPU-1"], gpu_shares=4)
    held = [running("one", cuda_shares=2), running("two", cuda_shares=2)]
    for record, gpu in zip(held, capacity.gpus, strict=True):
        record.gpus = [gpu]
    found = reasons(decide(capacity, [make_record("new", cuda_shares=3)], held))
    assert found == ["Waiting for 3 GPU shares of one GPU (at most 2 free)."]


def test_a_most_number_of_sessions() -> None:
    pending = [make_record(f"run-{number}") for number in range(3)]
    decisions = decide(machine(max_sessions=2), pending, [running("old")])
    assert started(decisions) == [True, False, False]
    assert decisions[1].reason == "Waiting for another session to end."
    assert decisions[2].reason == (
        "Waiting behind 'run-1', which waits for another session to end. Second in the queue."
    )


def test_no_session_more_than_there_may_be_when_the_limit_was_lowered() -> None:
    holding = [running("one"), running("two")]
    assert started(decide(machine(max_sessions=1), [make_record("new")], holding)) == [False]


def test_gpus_go_to_one_session_each() -> None:
    pending = [make_record(f"gpu-{number}", cuda_device=1) for number in range(2)]
    assert [d.gpus for d in decide(machine(), pending, [])] == [["GPU-0"], ["GPU-1"]]
    assert decide(machine(), pending, [running("old", ["GPU-0"])])[0].gpus == ["GPU-1"]


def test_a_machine_that_became_smaller_does_not_stop_the_queue() -> None:
    decisions = decide(machine(cpu=2), [make_record("big", cpu=8), make_record("small")], [])
    assert started(decisions) == [False, True]
    assert decisions[0].reason == "Waiting for 8 CPUs (this machine has 2)."


@pytest.mark.parametrize(
    ("slots", "error", "says"),
    [
        ({"cpu": 5}, NotEnough, "You asked for 5 CPU, but this machine has 4 CPU."),
        ({"mem": 9 * GIB}, NotEnough, "You asked for 9 GiB, but this machine has 8 GiB."),
        ({"cuda_device": 3}, NotEnough, "You asked for 3 GPU, but this machine has 2 GPU."),
        ({"cuda_device": "0.5"}, InvalidRequest, "This machine does not share GPUs between sessions"),
        ({"tpu_device": 1}, InvalidRequest, "This machine has no resource 'tpu.device'. Choose from: cpu, "),
    ],
)
def test_what_can_never_be_had_is_refused(
    slots: dict[str, int | str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        machine().check(make_record("big", **slots).slots)
    assert says in str(caught.value)


def test_a_gpu_where_there_is_none() -> None:
    with pytest.raises(NotEnough) as caught:
        machine(gpus=0).check(make_record("gpu", cuda_device=1).slots)
    assert str(caught.value) == (
        "This machine has no GPU. Leave out `--gpu`, or choose a backend that has one: `%session backend list`."
    )


ASKED = st.fixed_dictionaries(
    {"cpu": st.sampled_from(["0.25", "1", "2", "5"]), "mem": st.integers(1, 12), "gpu": st.integers(0, 3)}
)


@settings(max_examples=300, deadline=None)
@given(
    asked=st.lists(ASKED, max_size=12),
    ends=st.lists(st.integers(0, 11), max_size=12),
    max_sessions=st.integers(0, 4),
)
def test_never_over_capacity_and_no_gpu_twice(
    asked: list[dict[str, int | str]], ends: list[int], max_sessions: int
) -> None:
    """Sessions come, and end in any order; whatever can ever run, in the end has run."""
    capacity = machine(max_sessions=max_sessions)
    pending = [
        make_record(f"run-{n}", cpu=one["cpu"], mem=int(one["mem"]) * GIB, cuda_device=one["gpu"])
        for n, one in enumerate(asked)
    ]
    holding: list[Record] = []
    for end in [*ends, *[0] * len(pending)]:
        for decision in decide(capacity, list(pending), list(holding)):
            assert decision.start != bool(decision.reason)
            if decision.start:
                record = next(record for record in pending if record.id == decision.id)
                assert len(decision.gpus) == record.slots[GPU_SLOT]
                record.gpus = decision.gpus
                pending.remove(record)
                holding.append(record)
        for name, total in capacity.slots.items():
            assert sum(record.slots[name] for record in holding) <= total
        gpus = [gpu for record in holding for gpu in record.gpus]
        assert len(gpus) == len(set(gpus))
        assert not max_sessions or len(holding) <= max_sessions
        if holding:
            holding.pop(end % len(holding))
    assert all(any(r.slots[name] > total for name, total in capacity.slots.items()) for r in pending)


def of(key: str, name: str, **slots: int | str) -> Record:
    record = make_record(name, **slots)
    record.access_key = key
    return record


def test_a_key_has_no_more_at_once_than_it_may() -> None:
    """Who has all of its own waits, in its own order, and holds up nobody else."""
    few = Key(access_key="FEW", secret_key="", max_sessions=2)
    small = Key(access_key="SMALL", secret_key="", max_slots={"cpu": Decimal(2), "mem": Decimal(8 * GIB)})
    keys = {key.access_key: key for key in (few, small)}
    pending = [
        *(of("FEW", f"few-{number}") for number in range(3)),
        of("SMALL", "small-1"),
        of("SMALL", "small-2", cpu="1.5"),
        of("SMALL", "small-3"),
        of("OTHER", "other"),
    ]
    decisions = decide(machine(cpu=16, mem=64), pending, [], keys.get)
    assert started(decisions) == [True, True, False, True, False, False, True]
    assert reasons(decisions)[2] == "Waiting for another session of this key to end: it may run 2 at once."
    assert reasons(decisions)[4] == "Waiting for 1.5 CPUs: this key may have 2 at once."
    assert reasons(decisions)[5] == "Waiting for 1 CPU: this key may have 2 at once.", (
        "not past the one before"
    )
    held = [of("FEW", "held-1"), of("FEW", "held-2")]
    assert started(decide(machine(cpu=16, mem=64), pending[:1], held, keys.get)) == [False]
    assert started(decide(machine(cpu=16, mem=64), pending[:1], held[:1], keys.get)) == [True]


def restricted(name: str, *gpus: str, amount: int = 1) -> Record:
    record = make_record(name, cuda_device=amount)
    record.allowed_gpus = [*gpus]
    return record


def test_who_may_have_some_devices_only_gets_no_others() -> None:
    decisions = decide(machine(), [restricted("one", "GPU-1"), make_record("two", cuda_device=1)], [])
    assert [decision.gpus for decision in decisions] == [["GPU-1"], ["GPU-0"]]


def test_who_waits_for_some_devices_holds_up_those_who_may_have_them() -> None:
    waits = restricted("both", "GPU-0", "GPU-1", amount=2)
    later = [make_record("any", cuda_device=1), restricted("first", "GPU-0")]
    decisions = decide(machine(gpus=3), [waits, *later], [running("old", ["GPU-1"])])
    assert [decision.gpus for decision in decisions] == [[], ["GPU-2"], []]
    assert decisions[0].reason == "Waiting for 2 GPUs (1 free)."
    assert decisions[2].reason == "Waiting for 1 GPU (0 free)."


def test_devices_that_are_no_longer_there_are_waited_for_and_hold_up_nobody() -> None:
    decisions = decide(machine(), [restricted("one", "GPU-9"), make_record("two", cuda_device=2)], [])
    assert started(decisions) == [False, True]
    assert decisions[0].reason == "Waiting for 1 GPU (you may have 0)."
