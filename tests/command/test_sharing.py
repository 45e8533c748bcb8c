"""Servers of one database have one ring of keys: nobody is signed out by coming to another one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chatserver.command.build import opened
from chatserver.command.settings import Settings
from chatserver.command.sharing import LEAD_MS, shared_push_key, shared_ring
from chatserver.store.mongo.store import MongoStore
from chatserver.verbs.keys import KEY_FILE, KeyRing, KeysRefused
from chatserver.verbs.webpush import PushKey
from tests.store.homes import mongo
from tests.store.kit import Clock, MongoHome
from tests.support.logins import resolve

__all__ = ["mongo"]

DAY_MS = 86_400_000


class Secrets:
    """What a database keeps."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def read(self, name: str) -> bytes | None:
        return self.kept.get(name)

    async def replace(self, name: str, seen: bytes | None, value: bytes) -> bool:
        if self.kept.get(name) != seen:
            return False
        self.kept[name] = value
        return True


def folders(tmp_path: Path, *names: str) -> list[Path]:
    made = [tmp_path / name for name in names]
    for folder in made:
        folder.mkdir(mode=0o700)
    return made


async def test_the_first_server_brings_its_keys_and_the_others_take_them_over(
    tmp_path: Path,
) -> None:
    one, other = folders(tmp_path, "one", "other")
    cookie = KeyRing.load(one, 0).seal("cookie", "from before")
    push = PushKey.load(one).public
    secrets, clock = Secrets(), Clock()
    for folder in (one, other):
        ring = await shared_ring(secrets, folder, clock)
        assert ring.open("cookie", cookie) == "from before"
        assert (await shared_push_key(secrets, folder, "")).public == push
        assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    # A host that has lost its folder gets them again.
    shutil.rmtree(one)
    ring = await shared_ring(secrets, one, clock)
    assert ring.open("cookie", cookie) == "from before"


async def test_a_new_key_seals_only_when_every_server_knows_it(tmp_path: Path) -> None:
    folder, other_folder = folders(tmp_path, "one", "other")
    secrets, clock = Secrets(), Clock()
    one = await shared_ring(secrets, folder, clock)
    other = await shared_ring(secrets, other_folder, clock)
    clock.now_ms += DAY_MS
    KeyRing.rotate(folder, clock.now_ms, DAY_MS)
    # The one that is restarted first does not seal with it yet: the other would not know who it is.
    one = await shared_ring(secrets, folder, clock)
    sealed = one.seal("cookie", "at once")
    assert other.open("cookie", sealed) == "at once"
    clock.now_ms += LEAD_MS // 2
    await other.renew()
    clock.now_ms += LEAD_MS
    await one.renew()
    later = one.seal("cookie", "later")
    assert later.partition(".")[0] != sealed.partition(".")[0], "the new key never seals"
    assert other.open("cookie", later) == "later"


async def test_keys_that_have_nothing_in_common_are_refused_and_left_alone(
    tmp_path: Path,
) -> None:
    one, other = folders(tmp_path, "one", "other")
    secrets, clock = Secrets(), Clock()
    await shared_ring(secrets, one, clock)
    await shared_push_key(secrets, one, "")
    KeyRing.load(other, 0)
    PushKey.load(other)
    before = {path.name: path.read_bytes() for path in other.iterdir()}
    kept = dict(secrets.kept)
    with pytest.raises(KeysRefused, match="not those of the other servers"):
        await shared_ring(secrets, other, clock)
    with pytest.raises(KeysRefused, match="not that of the other servers"):
        await shared_push_key(secrets, other, "")
    assert {path.name: path.read_bytes() for path in other.iterdir()} == before
    assert secrets.kept == kept


async def test_a_database_keeps_a_secret_once(mongo: MongoHome) -> None:
    store = MongoStore(mongo.uri, mongo.clock, wait_s=5)
    await store.start()
    try:
        secrets = store.secrets
        assert await secrets.read("keys") is None
        assert await secrets.replace("keys", None, b"one")
        assert not await secrets.replace("keys", None, b"two")
        assert not await secrets.replace("keys", b"zero", b"two")
        assert await secrets.read("keys") == b"one"
        assert await secrets.replace("keys", b"one", b"two")
        assert await secrets.read("keys") == b"two"
    finally:
        await store.close()


async def test_a_cookie_of_one_host_is_good_at_another_with_an_empty_folder(
    mongo: MongoHome, tmp_path: Path
) -> None:
    one, other = folders(tmp_path, "one", "other")
    cookie = ""
    async with opened(Settings(data=one, mongodb=mongo.uri)) as house:
        fields = {"email": "ann@example.com", "password": "correct horse", "firstName": "Ann"}
        ann = await house.accounts.register(fields, None)
        login = await house.sessions.begin(ann.id, 0, "")
        cookie = house.sessions.cookie(login, secure=False).partition(";")[0]
    async with opened(Settings(data=other, mongodb=mongo.uri)) as house:
        assert (await resolve(house.sessions, cookie, None)).id == login.id
