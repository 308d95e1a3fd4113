"""Files as people send and fetch them in a shell, and secrets as they give them. On real sessions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_sessions.commands import job_files
from tests.commands.test_run import SMALL, Run
from tests.commands.test_run import run as run
from tests.waiting import wait_until

COUNT = "mkdir -p results && cat data/*.txt | wc -c > results/count && echo counted"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The working folder of sessions, which is not that of the shell."""
    made = tmp_path / "work"
    made.mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.txt").write_text("12345")
    (tmp_path / "data" / "left.log").write_text("no")
    (tmp_path / "data" / ".gitignore").write_text("*.log\n")
    return made


def test_files_go_up_are_listed_and_come_down(run: Run, work: Path, tmp_path: Path) -> None:
    assert run("create", "python", "-t", "files", "--cwd", str(work), *SMALL).returncode == 0
    sent = run("upload", "files", "data", "--to", "deep")
    assert (sent.returncode, sent.stdout) == (0, "Sent 2 files (11 bytes) to files.\n"), sent.stderr
    assert (work / "deep" / "data" / "one.txt").read_text() == "12345"
    listed = run("ls", "files", "deep/data")
    assert "one.txt" in listed.stdout and "5 bytes" in listed.stdout and "left.log" not in listed.stdout
    (entry,) = json.loads(run("ls", "files", "deep", "--json").stdout)
    assert (entry["name"], entry["kind"]) == ("data", "folder")
    got = run("download", "files", "deep/**/*.txt", "--dest", "back")
    assert (got.returncode, got.stdout) == (0, f"Fetched 1 file (5 bytes) to {tmp_path / 'back'}.\n")
    assert (tmp_path / "back" / "deep" / "data" / "one.txt").read_text() == "12345"
    missing = run("download", "files", "none")
    assert missing.returncode == 1 and "No file of 'files' matches 'none'." in missing.stderr


def test_a_batch_session_gets_its_files_first_and_gives_its_results(
    run: Run, work: Path, tmp_path: Path
) -> None:
    made = run(
        "create", "python", "-t", "batch", "--type", "batch", "-c", COUNT, "--cwd", str(work),
        "--send", "data", "--fetch", "results/**", *SMALL,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    assert (
        "Sending 2 files (11 bytes)." in made.stdout and "Fetched 1 file (2 bytes) of batch." in made.stdout
    )
    assert (tmp_path / "results" / "count").read_text().strip() == "5"
    assert json.loads(run("spec", "batch").stdout)["startup_command"] == COUNT
    wait_until(lambda: not [*work.glob(".jupyter-session*")], 10)


def test_replicas_have_folders_of_their_own_and_exit_codes_come_back(
    run: Run, work: Path, tmp_path: Path
) -> None:
    command = "mkdir -p out-$REPLICA_ID && echo $REPLICA_ID > out-$REPLICA_ID/n && exit $((REPLICA_ID - 1))"
    made = run(
        "create", "python", "-t", "many", "--type", "batch", "-c", command, "--cwd", str(work),
        "--replicas", "2", "--fetch", "out-*", "--cpu", "0.2", "--mem", "128m",
    )  # fmt: skip
    assert made.returncode == 1 and "1 of 2 sessions failed." in made.stderr
    assert {path.parts[-3:] for path in tmp_path.glob("many-*/out-*/n")} >= {
        ("many-1", "out-1", "n"), ("many-2", "out-2", "n")
    }  # fmt: skip


def test_run_sends_and_fetches_also_if_the_code_fails(run: Run, work: Path, tmp_path: Path) -> None:
    command = "mkdir out; cat data/one.txt > out/copy; exit 3"
    done = run(
        "run", "--rm", "-t", "job1", "--cwd", str(work), "--send", "data", "--fetch", "out", *SMALL,
        "--exec", command, "python",
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert (tmp_path / "out" / "copy").read_text() == "12345"


def test_files_of_the_sessions_own_folder_stay_as_they_are(run: Run, work: Path, tmp_path: Path) -> None:
    script = tmp_path / "data" / "script.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    before = script.stat()
    done = run(
        "run", "--rm", "-t", "here", "--send", "data", "--fetch", "data", *SMALL, "-c", "print(1)", "python"
    )
    assert done.returncode == 0 and "has them already" in done.stderr, done.stderr
    after = script.stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_what_cannot_be_is_refused_before_anything_is_created(
    run: Run, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    backends = {"backends": {"sky": {"type": "skaha", "url": "http://127.0.0.1:9", "token": "t"}}}
    (config / "jupyter_sessions_config.json").write_text(json.dumps({"JupyterSessions": backends}))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(config))
    refused = run("create", "python", "-b", "sky", "--send", "data")
    assert refused.returncode == 1 and "The backend 'sky' transfers no files." in refused.stderr
    refused = run("create", "python", "--fetch", "x")
    assert refused.returncode in (1, 2) and "no code after which files could be fetched" in refused.stderr
    refused = run("create", "python", "--send", "none")
    assert refused.returncode == 1 and "no file or folder 'none'" in refused.stderr
    with (tmp_path / "data" / "big").open("wb") as file:
        file.truncate(job_files._ASK_BYTES + 1)
    refused = run("create", "python", "-t", "large", "--send", "data")
    assert refused.returncode in (1, 2) and "no session was created" in refused.stderr
    assert "Sending 3 files (100 MiB)." in refused.stdout
    assert "large" not in run("ps", "--json").stdout


def test_secrets_come_from_the_environment_a_file_or_what_is_typed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRST", "env-value-1")
    (tmp_path / "second").write_text("file-value-2\n")
    code = "import os; print(*(os.environ[n][::-1] for n in ('FIRST', 'SECOND', 'THIRD')))"
    done = run(
        "run", "-q", "-t", "secretive", "--secret", "FIRST", "--secret", "SECOND=@second", "--secret", "THIRD",
        "-c", code, *SMALL, "python", typed="typed-value-3\n",
    )  # fmt: skip
    assert done.stdout.endswith("1-eulav-vne 2-eulav-elif 3-eulav-depyt\n"), done.stdout + done.stderr
    shown = run("info", "secretive", "--json").stdout + run("info", "secretive").stdout
    assert "THIRD" in shown and not [v for v in ("env-value", "file-value", "typed-value") if v in shown]
    refused = run("create", "python", "--secret", "A=value")
    assert refused.returncode in (1, 2) and "cannot be typed on the command line" in refused.stderr
    refused = run("create", "python", "--secret", "NOT_THERE")
    assert refused.returncode in (1, 2) and "The secret NOT_THERE has no value" in refused.stderr
