"""GPUs, of machines that are made up: those of CI have none."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_sessions.manager.runtime.gpus import Gpu, configured, discover, select, visible

A, B, C = "GPU-aaaa1111", "GPU-aaaa2222", "GPU-cccc3333"
SLICES = ["MIG-1111", "MIG-2222"]


class NVMLError(Exception):
    """As the library has it, with a subclass for each cause."""


class NotFoundError(NVMLError):
    """No driver."""


_NAMES = {A: "Small", B: "Small", C: "Large"}


def _mig_mode(handle: str) -> tuple[int, int]:
    if handle == A:
        raise NVMLError("Not Supported")
    return (1, 1) if handle == C else (0, 0)


def _mig_device(handle: str, index: int) -> str:
    if index not in (0, 3):
        raise NVMLError("Not Found")
    return SLICES[index // 3]


def _fake() -> SimpleNamespace:
    """What is used of pynvml, for two GPUs and one that is cut in two."""
    return SimpleNamespace(
        NVMLError=NVMLError,
        NVMLError_LibraryNotFound=NotFoundError,
        NVMLError_DriverNotLoaded=NotFoundError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 3,
        nvmlDeviceGetHandleByIndex=[A, B, C].__getitem__,
        nvmlDeviceGetUUID=str,
        nvmlDeviceGetName=lambda handle: _NAMES.get(handle, "Slice").encode(),
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=80 << 30),
        nvmlDeviceGetMigMode=_mig_mode,
        nvmlDeviceGetMaxMigDeviceCount=lambda handle: 7,
        nvmlDeviceGetMigDeviceHandleByIndex=_mig_device,
    )


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    fake = _fake()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_all(nvml: SimpleNamespace) -> None:
    found = [gpu for group in discover() for gpu in group]
    assert [gpu.uuid for gpu in found] == [A, B, *SLICES]
    assert found[0] == Gpu(A, "Small", 80 << 30)
    assert found[2] == Gpu(SLICES[0], "Slice", 80 << 30, parent=C)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0", [A]),
        ("1,0", [B, A]),
        (" 1 , 0 ", [B, A]),
        ("0,9,1", [A]),
        ("0,,1", [A]),
        ("0,0", [A]),
        (B, [B]),
        ("GPU-aaaa2", [B]),
        ("GPU-aaaa", []),
        ("GPU-", []),
        (f"{B},GPU-none,{A}", [B]),
        ("2", [SLICES[0]]),
        (C, [SLICES[0]]),
        ("MIG-2", [SLICES[1]]),
        (f"{SLICES[1]},{A}", [SLICES[1], A]),
    ],
)
def test_a_choice_of_who_asks(chosen: str, expected: list[str], nvml: SimpleNamespace) -> None:
    assert [gpu.uuid for gpu in select(discover(), chosen)] == expected


def test_all_are_found_whatever_the_starter_sees(
    nvml: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [gpu.uuid for gpu in select(discover(), None)] == [A, B, *SLICES]


@pytest.mark.parametrize(
    ("names", "chosen", "expected"),
    [
        (["fake0", "fake1"], "1", ["fake1"]),
        (["fake0", "fake1"], "fake1,fake0", ["fake1", "fake0"]),
        (["2", "3"], "3", ["3"]),
        (["2", "3"], "0,2", []),
        (["0", "1"], "", []),
    ],
)
def test_a_choice_of_configured_slots(names: list[str], chosen: str, expected: list[str]) -> None:
    assert [gpu.uuid for gpu in select(configured(names), chosen)] == expected


def test_no_driver_is_nothing_to_talk_about(
    nvml: SimpleNamespace, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvml, "nvmlInit", _raise(NotFoundError("Shared Library Not Found")), raising=False)
    assert discover() == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("where", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetUUID"])
def test_a_broken_driver_is_no_gpu_and_a_line_in_the_log(
    where: str,
    nvml: SimpleNamespace,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nvml, where, _raise(NVMLError("Unknown Error")))
    assert discover() == []
    assert "Unknown Error" in caplog.text


def _raise(error: Exception) -> Any:
    def fail(*args: Any) -> None:
        raise error

    return fail


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert discover() == []


def test_the_real_library_here() -> None:
    assert isinstance(discover(), list)
    assert select(discover(), "") == []


def test_what_a_session_is_shown() -> None:
    assert visible([A, B])["CUDA_VISIBLE_DEVICES"] == f"{A},{B}"
    assert visible([])["CUDA_VISIBLE_DEVICES"] == ""
    assert visible([A])["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_configured_slots() -> None:
    assert [[gpu.uuid for gpu in group] for group in configured(["fake0", "fake1"])] == [["fake0"], ["fake1"]]
