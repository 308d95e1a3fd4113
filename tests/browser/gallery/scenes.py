"""What the backends of the gallery say in each scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]

CAPACITY = {
    "cpu": {"total": "16", "free": "7"},
    "mem": {"total": "64g", "free": "16g"},
    "cuda.device": {"total": "2", "free": "0"},
}
IMAGES = [
    {"name": "python3", "title": "Python 3 (ipykernel)"},
    {"name": "ir", "title": "R"},
]
SMALL, LARGE = {"cpu": "1", "mem": "4g"}, {"cpu": "4", "mem": "16g", "cuda.device": "1"}
BEHIND = "Waiting behind 'gamma-big', which needs 8 CPUs (7 free). Second in the queue."
LONG = "nightly-reconstruction-of-the-whole-catalogue-2026"


def row(name: str, status: str = "RUNNING", at: int = 0, **more: Any) -> Row:
    """A session's row; later ones are newer, and `at` is the minute of its newest change."""
    services = [{"name": "jupyter", "url": f"jupyter-sessions/services/x/{name}/jupyter/"}]
    return {
        "name": name,
        "image": "python3",
        "status": status,
        "resources": SMALL,
        "services": services,
        "created_at": f"2026-03-02T09:{at:02}:00Z",
        "status_changed": f"2026-03-02T12:{at:02}:00Z",
    } | more


def machine(*rows: Row) -> dict[str, Any]:
    """This machine with sessions."""
    return {
        "rows": list(rows),
        "capacity": CAPACITY,
        "images": IMAGES,
        "default_resources": {"cpu": "8", "mem": "16g"},
    }


TENSORBOARD = {"name": "tensorboard", "url": "jupyter-sessions/services/x/training/tensorboard/"}
TRAINING = row("training", at=3, resources=LARGE)
TRAINING["services"] = [*TRAINING["services"], TENSORBOARD]
FOUR = [
    TRAINING,
    row("explore", at=2),
    row(
        LONG,
        at=1,
        resources=LARGE | {"mem": "1536m"},
        image="registry.example.org/team/reconstruction:26.03-cuda",
    ),
    row("gpu-two", "PENDING", resources=LARGE, services=[], status_info="Waiting for 1 GPU (0 free)."),
]
FORTY = [row(f"sweep-{number:02}", at=number) for number in range(40)]
NAMES = ("gamma-big", "after-training", "at-night", "over-quota")
REASONS = (
    "Waiting for 8 CPUs (7 free). First in the queue.",
    BEHIND,
    "Starts at 22:00.",
    "predicate-checks-failed",
)
WAITING = [
    row(name, "PENDING", at, status_info=reason, services=[])
    for at, (name, reason) in enumerate(zip(NAMES, REASONS, strict=True))
]
STARTING = [
    row(name, status, 10 + at, status_info=phase)
    for at, (name, status, phase) in enumerate(
        zip(
            NAMES,
            ("PULLING", "PREPARING", "RESTARTING", "RUNNING_DEGRADED"),
            ("Pulling the image, 40 %", "", "", "One of 4 members has ended."),
            strict=True,
        )
    )
]
ENDS = (
    ("TERMINATED", "user-requested"),
    ("TERMINATED", "It used more than its 4 GiB."),
    ("ERROR", "The startup command ended with exit code 3:\nModuleNotFoundError: No module named 'torch'"),
    ("CANCELLED", "A session that it depends on has failed."),
)
ENDED = [
    row(name, status, 20 + at, status_info=why, terminated_at=f"2026-03-02T12:{20 + at}:00Z")
    for at, (name, (status, why)) in enumerate(zip(NAMES, ENDS, strict=True))
]
CLUSTER = {
    "rows": [
        row("nightly", at=5, image="registry.example.org/stable/python:3.11-ubuntu22.04", resources={"cpu": "8", "mem": "32g"}),
        row("mosaic", "PREPARING", at=4, services=[]),
    ],
    "capacity": {"cpu": {"total": "32", "free": "24"}, "mem": {"total": "127g", "free": "95g"}},
    "images": [{"name": "lab/desk:1", "types": ["interactive", "batch"]}, {"name": "lab/job:1"}],
    "default_resources": {"cpu": "2", "mem": "8g"},
    "choices": {
        "sizes": [
            {"name": "small", "resources": {"cpu": "1", "mem": "1536m"}},
            {"name": "big", "resources": {"cpu": "8", "mem": "64g"}, "shared_memory": "1g", "fits": False},
        ],
        "groups": [{"name": "cpu-nodes"}, {"name": "gpu-nodes"}],
        "projects": ["astro", "default"],
        "folders": [
            {"name": ".config", "automatic": True},
            {"name": "catalogues", "read_only": True},
            {"name": "data"},
        ],
    },
}  # fmt: skip
SURVEY = {"rows": [row("survey", at=6)], "capacity": {}, "images": [{"name": "skaha/astroml:24.07"}]}
FAILED = {
    "error": {
        "message": "Survey does not answer at https://survey.example.org.",
        "hint": "Check your network, or try again later.",
    }
}
TAKE_OVER = machine(*FOUR[:2]) | {
    "notice": {
        "message": "The session manager of this machine is still of version 0.1.0. "
        "Until version 0.2.0 takes over, its sessions can only be listed and ended.",
        "take_over": True,
    }
}


def tell(file: Path, said: dict[str, Any]) -> None:
    """Let a backend say something else from now on."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(said))
    new.replace(file)
