"""Imported first by programs that are to start quickly.

httpx 0.28 imports its own command line, and with it click, pygments and most of rich, which takes twice as
long as all the rest of it. It does without where that cannot be imported.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
