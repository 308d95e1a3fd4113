"""What is imported in a kernel is light."""

from __future__ import annotations

import subprocess
import sys


def test_the_package_imports_nothing_heavy() -> None:
    heavy = [
        "jupyter_server",
        "httpx",
        "aiohttp",
        "msgspec",
        "zmq",
        "jupyter_client",
        "graphql",
        "tornado",
        "IPython",
    ]
    code = f"import sys, jupyter_sessions; print([name for name in {heavy} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_the_magics_import_no_server() -> None:
    heavy = ["jupyter_server", "aiohttp", "graphql", "jupyter_client", "jupyter_sessions.manager"]
    code = f"import sys, jupyter_sessions.magics; print([name for name in {heavy} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
