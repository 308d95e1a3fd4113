"""A startup command that waits for its files, and for somebody to fetch its results.

A command runs as soon as its session does, and many backends delete the files of a session when the command has ended.
The wrapped command begins once the files have arrived, and ends once the results have been fetched. Empty files tell
each side of the other; a mark in their names keeps sessions apart that share a folder.
"""

from __future__ import annotations

from jupyter_sessions.model import REPLICA_ID

WAIT_SECONDS = 600
"""How long a command waits for its files to arrive, and for its results to be fetched."""
_HEAD = """\
wait_for() { n=0; while [ ! -e "$1" ]; do sleep 0.2; n=$((n+1)); [ $n -lt %(turns)d ] || return 1; done; rm -f "$1"; }
wait_for "%(sent)s" || { echo "The files of this session did not arrive." >&2; exit 124; }
(
"""
_TAIL = "\n)\ncode=$?\n"
_FETCHED = """\
echo $code > "%(done)s"
wait_for "%(fetched)s"
rm -f "%(done)s"
"""
_BEGINNING = _HEAD.partition("%")[0]


def wrapped(command: str, mark: str, *, fetches: bool) -> str:
    """Return a command that waits for the file MARK-sent-N, and with `fetches` for MARK-fetched-N, N being its replica.

    Before the latter, it writes its exit code to MARK-done-N.
    """
    names: dict[str, object] = {name: f"{mark}-{name}-${REPLICA_ID}" for name in ("sent", "done", "fetched")}
    end = _FETCHED % names if fetches else ""
    return f"{_HEAD % {**names, 'turns': WAIT_SECONDS * 5}}{command}{_TAIL}{end}exit $code\n"


def unwrapped(command: str) -> str:
    """Return the command that a person gave, from a wrapped one or from itself."""
    if not command.startswith(_BEGINNING):
        return command
    return command.partition("\n(\n")[2].rpartition(_TAIL)[0] or command
