"""A start on MongoDB that is cancelled leaves nothing behind that a next start would have to wait for."""

from __future__ import annotations

import asyncio

import pytest

from chatserver.store.mongo.schema import check_schema
from chatserver.store.mongo.store import MongoStore
from tests.store.kit import Clock
from tests.store.mongo_proxy import MongoProxy
from tests.store.mongo_server import NxServer, database, fresh_name


@pytest.mark.parametrize("at", ["taking the lease", "making the indexes"])
async def test_a_start_that_is_cancelled_gives_the_lease_back(nx_server: NxServer, at: str) -> None:
    """Also exactly while it is taken: the command is on its way, and its answer has not come."""
    name = fresh_name()
    with MongoProxy(nx_server.port) as proxy:
        store = MongoStore(f"mongodb://127.0.0.1:{proxy.port}/{name}", Clock())
        starting = asyncio.create_task(store.start())
        proxy.delay_s = 0.2
        async with database(nx_server.uri(name)) as db:
            while await db["meta"].find_one({"_id": "lease"}) is None:
                assert not starting.done()
                await asyncio.sleep(0.01)
            while at == "making the indexes" and "createIndexes" not in proxy.asked:
                assert not starting.done()
                await asyncio.sleep(0.01)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            await store.close()
            assert await db["meta"].find_one({"_id": "lease"}) is None


async def test_a_command_that_takes_the_lease_late_is_waited_for(nx_server: NxServer) -> None:
    """It reaches the database after the start was cancelled: given back before that, it would stay."""
    name = fresh_name()
    with MongoProxy(nx_server.port) as proxy:
        store = MongoStore(f"mongodb://127.0.0.1:{proxy.port}/{name}", Clock())
        async with database(nx_server.uri(name)) as db:
            await check_schema(db, Clock())
            # The lease is then the first thing that a start inserts.
            proxy.late_s["insert"] = 0.5
            starting = asyncio.create_task(store.start())
            while not proxy.late:
                assert not starting.done()
                await asyncio.sleep(0.01)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            await store.close()
            async with asyncio.timeout(30):
                while proxy.gone_on < proxy.late:
                    await asyncio.sleep(0.01)
            assert await db["meta"].find_one({"_id": "lease"}) is None
