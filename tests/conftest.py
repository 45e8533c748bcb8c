"""A running server, shared by the tests of a module that do not hurt it; and the databases it can have."""

from __future__ import annotations

import asyncio
import inspect
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings

from tests.store.mongo_server import NxServer, given_uri
from tests.support.clients import WAIT_S, close_opened
from tests.support.nats_server import NatsServer
from tests.support.process import ServerProcess
from tests.support.temporary import temporary_folder

for _step in ("connect", "read", "write", "pool"):
    # Five seconds by themselves, which a machine that does much else may take for an answer.
    setattr(DEFAULT_TIMEOUT_CONFIG, _step, WAIT_S)

FAST = ("--meter", "off")
"""No rate that a test would wait for."""

EXAMPLES = 100
"""So many are tried by Hypothesis in every run, where a test says no number of its own."""

ServerProcess.module = "tests.support.quick"
"""Passwords are hashed quickly, where hashing is not what a test is about."""

Backend = Callable[[], tuple[str, ...]]
"""The options that give a server an empty database; the data folder comes on top."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fuzz 20` tries twenty times as much wherever something is tried at random."""
    parser.addoption("--fuzz", default="1", help="so many times as much is tried at random")


def pytest_configure(config: pytest.Config) -> None:
    """Say how much Hypothesis tries, before the tests are read: each keeps what is said then. And leave no files behind.

    Hypothesis has no clock of its own: other things run beside the tests, and one example may wait for all of them.
    """
    settings.register_profile(
        "tests",
        max_examples=EXAMPLES * int(config.getoption("--fuzz")),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("tests")
    ends = ExitStack()
    ends.enter_context(temporary_folder("tests-"))
    config.add_cleanup(ends.close)


@pytest.fixture(scope="session")
def fuzz(request: pytest.FixtureRequest) -> int:
    """How much more is tried than in every run."""
    return int(request.config.getoption("--fuzz"))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def test_…` on a loop of its own, and close the clients that it opened."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(_to_the_end(pyfuncitem.obj(**arguments)))
    return True


async def _to_the_end(test: Coroutine[Any, Any, None]) -> None:
    try:
        await test
    finally:
        await close_opened()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module that says `BACKENDS = ("sqlite", "mongodb")` is run on each of them."""
    if "backend" in metafunc.fixturenames:
        backends = getattr(metafunc.module, "BACKENDS", ("sqlite",))
        metafunc.parametrize("backend", backends, indirect=True, scope="module")


@pytest.fixture(scope="session")
def nx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NxServer]:
    """A server that speaks MongoDB's protocol, for all tests that only need a database in it."""
    running = NxServer(tmp_path_factory.mktemp("nx"))
    running.start()
    yield running
    running.kill()


@pytest.fixture
def own_nx_server(tmp_path: Path) -> Iterator[NxServer]:
    """One that the test starts, and may freeze and kill."""
    running = NxServer(tmp_path / "nx")
    yield running
    if not running.stopped:
        running.signal(signal.SIGCONT)
        running.kill()


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One nats-server for all tests that do not hurt it. It asks for a token."""
    running = NatsServer(tmp_path_factory.mktemp("nats"))
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def backend(request: pytest.FixtureRequest) -> Backend:
    """What the server keeps its things in."""
    if request.param == "sqlite":
        return lambda: ()
    if given_uri() is not None:
        return lambda: ("--mongodb", str(given_uri()))
    running: NxServer = request.getfixturevalue("nx_server")
    return lambda: ("--mongodb", running.uri())


@pytest.fixture(scope="module")
def server(
    backend: Backend, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ServerProcess]:
    """A server with the demo accounts, unhurried rates, the `OPTIONS` of the module, and a clean log at the end."""
    more = getattr(request.module, "OPTIONS", ())
    folder = tmp_path_factory.mktemp("data")
    with ServerProcess(folder, *FAST, *backend(), *more, demo=True) as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data folder."""
    return tmp_path / "data"
