"""Write the files that are generated from handlers and models."""

from __future__ import annotations

from jupyter_sessions.server.openapi.files import COMMAND, files


def main() -> None:
    """Write each generated file."""
    texts = files()
    for path in texts:
        if not path.parent.is_dir():
            raise SystemExit(
                f"There is no folder {path.parent}. Run `{COMMAND}` in a checkout of the repository."
            )
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
