"""The commands beside the server where the order is a stream: they take part in it, or say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.test_processes import chatserver
from tests.conftest import FAST
from tests.support.clients import Person
from tests.support.cluster import Cluster
from tests.support.nats_server import TOKEN
from tests.support.process import ServerProcess

pytestmark = pytest.mark.timeout(500)


def add(email: str, *words: str | Path) -> tuple[int, str]:
    """`chatserver user add` for this account."""
    command = [sys.executable, "-m", "chatserver", "user", "add", email, "--first-name", "Eve"]
    done = subprocess.run(
        [*command, "--password-stdin", *map(str, words)],
        input="a long password\n",
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


async def test_accounts_are_added_and_listed_beside_several_processes_and_without_them(
    data: Path,
) -> None:
    several = ServerProcess(data, *FAST, "--processes", "2")
    with several as server:
        code, said = add("eve@example.com", "--data", data)
        assert code == 0, said
        await Person.sign_in(server.url, "eve@example.com", "a long password")
        assert server.stop() == 0
    code, said = add("eva@example.com", "--data", data)
    assert code == 0, said
    code, said = chatserver("user", "list", "--data", data)
    assert code == 0 and "eve@example.com" in said and "eva@example.com" in said
    code, said = chatserver("migrate", "--from", data, "--to", data.parent / "other")
    assert code == 2 and "chatserver order local" in said and not (data.parent / "other").exists()
    with several as server:
        await Person.sign_in(server.url, "eva@example.com", "a long password")
        code, said = chatserver("user", "list", "--data", data)
        assert code == 0 and said.count("\n") == 2
        assert server.stop() == 0


async def test_an_account_is_added_beside_several_nodes_and_their_order_is_left_to_them(
    nodes: Cluster, data: Path
) -> None:
    started = nodes.nodes[0].whole_command()
    where = ("--data", data, "--mongodb", started[started.index("--mongodb") + 1])
    code, said = add("eve@example.com", *where)
    assert code == 2 and "name it with --nats" in said
    nats = ("--nats", nodes.nats.uri, "--nats-token", TOKEN)
    code, said = add("eve@example.com", *where, *nats)
    assert code == 0, said
    for node in nodes.nodes:
        await Person.sign_in(node.url, "eve@example.com", "a long password")
    assert "eve@example.com" in chatserver("user", "list", *where)[1]
    code, said = chatserver("order", "local", *where, *nats)
    assert code == 2 and "in use" in said
