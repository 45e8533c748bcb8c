"""What is wrong with NATS is one sentence and exit code 2; nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.test_processes import chatserver
from tests.store.mongo_server import NxServer
from tests.support.nats_server import TOKEN, NatsServer
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(500)


def serve(nx_server: NxServer, data: Path, *words: str | Path) -> str:
    """What a start that is refused has said; nothing but one line."""
    where = ("--data", data, "--mongodb", nx_server.uri(), "--port", "0")
    code, said = chatserver("serve", *where, *words)
    assert code == 2, said
    last = said.strip().splitlines()[-1]
    assert last.startswith("chatserver: ") and "Traceback" not in said
    return last


def test_a_wrong_token_is_refused(nats: NatsServer, nx_server: NxServer, data: Path) -> None:
    assert "token" in serve(nx_server, data, "--nats", nats.uri)
    assert "token" in serve(nx_server, data, "--nats", nats.uri, "--nats-token", "not this one")


def test_what_is_no_address_of_nats_is_refused(nx_server: NxServer, data: Path) -> None:
    for bad in ("127.0.0.1:4222", "http://127.0.0.1:4222", ","):
        assert "--nats cannot be" in serve(nx_server, data, "--nats", bad)
    assert "nats://host:4222" in serve(nx_server, data, "--nats", "nats://:0")


def test_several_servers_need_one_database(data: Path) -> None:
    code, said = chatserver("serve", "--data", data, "--nats", "nats://127.0.0.1:4222")
    assert code == 2 and "--nats needs --mongodb" in said and not data.exists()


def test_nats_without_jetstream_is_refused(tmp_path: Path, nx_server: NxServer, data: Path) -> None:
    bare = NatsServer(tmp_path / "bare", jetstream=False)
    bare.start()
    try:
        said = serve(nx_server, data, "--nats", bare.uri, "--nats-token", TOKEN)
        assert "JetStream" in said
    finally:
        bare.kill()


def test_files_that_cannot_be_read_are_named(
    nx_server: NxServer, data: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    uri = f"nats://127.0.0.1:{free_port()}"
    for option in ("--nats-credentials", "--nats-ca"):
        assert f"{missing} cannot be read" in serve(nx_server, data, "--nats", uri, option, missing)
    bad = tmp_path / "bad.pem"
    bad.write_text(json.dumps("no certificate"))
    assert "certificates for NATS" in serve(nx_server, data, "--nats", uri, "--nats-ca", bad)
    said = serve(nx_server, data, "--nats", uri, "--nats-certificate", bad)
    assert "go together" in said
