"""The contract of backends as tests, for authors of backends; `pip install jupyter_sessions[testing]` brings what they need.

Put `pytest_plugins = ["jupyter_sessions.testing"]` into `conftest.py`, so that failures are explained, and subclass
`BackendContract`. `toys` holds small backends to start from.
"""

from __future__ import annotations

import pytest

for _name in ("case", "contract", "kernel_contract", "session_contract"):
    pytest.register_assert_rewrite(f"jupyter_sessions.testing.{_name}")

from jupyter_sessions.testing.contract import BackendContract  # noqa: E402
from jupyter_sessions.testing.ending import end_sessions  # noqa: E402

__all__ = ["BackendContract", "end_sessions"]
