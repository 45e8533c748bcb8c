"""Keys seal what only they open; rotation keeps what living cookies need."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from chatserver.verbs.keys import (
    KEY_FILE,
    NOBODY,
    KeyRing,
    KeysRefused,
    hash_password,
    newer_ring,
    password_matches,
    put_private,
)

LIFE_MS = 1000


def test_what_is_sealed_opens_for_its_purpose_only(tmp_path: Path) -> None:
    ring = KeyRing.load(tmp_path, 0)
    sealed = ring.seal("cookie", "hello")
    assert "hello" not in sealed
    assert ring.open("cookie", sealed) == "hello"
    assert ring.open("form", sealed) is None


def test_no_changed_character_opens(tmp_path: Path) -> None:
    ring = KeyRing.load(tmp_path, 0)
    sealed = ring.seal("cookie", "hello")
    for at, char in enumerate(sealed[:-1]):
        changed = sealed[:at] + ("A" if char != "A" else "B") + sealed[at + 1 :]
        assert ring.open("cookie", changed) is None
    for junk in (
        "",
        ".",
        sealed + "!",
        sealed[:20],
        "x." * 9,
        "\u00e9.\u00e9",
        sealed + "A" * 5000,
    ):
        assert ring.open("cookie", junk) is None


def test_the_key_file_is_for_its_owner_and_serves_the_next_start(tmp_path: Path) -> None:
    sealed = KeyRing.load(tmp_path, 0).seal("cookie", "hello")
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert KeyRing.load(tmp_path, 0).open("cookie", sealed) == "hello"


def test_an_older_key_opens_and_a_running_server_learns_of_the_new_one(tmp_path: Path) -> None:
    running = KeyRing.load(tmp_path, 0)
    old = running.seal("cookie", "old")
    assert KeyRing.rotate(tmp_path, 500, LIFE_MS) == (2, 0)
    rotated = KeyRing.load(tmp_path, 500)
    new = rotated.seal("cookie", "new")
    assert rotated.open("cookie", old) == "old"
    assert running.open("cookie", new) == "new"
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_a_key_file_that_could_not_be_read_once_is_read_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moment without descriptors used to shut the newest key out until the next rotation."""

    def refused(*_: object) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    running = KeyRing.load(tmp_path, 0)
    KeyRing.rotate(tmp_path, 500, LIFE_MS)
    new = KeyRing.load(tmp_path, 500).seal("cookie", "new")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", refused)
        assert running.open("cookie", new) is None
    assert running.open("cookie", new) == "new"


def test_a_key_is_dropped_when_no_cookie_of_it_can_live(tmp_path: Path) -> None:
    old = KeyRing.load(tmp_path, 0).seal("cookie", "old")
    KeyRing.rotate(tmp_path, 500, LIFE_MS)
    # The first key sealed until 500, so what it sealed may live until 1500.
    assert KeyRing.rotate(tmp_path, 1499, LIFE_MS) == (3, 0)
    assert KeyRing.load(tmp_path, 0).open("cookie", old) == "old"
    assert KeyRing.rotate(tmp_path, 1500, LIFE_MS) == (3, 1)
    assert KeyRing.load(tmp_path, 0).open("cookie", old) is None


@pytest.mark.parametrize("content", ["", "{}", '{"keys": []}', '{"keys": [{"id": "a"}]}', "\x00"])
def test_a_damaged_key_file_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / KEY_FILE).write_text(content)
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(KeysRefused):
        KeyRing.load(tmp_path, 0)
    assert (tmp_path / KEY_FILE).read_text() == content


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o601, 0o644, 0o777])
def test_keys_that_others_can_read_are_refused_with_what_mends_it(
    tmp_path: Path, mode: int
) -> None:
    folder = tmp_path / "a folder"
    KeyRing.load(folder, 0)
    path = folder / KEY_FILE
    path.chmod(mode)
    for use in (lambda: KeyRing.load(folder, 0), lambda: KeyRing.rotate(folder, 0, LIFE_MS)):
        with pytest.raises(KeysRefused) as refusal:
            use()
    command = re.search(r"chmod 600 '[^']+'", str(refusal.value))
    assert command is not None
    subprocess.run(command.group(), shell=True, check=True)
    KeyRing.load(folder, 0)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o701, 0o710, 0o755, 0o777])
