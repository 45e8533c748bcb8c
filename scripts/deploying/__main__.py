"""The texts of `deploy/`, tried with the programs that they are for, as far as those are here.

    scripts/deploys                every text, and the traffic of five seeds through each balancer: some minutes
    scripts/deploys --only caddy   one of them

A text is first checked by its program. Balancers then stand before three servers over NATS and a database that speaks MongoDB's
protocol, and people hop between transports through them: nothing that was acknowledged may be lost, doubled, out of
order or reset. What is not here is named, and not tried: exit code 1 only where something failed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.support.balancers import DEPLOY, caddy, haproxy, program
from tests.support.clients import close_opened
from tests.support.cluster import Cluster, cluster
from tests.traffic.traffic import Traffic

SEEDS = (1, 2, 3, 4, 5)
PEOPLE, MESSAGES = 4, 30
CHECK_S = 60.0
RUN_S = 240.0
CHECKS = {
    "nats": ("nats-server", "-t", "-c", "nats.conf"),
    "haproxy": ("haproxy", "-c", "-f", "haproxy.cfg"),
    "caddy": ("caddy", "validate", "--adapter", "caddyfile", "--config", "Caddyfile"),
    "systemd": ("systemd-analyze", "verify", "systemd/chatserver.service"),
    "systemd-node": ("systemd-analyze", "verify", "systemd/chatserver-node.service"),
    "compose": ("docker", "compose", "-f", "compose.yaml", "config", "--quiet"),
    "mongodb": ("docker", "compose", "-f", "../compose.yaml", "config", "--quiet"),
}
"""By name, the program of each text and how it checks it."""
NOT_INSTALLED = (
    "Command /opt/chatserver/bin/chatserver is not executable: No such file or directory"
)
"""All that systemd finds wrong where the server is not installed."""
BALANCERS = ("nginx", "haproxy", "caddy")


def check(name: str) -> str | None:
    """What a program finds wrong with its text; None for nothing. Raises LookupError where it is not here."""
    tool, *words = CHECKS[name]
    found = program(tool)
    if found is None or (tool == "docker" and not _has_compose(found)):
        raise LookupError(tool if tool != "docker" else "docker compose")
    environment = os.environ | {"NATS_TOKEN": "a-token"}
    done = subprocess.run(
        [found, *words],
        cwd=DEPLOY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=CHECK_S,
    )
    said = (done.stdout + done.stderr).strip()
    if done.returncode == 0 or (tool == "systemd-analyze" and _only_not_installed(said)):
        return None
    return said


def _has_compose(docker: str) -> bool:
    asked = [docker, "compose", "version"]
    return subprocess.run(asked, capture_output=True, timeout=CHECK_S).returncode == 0


def _only_not_installed(said: str) -> bool:
    return all(line.endswith(NOT_INSTALLED) for line in said.splitlines())


async def traffic(it: Cluster, url: str) -> list[str]:
    """The verdict over each seed, where it is not that all is well."""
    wrong = []
    for seed in SEEDS:
        run = Traffic(Cluster(it.nodes, it.trio, it.mongo, url), seed)
        try:
            async with asyncio.timeout(RUN_S):
                await run.prepare(people=PEOPLE)
                await run.run(messages=MESSAGES)
        finally:
            await close_opened()
        verdict, sent = run.tally.verdict(), len(run.tally.acknowledged)
        print(f"    seed {seed}: {sent} acknowledged, {run.tally.hops} hops, {verdict}", flush=True)
        if any(verdict.values()) or sent != PEOPLE * MESSAGES:
            wrong.append(f"seed {seed}: {verdict}")
    return wrong


def balance(name: str, it: Cluster, folder: Path) -> list[str]:
    """What went wrong through this balancer. Raises LookupError where it is not here."""
    if program(name) is None:
        raise LookupError(name)
    with ExitStack() as ends:
        ports = [node.port for node in it.nodes]
        made = {"haproxy": haproxy, "caddy": caddy}.get(name)
        url = it.url if made is None else ends.enter_context(made(folder, ports))
        return asyncio.run(traffic(it, url))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 where a text failed."""
    parser = argparse.ArgumentParser(
        prog="deploys", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = sorted({*CHECKS, *BALANCERS})
    parser.add_argument("--only", choices=names, help="one text")
    only = parser.parse_args(arguments).only
    failed = 0
    for name in CHECKS if only is None else [name for name in CHECKS if name == only]:
        failed += _report(f"{name}: checked", lambda name=name: [check(name) or ""])
    balancers = [name for name in BALANCERS if only in (None, name)]
    if balancers:
        with tempfile.TemporaryDirectory(prefix="deploys-") as made, cluster(Path(made)) as it:
            for name in balancers:
                folder = Path(made) / name
                folder.mkdir()
                failed += _report(
                    f"{name}: carried traffic",
                    lambda name=name, folder=folder: balance(name, it, folder),
                )
    return 1 if failed else 0


def _report(what: str, do: object) -> int:
    assert callable(do)
    try:
        wrong = [one for one in do() if one]
    except LookupError as error:
        print(f"{what}: not tried, {error.args[0]} is not here", flush=True)
        return 0
    print(f"{what}: {'; '.join(wrong) or 'well'}", flush=True)
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
