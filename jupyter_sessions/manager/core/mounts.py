"""Mounted folders: those of the configuration, as links in a session's working folder.

A link is followed with the rights of the user, so that read-only is an agreement unless the folder's
own permissions hold to it; `how` says which of the two.
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
"""What a session's working folder is called over the wire."""


class ConfiguredFolder(msgspec.Struct, frozen=True):
    """A folder that sessions may mount."""

    path: str
    read_only: bool = False


class Mount(msgspec.Struct, frozen=True):
    """A folder as one session sees it: at `target`, relative to its working folder."""

    name: str
    source: str
    target: str
    read_only: bool = False


def configured(given: Mapping[str, Any]) -> dict[str, ConfiguredFolder]:
    """The folders of the configuration by name; each is a path, or an object with `path`."""
    return {
        name: ConfiguredFolder(os.path.expanduser(one))
        if isinstance(one, str)
        else ConfiguredFolder(os.path.expanduser(one["path"]), bool(one.get("read_only")))
        for name, one in given.items()
    }


def choose(
    folders: Mapping[str, ConfiguredFolder], names: Iterable[str], places: Mapping[str, str]
) -> list[Mount]:
    """What a request mounts, each once. Errors: InvalidRequest with the names there are."""
    wanted = dict.fromkeys(names)
    for name in places:
        if name not in wanted:
            hint = "Name it among the mounts, too."
            raise InvalidRequest(f"The folder '{name}' is not mounted.", hint=hint, field="mount_map")
    mounts = [_mount(folders, name, places.get(name) or name) for name in wanted]
    _keep_apart(mounts)
    return mounts


def _keep_apart(mounts: list[Mount]) -> None:
    """Errors: InvalidRequest for a place that is another's, or within it: that would be in its source."""
    places = sorted(f"{mount.target}/" for mount in mounts)
    for outer, inner in itertools.pairwise(places):
        if inner.startswith(outer):
            raise InvalidRequest(
                f"'{inner[:-1]}' is taken by the folder at '{outer[:-1]}'.",
                hint="Give each folder a place of its own.",
                field="mount_map",
            )


def _mount(folders: Mapping[str, ConfiguredFolder], name: str, place: str) -> Mount:
    folder = folders.get(name)
    if folder is None:
        there = f"There are: {', '.join(sorted(folders))}." if folders else "None is configured."
        raise InvalidRequest(f"There is no folder '{name}' to mount.", hint=there, field="mounts")
    if not os.path.isdir(folder.path):
        hint = "Whoever configured it can tell."
        raise InvalidRequest(f"The folder '{name}' is not there: {folder.path}.", hint=hint, field="mounts")
    return Mount(name, folder.path, _target(place), folder.read_only)


def _target(place: str) -> str:
    """A place relative to the working folder. Errors: InvalidRequest for one outside of it."""
    path = posixpath.normpath(posixpath.join(HOME, place))
    if "\0" in path or not path.startswith(f"{HOME}/"):
        hint = f"Name a place in it, as 'data' or '{HOME}/data'."
        raise InvalidRequest(f"'{place}' is outside of the working folder.", hint=hint, field="mount_map")
    return path.removeprefix(f"{HOME}/")


def check(mounts: Iterable[Mount], cwd: str) -> None:
    """Errors: InvalidRequest where something else is in the way, be it a link that leads elsewhere."""
    for mount in mounts:
        link = Path(cwd, mount.target)
        above = [folder for folder in link.parents if Path(cwd) in folder.parents]
        taken = [link] if os.path.lexists(link) and not _is(link, mount) else []
        taken += [folder for folder in above if folder.is_symlink() or folder.is_file()]
        if taken:
            hint = "Mount it elsewhere, or move that away."
            raise InvalidRequest(f"There is something at {taken[-1]} already.", hint=hint, field="mounts")


def link(mounts: Iterable[Mount], cwd: str) -> None:
    """Make the links that are not there yet. Errors: LaunchError."""
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
    """By what they are mounted and kept from being written to, in words for people."""
    only = [mount for mount in mounts if mount.read_only]
    loose = [mount.name for mount in only if os.access(mount.source, os.W_OK)]
    if not only:
        return "links"
    return f"links; read-only by agreement: {', '.join(loose)}" if loose else "links; read-only by permission"
