"""What faces know of backends."""

from __future__ import annotations

from typing import Any

import msgspec

from jupyter_sessions.backends.base import Storage
from jupyter_sessions.backends.signin import SignIn
from jupyter_sessions.model import Amount, Folder, Group, Image, NameRule, Size


class Health(msgspec.Struct, frozen=True):
    """Whether a backend answers (`ok`), and if not the reason in a sentence for people."""

    ok: bool
    message: str | None


class BackendInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A backend as faces see it.

    A form starts with the `suggested_resources`. Of the fields of a spec it takes those that it `takes`, and has sessions of
    these `types`. `image_word` is what people call that which sessions are made of; `first_come` says that they wait in one
    queue, `on_this_machine` that they run where the asker does. It is `refused` if it lets nobody in with the credentials there are, and `removable` if a person added it.
    """

    name: str
    title: str
    type: str
    capabilities: list[str]
    health: Health
    name_rule: NameRule
    is_default: bool = False
    capacity: dict[str, Amount] = {}
    images: list[Image] = []
    default_resources: dict[str, str] = {}
    suggested_resources: dict[str, str] = {}
    sizes: list[Size] = []
    groups: list[Group] = []
    projects: list[str] = []
    folders: list[Folder] = []
    storage: Storage = Storage()
    types: list[str] = []
    takes: list[str] | None = None
    image_word: str = "Image"
    on_this_machine: bool = False
    first_come: bool = False
    sign_in: SignIn = SignIn()
    refused: bool = False
    removable: bool = False


class Defaults(msgspec.Struct, frozen=True):
    """What fills in a spec: the backend of one that names none, and saved specs by name.

    By backend: where files stay, where sessions run in the middle of a sentence, and what it can do.
    `notifies` are the backends that send messages themselves.
    """

    backend: str
    presets: dict[str, dict[str, Any]]
    storage: dict[str, Storage] = {}
    places: dict[str, str] = {}
    capabilities: dict[str, list[str]] = {}
    notifies: list[str] = []


class BackendType(msgspec.Struct, frozen=True):
    """A type of backend that people may add by its address."""

    type: str
    title: str


class NewBackend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A backend to add: what to call it, its type and address; `options` of that type that are no secrets."""

    name: str
    type: str
    url: str
    title: str = ""
    options: dict[str, str | int | float | bool] = {}
