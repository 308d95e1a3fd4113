"""Kernels of other makers and languages, unmodified: where they come from, and what one says to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions.kernels import specs
from tests.conftest import need
from tests.interop.venvs import Venv

VENV = Venv("3.11", ("xeus-python==0.19.0", "deno==2.9.8", "bash_kernel==0.10.0", "ipykernel==7.3.0"))
RESOURCES = {"cpu": "1", "mem": "600m"}


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel: `module` or `program` with arguments, as its maker's kernelspec has it, and code in its language.

    An interrupt ends one that does not take `interrupts`, in a session as elsewhere. `set` puts 20 into a variable, `show` prints it and 1 more, `wait` prints "begun" and takes a minute.
    """

    language: str
    module: str = ""
    program: str = ""
    arguments: tuple[str, ...] = ("-f", "{connection_file}")
    metadata: dict[str, Any] = {}
    over_tcp: bool = False
    interrupts: bool = True
    set: str
    show: str
    wait: str

    def spec(self) -> dict[str, Any]:
        """Its kernelspec."""
        if self.module:
            argv = [VENV.program("python"), "-m", self.module, *self.arguments]
        elif self.program == "R":
            argv = [need("R", "R's kernel is tested with it"), *self.arguments]
        else:
            argv = [VENV.program(self.program), *self.arguments]
        return {
            "argv": argv,
            "display_name": self.language,
            "language": self.language,
            "metadata": self.metadata,
        }

    def install(self, name: str, jupyter: Path) -> None:
        """Write its kernelspec, and that of one in sessions of it: NAME-session."""
        folder = jupyter / "kernels" / name
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(self.spec()))
        specs.add(
            specs.Kernel(name=f"{name}-session", display_name=name, image=name, resources=dict(RESOURCES))
        )


_PYTHON = {
    "language": "python",
    "set": "x = 20",
    "show": "print(x + 1)",
    "wait": "import time\nprint('begun', flush=True)\ntime.sleep(60)",
}
KERNELS = {
    "ipykernel": Kernel(module="ipykernel_launcher", **_PYTHON),
    # Its ipc addresses have 31 characters at most; ours are longer.
    "xeus-python": Kernel(module="xpython_launcher", over_tcp=True, interrupts=False, **_PYTHON),
    "xeus-python-tcp": Kernel(
        module="xpython_launcher",
        metadata={"jupyter_sessions": {"transport": "tcp"}},
        over_tcp=True,
        interrupts=False,
        **_PYTHON,
    ),
    "deno": Kernel(
        language="typescript",
        program="deno",
        arguments=("jupyter", "--kernel", "--conn", "{connection_file}"),
        over_tcp=True,
        interrupts=False,
        set="var x: number = 20",
        show="console.log(x + 1)",
        wait="console.log('begun'); await new Promise(done => setTimeout(done, 60000))",
    ),
    "bash": Kernel(
        language="bash",
        module="bash_kernel",
        set="x=20",
        show="echo $((x + 1))",
        wait="echo begun; sleep 60",
    ),
    "ir": Kernel(
        language="R",
        program="R",
        arguments=("--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"),
        set="x <- 20",
        show="cat(x + 1); cat('\\n')",
        wait="cat('begun\\n'); flush.console(); Sys.sleep(60)",
    ),
}
