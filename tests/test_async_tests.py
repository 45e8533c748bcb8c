"""The hook in conftest.py: a test that is a coroutine function is run, and its failure is reported."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

HEAD = """
import asyncio
import pytest
from tests.support import clients
pytestmark = pytest.mark.filterwarnings("error")
"""


def outcomes(pytester: pytest.Pytester, test: str) -> tuple[dict[str, int], str]:
    """What pytest says of a file with this test, under our conftest.py."""
    pytester.makepyfile(HEAD + test)
    run = pytester.runpytest_inprocess("-p", "tests.conftest", "-p", "no:cacheprovider")
    return run.parseoutcomes(), run.stdout.str()


def test_a_coroutine_that_ends_passes_with_its_fixtures(pytester: pytest.Pytester) -> None:
    test = """
@pytest.mark.parametrize("n", [1, 2])
async def test_it(n, tmp_path):
    await asyncio.sleep(0)
    assert n and tmp_path.exists()
"""
    assert outcomes(pytester, test)[0] == {"passed": 2}


def test_a_coroutine_that_fails_after_its_first_wait_is_reported(pytester: pytest.Pytester) -> None:
    test = """
async def test_it():
    await asyncio.sleep(0)
    assert 1 == 2
"""
    found, report = outcomes(pytester, test)
    assert found == {"failed": 1} and "assert 1 == 2" in report


@pytest.mark.parametrize(
    "test",
    [
        "def test_it():\n    made = fails()\n    made.close()\n    return made",
        "async def test_it():\n    assert False\n    yield",
    ],
    ids=["a coroutine that is returned", "an async generator"],
)
def test_what_the_hook_cannot_run_does_not_pass(pytester: pytest.Pytester, test: str) -> None:
    found, _ = outcomes(pytester, f"async def fails():\n    assert False\n\n{test}\n")
    assert found.keys() & {"failed", "errors"} and "passed" not in found


@pytest.mark.parametrize("end", ["pass", "assert False"])
def test_what_a_test_opened_is_closed_on_its_loop(pytester: pytest.Pytester, end: str) -> None:
    test = f"""
class Client:
    async def close(self):
        await asyncio.sleep(0)
        closed_on.append(asyncio.get_running_loop())

closed_on = []
opened_on = []

async def test_it():
    opened_on.append(asyncio.get_running_loop())
    clients.opened.append(Client())
    {end}

def test_that_nothing_is_left():
    assert clients.opened == []
    assert closed_on == opened_on and len(opened_on) == 1
"""
    passed = {"passed": 2} if end == "pass" else {"passed": 1, "failed": 1}
    assert outcomes(pytester, test)[0] == passed
