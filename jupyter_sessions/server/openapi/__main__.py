"""Write the files that are made of handlers and models."""

from __future__ import annotations

from jupyter_sessions.server.openapi.files import files


def main() -> None:
    """Write each file."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