def test_a_data_folder_that_is_open_to_others_is_refused_with_what_mends_it(
    tmp_path: Path, mode: int
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    folder.chmod(mode)
    for use in (lambda: KeyRing.load(folder, 0), lambda: KeyRing.rotate(folder, 0, LIFE_MS)):
        with pytest.raises(KeysRefused) as refusal:
            use()
    assert list(folder.iterdir()) == []
    command = re.search(r"chmod 700 '[^']+'", str(refusal.value))
    assert command is not None
    subprocess.run(command.group(), shell=True, check=True)
    KeyRing.load(folder, 0)


def test_a_running_server_does_not_take_keys_that_became_readable(tmp_path: Path) -> None:
    running = KeyRing.load(tmp_path, 0)
    KeyRing.rotate(tmp_path, 500, LIFE_MS)
    sealed = KeyRing.load(tmp_path, 500).seal("cookie", "hello")
    (tmp_path / KEY_FILE).chmod(0o644)
    assert running.open("cookie", sealed) is None


def test_where_no_file_can_be_the_refusal_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = tmp_path / "folder"
    folder.mkdir(0o700)
    (folder / KEY_FILE).mkdir(0o700)
    (tmp_path / "pipe").mkdir(0o700)
    os.mkfifo(
        tmp_path / "pipe" / KEY_FILE, 0o600
    )  # whoever opened it would wait for somebody who writes
    for where in (tmp_path / "file", folder, tmp_path / "pipe"):
        for use in (lambda at: KeyRing.load(at, 0), lambda at: KeyRing.rotate(at, 0, LIFE_MS)):
            with pytest.raises(KeysRefused, match=r"Cannot use the key file .*: [A-Z]\w+"):
                use(where)


def test_a_file_that_cannot_be_put_in_place_leaves_nothing_of_its_secret(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).mkdir()
    with pytest.raises(OSError):
        put_private(tmp_path / KEY_FILE, b"secret")
    assert [each.name for each in tmp_path.iterdir()] == [KEY_FILE]


def test_a_running_server_whose_key_file_is_gone_opens_what_it_has_sealed(tmp_path: Path) -> None:
    running = KeyRing.load(tmp_path, 0)
    sealed = running.seal("cookie", "hello")
    KeyRing.rotate(tmp_path, 500, LIFE_MS)
    new = KeyRing.load(tmp_path, 500).seal("cookie", "new")
    kept = (tmp_path / KEY_FILE).read_bytes()
    (tmp_path / KEY_FILE).unlink()
    assert running.open("cookie", new) is None and running.open("cookie", sealed) == "hello"
    put_private(tmp_path / KEY_FILE, kept)
    assert running.open("cookie", new) == "new"


async def test_a_running_server_seals_with_a_key_that_was_added_beside_it(tmp_path: Path) -> None:
    """It used to go on with the old one until it was started again, or met a cookie of the new one."""
    running = KeyRing.load(tmp_path, 0)
    old = running.seal("cookie", "x")
    KeyRing.rotate(tmp_path, 500, LIFE_MS)
    assert running.seal("cookie", "x").partition(".")[0] == old.partition(".")[0]
    await running.renew()
    assert running.seal("cookie", "x").partition(".")[0] != old.partition(".")[0]
    assert running.open("cookie", old) == "x"


async def test_a_shared_key_seals_when_all_servers_have_had_the_time_to_learn_of_it(
    tmp_path: Path,
) -> None:
    one, other = KeyRing.load(tmp_path, 1000, 100), KeyRing.load(tmp_path, 1000, 100)
    first = one.seal("cookie", "x").partition(".")[0]
    KeyRing.rotate(tmp_path, 2000, LIFE_MS)
    now_ms = 2099

    async def renewing() -> int:
        return now_ms

    for ring in (one, other):
        ring.renewing = renewing
        await ring.renew()
        assert ring.seal("cookie", "x").startswith(f"{first}.")
    now_ms = 2100
    await one.renew()
    sealed = one.seal("cookie", "new")
    assert not sealed.startswith(f"{first}.")
    assert other.open("cookie", sealed) == "new", "known long before it seals"


def test_of_two_rings_that_share_a_key_the_one_with_the_newest_counts(tmp_path: Path) -> None:
    one, other, stranger = (tmp_path / name for name in ("one", "other", "stranger"))
    for folder in (one, stranger):
        KeyRing.load(folder, 0)
    before = (one / KEY_FILE).read_bytes()
    put_private(other / KEY_FILE, before)
    KeyRing.rotate(one, 500, LIFE_MS)
    after, path = (one / KEY_FILE).read_bytes(), other / KEY_FILE
    assert newer_ring(before, after, path) == newer_ring(after, before, path) == after
    assert newer_ring(before, before, path) == before
    with pytest.raises(KeysRefused, match="not those of the other servers"):
        newer_ring(before, (stranger / KEY_FILE).read_bytes(), path)
    with pytest.raises(KeysRefused, match="damaged"):
        newer_ring(before, b"\xff", path)


def test_a_password_matches_its_own_hash_only() -> None:
    phc = hash_password("correct horse")
    assert phc.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert password_matches("correct horse", phc)
    assert not password_matches("correct horse ", phc)
    assert hash_password("correct horse") != phc


def test_nobodys_password_is_well_formed_so_that_it_costs_the_same_work() -> None:
    assert NOBODY.split("$")[:4] == hash_password("x").split("$")[:4]
    assert not password_matches("", NOBODY)
