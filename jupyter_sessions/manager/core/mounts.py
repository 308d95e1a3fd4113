"""Mounts: configured folders as links in a session's working folder.

A link has the rights of the user, so read-only is only a convention unless the folder's permissions enforce it;
`how` tells which of the two applies.
"""

from __future__ import annotations

import itertools
import os
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.runtime.launch import LaunchError

HOME = "/home/work"
"""The path of a session's working folder in the APIs."""


class ConfiguredFolder(msgspec.Struct, frozen=True):
    """A folder that sessions may mount."""

    path: str
    read_only: bool = False


class Mount(msgspec.Struct, frozen=True):
    """A folder mounted in a session; `target` is relative to its working folder."""

    name: str
    source: str
    target: str
    read_only: bool = False


def configured(given: Mapping[str, Any]) -> dict[str, ConfiguredFolder]:
    """Return the configured folders by name; each is given as a path, or as an object with `path`."""
    return {
        name: ConfiguredFolder(os.path.expanduser(one))
        if isinstance(one, str)
        else ConfiguredFolder(os.path.expanduser(one["path"]), bool(one.get("read_only")))
        for name, one in given.items()
    }


def choose(
    folders: Mapping[str, ConfiguredFolder], names: Iterable[str], places: Mapping[str, str]
) -> list[Mount]:
    """Return the mounts of a request, each once. Errors: InvalidRequest for unknown names and overlapping places."""
    wanted = dict.fromkeys(names)
    for name in places:
        if name not in wanted:
            hint = "List it among the mounts, too."
            raise InvalidRequest(f"The folder '{name}' is not mounted.", hint=hint, field="mount_map")
    mounts = [_mount(folders, name, places.get(name) or name) for name in wanted]
    targets = sorted(f"{mount.target}/" for mount in mounts)
    for outer, inner in itertools.pairwise(targets):
        if inner.startswith(outer):
            raise InvalidRequest(
                f"The mount at '{inner[:-1]}' overlaps the one at '{outer[:-1]}'.",
                hint="Choose a separate place for each folder.",
                field="mount_map",
            )
    return mounts


def _mount(folders: Mapping[str, ConfiguredFolder], name: str, place: str) -> Mount:
    folder = folders.get(name)
    if folder is None:
        there = f"Choose from: {', '.join(sorted(folders))}." if folders else "No folder is configured."
        raise InvalidRequest(f"There is no folder '{name}' to mount.", hint=there, field="mounts")
    if not os.path.isdir(folder.path):
        hint = "Ask your administrator, who configured it."
        raise InvalidRequest(f"The folder '{name}' does not exist: {folder.path}.", hint=hint, field="mounts")
    return Mount(name, folder.path, _target(place), folder.read_only)


def _target(place: str) -> str:
    """Return a place relative to the working folder. Errors: InvalidRequest for a place outside of it."""
    path = posixpath.normpath(posixpath.join(HOME, place))
    if "\0" in path or not path.startswith(f"{HOME}/"):
        hint = f"Choose a place in it, such as 'data' or '{HOME}/data'."
        raise InvalidRequest(
            f"The place '{place}' is outside of the working folder.", hint=hint, field="mount_map"
        )
    return path.removeprefix(f"{HOME}/")


def check(mounts: Iterable[Mount], cwd: str) -> None:
    """Check that no file or foreign link is in the way of a mount. Errors: InvalidRequest."""
    for mount in mounts:
        link = Path(cwd, mount.target)
        above = [folder for folder in link.parents if Path(cwd) in folder.parents]
        taken = [link] if os.path.lexists(link) and not _is(link, mount) else []
        taken += [folder for folder in above if folder.is_symlink() or folder.is_file()]
        if taken:
            hint = f"Move {taken[-1]} away, or mount the folder at another place."
            raise InvalidRequest(
                f"The folder '{mount.name}' cannot be mounted: {taken[-1]} exists already.",
                hint=hint,
                field="mounts",
            )


def link(mounts: Iterable[Mount], cwd: str) -> None:
    """Create the missing links. Errors: LaunchError."""
    for mount in mounts:
        path = Path(cwd, mount.target)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not _is(path, mount):
                path.symlink_to(mount.source)
        except OSError as error:
            text = f"The folder '{mount.name}' cannot be mounted at {path}: {error.strerror}."
            raise LaunchError(text) from error


def _is(path: Path, mount: Mount) -> bool:
    return path.is_symlink() and os.readlink(path) == mount.source


def how(mounts: Iterable[Mount]) -> str:
    """Describe how folders are mounted and protected from writes, in words for people."""
    only = [mount for mount in mounts if mount.read_only]
    loose = [mount.name for mount in only if os.access(mount.source, os.W_OK)]
    if not only:
        return "links"
    return (
        f"links; read-only by convention: {', '.join(loose)}" if loose else "links; read-only by permission"
    )
