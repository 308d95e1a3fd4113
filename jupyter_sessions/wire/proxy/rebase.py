"""Translation between the path under which browsers see a service and the one under which it sees itself.

One server's pages can so be seen under several paths, though they hold absolute links. The service's own
path occurs nowhere else, so wherever it stands in what people's browsers read as text it is replaced:
pages, style sheets and JSON (JupyterLab's configuration, links to kernels' logos). Scripts and what people
made themselves pass as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

SERVICE_PATH = "/jupyter-sessions-"
"""What the paths begin with under which services of this machine's sessions see themselves."""
_TEXT = re.compile(r"text/(html|css)|application/([\w.-]+\+)?json|application/xhtml\+xml", re.ASCII)
_LINKS = frozenset({"location", "content-location", "link", "refresh"})
_OF_THE_BYTES = frozenset({"content-length", "content-md5", "digest", "repr-digest", "content-digest"})


class Rebase:
    """The translation from a service's own path, `inner`, to `outer`; both begin and end with a slash."""

    def __init__(self, inner: str, outer: str) -> None:
        self._inner, self._outer = inner, outer
        self._old, self._new = inner.encode(), outer.encode()
        self._tail = b""

    def target(self, target: str) -> str:
        """A request's path and query as the service knows them."""
        return self._inner + target.removeprefix(self._outer)

    def fields(self, fields: Iterable[tuple[str, str]], *, text: bool) -> Iterator[tuple[str, str]]:
        """The fields of an answer; `text` says that its body is translated."""
        for name, value in fields:
            key = name.lower()
            if key in _LINKS:
                yield name, value.replace(self._inner, self._outer)
            elif not (text and key in _OF_THE_BYTES):
                yield name, value

    @staticmethod
    def is_text(status: int, fields: Iterable[tuple[str, str]]) -> bool:
        """Whether the body of an answer is translated: not if it is coded, or a part."""
        said = {name.lower(): value for name, value in fields}
        coded = said.get("content-encoding", "identity").lower() != "identity"
        kind = said.get("content-type", "").partition(";")[0].strip().lower()
        return status != 206 and not coded and _TEXT.fullmatch(kind) is not None

    def feed(self, chunk: bytes) -> bytes:
        """What can be passed on of a body; what may be the beginning of the path is held back."""
        chunk = (self._tail + chunk).replace(self._old, self._new)
        held = next((n for n in range(len(self._old) - 1, 0, -1) if chunk.endswith(self._old[:n])), 0)
        self._tail = chunk[len(chunk) - held :]
        return chunk[: len(chunk) - held]

    def end(self) -> bytes:
        """What was held back of a body that has ended."""
        tail, self._tail = self._tail, b""
        return tail
