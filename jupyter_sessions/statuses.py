"""Statuses of sessions: their names, groups, and words for people."""

from __future__ import annotations

from jupyter_sessions.errors import InvalidRequest

STATUSES = (
    "PENDING SCHEDULED PULLING PREPARING PREPARED CREATING RUNNING RUNNING_DEGRADED "
    "RESTARTING RESIZING SUSPENDED TERMINATING TERMINATED ERROR CANCELLED"
).split()
DEAD = frozenset({"CANCELLED", "TERMINATED"})
RUNNING = frozenset("PREPARING PULLING PREPARED CREATING RUNNING RUNNING_DEGRADED".split())
USABLE = frozenset({"RUNNING", "RUNNING_DEGRADED"})

_REASONS = {"user-requested": "on request"}
_STATUS_WORDS = {
    **dict.fromkeys(("PENDING", "SCHEDULED"), "waiting"),
    **dict.fromkeys(("PULLING", "PREPARING", "PREPARED", "CREATING"), "starting"),
    "RUNNING_DEGRADED": "running, degraded",
    "TERMINATED": "ended",
    "ERROR": "failed",
}
_STATUS_CLAUSES = {"ended": "has ended", "failed": "has failed", "cancelled": "was cancelled"}


def is_live(status: str) -> bool:
    """Return whether a status, known or not, is one of a session that has not ended."""
    return status not in DEAD


def status_word(status: str) -> str:
    """Return a status in people's words, such as "waiting"; the panel's `statusLabel` has the same words."""
    return _STATUS_WORDS.get(status, status.lower() if status in STATUSES else status)


def status_clause(status: str) -> str:
    """Return a status as the predicate of a sentence: "is running", "has ended"."""
    word = status_word(status)
    return _STATUS_CLAUSES.get(word, f"is {word}")


def standing(name: str, status: str, info: str, called: str = "") -> str:
    """Describe the state of a session in a sentence, with the reason if there is one."""
    called = called or f"The session '{name}'"
    if status_word(status) == "waiting" and info:
        return f"{called} is {waiting(info)}."
    if info.endswith("."):
        return f"{called} {status_clause(status)}: {info[0].lower()}{info[1:]}"
    return f"{called} {status_clause(status)}{f' ({reason(info)})' if info else ''}."


def reason(info: str) -> str:
    """Return the reason for a status in words: a backend's code as people say it, and all else unchanged."""
    return _REASONS.get(info, info)


def because(info: str) -> str:
    """Return a reason as the end of a sentence: " (on request).", ": it used more than its 512 MiB." or "."."""
    words = reason(info).removesuffix(".")
    if not words:
        return "."
    return f" ({words})." if info in _REASONS else f": {words}."


def waiting(info: str) -> str:
    """Return why a session waits as the rest of a sentence that begins with its name and "is"."""
    words = f"{info[:1].lower()}{info[1:].removesuffix('.')}"
    return words if words.startswith("waiting") else f"waiting{f' ({words})' if words else ' for its turn'}"


def in_group(status: str, group: str) -> bool:
    """Return whether a status belongs to "live", "running", "dead", "all", or a comma-separated list of statuses.

    Errors: InvalidRequest for an unknown status.
    """
    if group == "all":
        return True
    if group == "live":
        return is_live(status)
    if group in ("dead", "running"):
        return status in (DEAD if group == "dead" else RUNNING)
    return status in parse_statuses(group)


def parse_statuses(text: str) -> list[str]:
    """Return the statuses in a comma-separated list, in upper case. Errors: InvalidRequest for an unknown status."""
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in STATUSES:
            hint = f"Use live, running, dead, all, or some of {', '.join(STATUSES)}."
            raise InvalidRequest(f"There is no status '{name}'.", hint=hint, field="status")
    return names
