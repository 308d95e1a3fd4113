"""The code that a session's kernel runs for `run FILE` and `run --exec COMMAND`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

EXIT_CODE = "application/vnd.jupyter-sessions.exit-code+json"
"""The media type of the output with which a program's exit code comes back."""
_ENDINGS = {
    "python": (".py",),
    "r": (".r",),
    "julia": (".jl",),
    "javascript": (".js", ".mjs"),
    "typescript": (".ts", ".js"),
    "bash": (".sh",),
    "c": (".c",),
    "c++": (".cpp", ".cc"),
}
_MAIN = "main.py"

_SCRIPT = """
def _run_script(path):
    import runpy, sys, traceback
    from IPython.display import display
    code, argv = 0, sys.argv
    sys.argv = [path]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        if code == 1 and stop.code != 1:
            print(stop.code, file=sys.stderr)
    except BaseException as error:
        code = 130 if isinstance(error, KeyboardInterrupt) else 1
        frames = traceback.extract_tb(error.__traceback__)
        own = next((at for at, frame in enumerate(frames) if frame.filename == path), len(frames))
        lines = traceback.format_list(frames[own:]) + traceback.format_exception_only(error)
        print("Traceback (most recent call last):\\n" * (own < len(frames)) + "".join(lines), end="", file=sys.stderr)
    finally:
        sys.argv = argv
    display({%(mime)r: {"code": code & 255}}, raw=True)

try:
    _run_script(%(path)r)
finally:
    del _run_script
"""

_COMMAND = """
def _run_command(command, reads):
    import codecs, os, signal, subprocess, sys, threading
    from contextlib import suppress
    from IPython.display import display
    from subprocess import PIPE
    process = subprocess.Popen(command, shell=True, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True)
    if not reads:
        process.stdin.close()

    def copy(source, target):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := source.read1(65536):
            target.write(decoder.decode(data))
            target.flush()

    copies = [
        threading.Thread(target=copy, args=pair)
        for pair in ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
    ]
    waits = threading.Event()

    def watch():
        for each in copies:
            each.join()
        process.wait()
        if waits.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=watch)
    for each in (*copies, watcher):
        each.start()

    def feed():
        while watcher.is_alive():
            if process.stdin.closed:
                watcher.join(0.1)
                continue
            try:
                waits.set()
                line = input()
                waits.clear()
                process.stdin.write((line + "\\n").encode())
                process.stdin.flush()
            except (EOFError, OSError):
                waits.clear()
                with suppress(OSError):
                    process.stdin.close()

    presses = 0
    while watcher.is_alive():
        try:
            feed()
            watcher.join()
        except KeyboardInterrupt:
            waits.clear()
            if process.poll() is None:
                presses += 1
                os.killpg(process.pid, signal.SIGINT if presses == 1 else signal.SIGKILL)
    code = process.wait()
    display({%(mime)r: {"code": code if code >= 0 else 128 - code}}, raw=True)

try:
    _run_command(%(command)r, %(reads)r)
finally:
    del _run_command
"""


def main_file(files: Sequence[str], language: str) -> str:
    """Return the file to run: main.py, else the only one, else the first of the language, else the first."""
    endings = _ENDINGS.get(language.lower(), ())
    mains = [file for file in files if PurePath(file).name == _MAIN]
    fitting = [file for file in files if PurePath(file).suffix.lower() in endings]
    return [*mains, *fitting, *files][0] if len(files) > 1 else files[0]


def script_code(path: str, text: str, language: str) -> str:
    """Return the code that runs a file as a program; kernels of other languages than Python get its text."""
    return _SCRIPT % {"path": path, "mime": EXIT_CODE} if is_python(language) else text


def command_code(command: str, *, reads: bool) -> str:
    """Return the code with which a Python kernel runs a shell command, its output that of the cell.

    If it `reads`, it asks the cell for input as long as it runs.
    """
    return _COMMAND % {"command": command, "mime": EXIT_CODE, "reads": reads}


def is_python(language: str) -> bool:
    """Return whether kernels of a language run Python."""
    return language.lower().startswith("python")
