"""Which variables hold secrets, and what is shown of them."""

from __future__ import annotations

import pytest
from msgspec import structs

from jupyter_sessions.backends.backendai.convert import create_body, session_of
from jupyter_sessions.backends.backendai.versions import Dialect
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service.creation import with_preset
from jupyter_sessions.wire.secret_variables import MARKER, looks_secret, with_secrets, without_values

SECRET = "HF_TOKEN GITHUB_TOKEN AWS_SECRET_ACCESS_KEY OPENAI_API_KEY PGPASSWORD MYSQL_PWD db_password SECRET APIKEY"
PLAIN = (
    "TOKENIZERS_PARALLELISM MAX_TOKENS PWD OLDPWD PATH AWS_ACCESS_KEY_ID KEYBOARD MONKEY SECRETARY TOKEN_FILE"
)


@pytest.mark.parametrize("name", SECRET.split())
def test_names_of_secrets(name: str) -> None:
    assert looks_secret(name) and looks_secret(f"{name}_2")


@pytest.mark.parametrize("name", PLAIN.split())
def test_names_of_others(name: str) -> None:
    assert not looks_secret(name)


def test_a_spec_names_all_its_secrets() -> None:
    spec = with_secrets(SessionSpec(environ={"A": "1", "B": "2", "C_TOKEN": "3"}, secrets=["B"]))
    assert spec.secrets == ["B", "C_TOKEN"] and spec.environ["B"] == "2"


def test_a_preset_names_secrets_and_the_request_gives_their_values() -> None:
    presets = {"p": {"image": "python", "secrets": ["HF_TOKEN"]}}
    merged = with_preset(SessionSpec(preset="p", environ={"HF_TOKEN": "v", "X": "w"}, secrets=["X"]), presets)
    assert merged.secrets == ["HF_TOKEN", "X"] and with_secrets(merged).environ["HF_TOKEN"] == "v"


def test_rows_of_managers_that_know_nothing_of_secrets_show_no_value() -> None:
    spec = with_secrets(
        SessionSpec(
            name="demo", image="python", environ={"PET": "v", "A_TOKEN": "w", "B": "x"}, secrets=["PET"]
        )
    )
    request = normalized(spec)
    sent = create_body(request, Dialect())["config"]
    assert "secrets" not in sent and sent["environ"] == {"PET": "v", "A_TOKEN": "w", "B": "x", MARKER: "PET"}
    shown = without_values(structs.replace(session_of({"id": "1"}, "lab"), environ=sent["environ"]))
    assert (shown.environ, shown.secrets) == ({"B": "x"}, ["A_TOKEN", "PET"])
    ours = create_body(request, Dialect(ours=True))["config"]
    assert ours["secrets"] == ["A_TOKEN", "PET"] and MARKER not in ours["environ"]
