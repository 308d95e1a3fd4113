"""Where the seeds and today's servers differ, and what this manager does.

The one table of that. Codes that depend on the version are read from here; the rest says in
words what the code does. Seeds 000 to 004 are older than the servers that run now: "today" is managers
23.09 to 26.8 and Skaha 1.x, from their source, and 25.5.2 where it was run.
"""

from __future__ import annotations

import msgspec

from jupyter_sessions.manager.api.versions import Code

REUSED = Code(200, 201)
DESTROYED = Code(204, 200)
TOO_MUCH = Code(406, 412)
ENDED = Code(200, 404)


class Difference(msgspec.Struct, frozen=True):
    """One difference: what a seed says, what servers do today, what is done here."""

    about: str
    seed: str
    today: str
    here: str
    source: str


def _by_version(code: Code) -> str:
    return f"{code.legacy} up to v5, {code.today} from v6"


DIFFERENCES = (
    Difference(
        "create that finds a session", "200", "201", _by_version(REUSED), "seed 000; managers 23.09 to 26.8"
    ),
    Difference(
        "DELETE",
        "204, empty",
        '200 {"stats"}',
        _by_version(DESTROYED),
        "seeds 000, 001; managers 23.09 to 26.8",
    ),
    Difference(
        "more than there can be",
        "406",
        "412, or PENDING for ever",
        _by_version(TOO_MUCH),
        "seeds 000, 001; 25.5.2",
    ),
    Difference(
        "GET of an ended session",
        "TERMINATED, terminationTime",
        "404",
        _by_version(ENDED),
        "seed 000; 25.5.2",
    ),
    Difference("invalid parameters", "401", "400", "400", "seed 000; managers 23.09 to 26.8"),
    Difference(
        "id of a session",
        "sessId; kernelId at /kernel",
        "sessionId",
        "both; kernelId (the name) at /kernel",
        "seeds 000, 001; 25.5.2",
    ),
    Difference(
        "service ports",
        "servicePorts",
        "servicePorts; service_ports when reused",
        "both, always",
        "seed 000; 25.5.2, 26.8",
    ),
    Difference(
        "clientSessionToken", "optional", "required, as name", "optional at /kernel", "seed 001; 25.5.2"
    ),
    Difference("a new name", "not there", "in the query; 26.x: the body", "either", "23.9.10 to 26.9.6"),
    Difference(
        "config.clusterSize",
        "in the example",
        "500; clusterSize at the root, a number",
        "both, the root wins; a number or text",
        "seed 000; 25.5.2",
    ),
    Difference(
        "cuda.devices", "in the example", "cuda.device", "both", "seeds 000, 001; managers 23.09 to 26.8"
    ),
    Difference(
        "routes",
        "/session/create, /kernel, /kernel/create, /stream/kernel",
        "/session, /session/_/create, /stream/session",
        "all",
        "seeds 000, 001; 25.5.2",
    ),
    Difference(
        "version prefix", "/v2, /v4 before every path", "404", "accepted", "seed 001 and its time; 25.5.2"
    ),
    Difference(
        "numbers of a session",
        "memoryLimit (KiB), cpuCreditUsed (the time that it ran), at /kernel",
        "neither",
        "both in each answer about a session: the limit of one member, the CPU time of all over restarts",
        "seed 001; 25.5.2",
    ),
    Difference(
        "slots and environ in info", "text", "Python's repr", "text that holds JSON", "seed 000; 25.5.2"
    ),
    Difference(
        "what there is not, in info",
        "not said",
        "the text None (statusInfo, containerId)",
        "empty statusInfo, null containerId",
        "seed 000; 25.5.2",
    ),
    Difference(
        "sessions of others, over REST",
        "not said",
        "404, for admins too, unless owner_access_key is sent and heeded",
        "404 for users; admins reach them, and owner_access_key is heeded everywhere",
        "25.5.2",
    ),
    Difference("restart", "204", "204; 501 in 26", "204", "seed 000; 26.8"),
    Difference(
        "unknown fields of create", "not said", "400 or 500; ignored from 26", "ignored", "25.5.2, 26.8"
    ),
    Difference(
        "GraphQL at /admin/graphql",
        "bare data; interactive, master, slave",
        "bare data; INTERACTIVE, main, sub",
        "by version",
        "seed 002; 25.5.2",
    ),
    Difference("GraphQL at /admin/gql", "not said", "in data, errors with 200", "as today", "25.5.2"),
    Difference(
        "a query that is no GraphQL", "not said", "500", "errors, 200; 400 at /admin/graphql", "25.5.2"
    ),
    Difference("order of a list", "order_key, order_asc", "order, filter", "all four", "seed 002; 25.5.2"),
    Difference(
        "a list with no order",
        "last changed first",
        "last created or ended first",
        "last changed first, ties by id",
        "seed 003; 25.5.2",
    ),
    Difference(
        "statuses of lists by default, and of those that run",
        "RESIZING, SUSPENDED by default; PREPARING, PULLING, RUNNING run",
        "chosen by clients: SCHEDULED, PREPARED, CREATING, RUNNING_DEGRADED, too",
        "all are understood; sessions are never PULLING, RESIZING or SUSPENDED here",
        "seed 003; clients 23.9.10 to 26.9.6",
    ),
    Difference("unknown status in a list", "not said", "an error", "ignored", "25.5.2"),
    Difference(
        "spellings in GraphQL",
        "compute_sesssion, status_updated, created_user_uuid",
        "compute_session, status_changed, created_user_id",
        "both",
        "seed 002; 25.5.2",
    ),
    Difference(
        "ids in GraphQL", "UUID! (session_id), String (group_id)", "ID!, UUID", "all", "seed 002; 25.5.2"
    ),
    Difference(
        "id of the main container", "the session's", "one of its own", "the session's", "seed 002; 25.5.2"
    ),
    Difference(
        "secret_key of a keypair in GraphQL",
        "not said",
        "the secret",
        "null: a secret is shown once, when it is made",
        "managers 23.09 to 26.8",
    ),
    Difference(
        "names",
        "ASCII letters, digits, hyphens in the middle",
        "'_' and '.' too, but not from-template; Unicode from 26",
        "'_' and '.' too, ASCII; neither from-template nor create, which is part of an address",
        "seeds 000, 001; managers 23.09 to 26.8, 26.9.6",
    ),
    Difference(
        "create that finds one in ERROR",
        "that one, for it has not ended",
        "that one, for ERROR is no end before 25.15",
        "session already exists: it cannot be used",
        "seeds 000, 001; managers 23.09 to 26.8",
    ),
    Difference(
        "create that finds one TERMINATING",
        "that one, for it has not ended",
        "that one",
        "a new one, which starts when that one has ended",
        "seed 000; 26.9.6",
    ),
    Difference(
        "maxWaitSeconds that are over",
        "not said",
        "201 with TIMEOUT; it stays PENDING",
        "as today",
        "seed 000; 25.5.2",
    ),
    Difference(
        "domain and group left out",
        "default",
        "default",
        "those of the key that asks, which are default for the first one",
        "seed 000; managers 23.09 to 26.8",
    ),
    Difference(
        "body of callbacks",
        "not said",
        "type, event, session_id, when",
        "status, too",
        "managers 22.03 to 26.8",
    ),
    Difference(
        "clusterMode multi-node",
        "several kernels",
        "several agents",
        "accepted; all members are on this machine",
        "seed 000; managers 23.09 to 26.8",
    ),
    Difference(
        "resources left out",
        "the minimum of the image",
        "the minimum of the image",
        "1 CPU and 512 MiB, or the minimum of the image where that is more: it is for a start, not for work",
        "seeds 000, 001; managers 23.09 to 26.8",
    ),
    Difference(
        "less than the minimum of the image",
        "not said",
        "400",
        "400 in the same words; the minimum is a kernelspec's label, at least 0.01 CPU and 64 MiB",
        "managers 23.09 to 26.8",
    ),
    Difference(
        "resource_opts",
        "JSON text",
        "of a session by host name of its members; shmem in bytes",
        "of a session flat, as of each member; shmem in bytes in GraphQL, as asked for in REST",
        "seed 002; clients and managers 23.09 to 26.8",
    ),
    Difference(
        "startsAt, startupCommand",
        "of any session",
        "of batch sessions",
        "of any session",
        "seed 000; managers 23.09 to 26.8",
    ),
    Difference(
        "dependencies",
        "a list, declared as str",
        "a list of UUIDs, or one of names",
        "all three, and one name",
        "seed 000; managers 23.09 to 26.8",
    ),
    Difference(
        "success of a dependency",
        "not said",
        "the result SUCCESS, which only batch sessions have",
        "for interactive ones: its kernel exited with 0, or somebody ended it on purpose",
        "managers 23.09 to 26.8",
    ),
    Difference(
        "idle timeout",
        "30 minutes by default",
        "as an administrator configures it",
        "30 minutes of interactive sessions that do not say; config.idle_timeout (0 for none) and time_limit are ours",
        "seed 003; managers 23.09 to 26.8",
    ),
    Difference(
        "age", "since the kernel has started", "since its creation", "since it first ran", "seed 000; 25.5.2"
    ),
    Difference(
        "numQueriesExecuted",
        "accesses to the kernel",
        "GET of a session counts, too",
        "what runs code, completes, moves files or opens a stream or app, unless it was refused; looking is none",
        "seeds 000, 001; managers 23.09 to 26.8",
    ),
    Difference("lastStat of a live session", "its stats", "null", "its stats as of now", "seed 000; 25.5.2"),
    Difference(
        "statusData",
        "statuses of kernels and session, errors",
        "{}; scheduler, kernel, session, error once there is something",
        "the same keys, and kernels: each member's status",
        "seed 000; 25.5.2, managers 23.09 to 26.8",
    ),
    Difference(
        "ids of containers",
        "of Docker, or any other",
        "of Docker",
        "the number of the main process, null while it waits",
        "seeds 000, 002; 25.5.2",
    ),
    Difference(
        "DELETE while it starts or ends",
        "not said",
        "403 unless forced",
        "from every live status; forced only skips the grace time",
        "seed 000; managers 23.09 to 26.8",
    ),
    Difference(
        "DELETE with recursive", "not said", "a list of stats; an object in 26", "an object", "25.5.2, 26.9.6"
    ),
    Difference(
        "restart or rename of what does not run",
        "not said",
        "restart 204, rename 400",
        "restart 400, rename 204",
        "25.5.2; managers 23.09 to 26.8",
    ),
    Difference(
        "pty, message restart",
        "not said",
        "restarts the session",
        "restarts the shell alone: notebooks keep what they hold in memory",
        "managers 23.09 to 26.8",
    ),
    Difference(
        "uploads and downloads",
        "not said",
        "20 files of 1 MiB up, 5 down",
        "1000 files, of 1 GiB each up",
        "clients and managers 23.09 to 26.8",
    ),
    Difference(
        "events after a session's end",
        "not said",
        "the stream stays open",
        "server_close, and the end",
        "clients 23.9.10 to 26.9.6; managers 23.09 to 26.8",
    ),
    Difference(
        "logs of ended sessions",
        "not said",
        "500, or several matched",
        "of the one that ended last",
        "25.5.2",
    ),
    Difference(
        "status-history",
        "not said",
        "404 before 25.9",
        "there, with two names in lower case too, which the command line reads",
        "clients 23.9.10 to 26.9.6",
    ),
    Difference(
        "/session/_/match", "not said", "the whole name", "the beginning of a name or id", "managers 23.09"
    ),
    Difference(
        "X-BackendAI-Version",
        "not said",
        "400 if left out, too old or too new",
        "v5.20191215 if left out; any is taken",
        "25.5.2",
    ),
    Difference(
        "kind of a Skaha session",
        "kind, headless unless given",
        "type; kind is not read",
        "both",
        "seed 004; skaha 1.2.0 to 1.7.0, canfar 1.5.2",
    ),
    Difference(
        "statuses of ended Skaha sessions",
        "Succeeded, Error",
        "Completed, Failed",
        "Completed, Failed; both are understood",
        "seed 004; science-platform 1.4.0",
    ),
    Difference(
        "names in Skaha's numbers",
        "instances, coresAvailable, maxCores",
        "cpuCoresAvailable, maxCPUCores",
        "both",
        "seed 004; science-platform 1.4.0",
    ),
    Difference(
        "amounts of a Skaha session",
        "coresInUse 0m, ramInUse 101Mi, requestedRAM 16G, requestedGPUCores <none>",
        "cpuCoresInUse 0.010; ramInUse, requestedRAM in 10⁹ bytes without a unit; requestedGPUCores 0",
        "as today, as clients reckon with these numbers; and coresInUse as in the seed",
        "seed 004; science-platform 1.4.0, canfar 1.5.2",
    ),
    Difference(
        "variables of Skaha sessions",
        "of every kind",
        "of headless ones; lost with a second '='",
        "of every kind, as they are",
        "seed 004; science-platform 1.4.0",
    ),
    Difference(
        "Running of a Skaha notebook",
        "not said",
        "before its page answers",
        "once its page answers",
        "science-platform issue 408",
    ),
)
