"""The one file that knows the cryptography: the key ring that seals cookies, and password hashing.

What is sealed, and for how long, is decided in `chatserver.verbs.sessions`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import pwd
import secrets
import shlex
import stat
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidKey, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from chatserver.verbs.cookies import bearer

KEY_FILE = "keys.json"
_KEY_BYTES = 32
_NONCE_BYTES = 12
"""AES-GCM's own size (NIST SP 800-38D, section 8.2). Random: safe for 2^32 seals under one key."""

ARGON2_MEMORY_KIB = 19 * 1024
ARGON2_PASSES = 2
ARGON2_LANES = 1
"""19 MiB, two passes, one lane: the OWASP password storage cheat sheet's first choice for Argon2id."""

NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$2qWuAwXxzht4M/oa+xgAmA$a80oAaF9VHNzowvUAe3+fog8uEkcfBZtgb0bmXUHjAQ"
"""A password that nobody has: compared with where the account is unknown, so that the work is the same."""


OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""What nobody but the owner may have of keys and data. The group is others too: whoever reads the keys is everybody."""


class KeysRefused(Exception):
    """The key file cannot be used; the text is one sentence that says what to do."""


def refuse_open_folder(folder: Path) -> None:
    """Raises `KeysRefused` where a data folder is another user's, or others may enter or list it; nothing where there is none yet.

    Root may enter what is another user's, but the files that it makes there are its own: the server, which runs as that
    user, would not start with them.
    """
    try:
        status = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise KeysRefused(
            f"The data folder {folder} cannot be used ({error.strerror}): name one that this user may read and write."
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        return
    if status.st_uid != os.geteuid():
        owner = _user_name(status.st_uid)
        raise KeysRefused(
            f"The data folder {folder} belongs to the user {owner}: put `sudo -u {shlex.quote(owner)}` before the command."
        )
    if status.st_mode & OTHERS:
        mended = f"chmod 700 {shlex.quote(str(folder))}"
        raise KeysRefused(f"The data folder is open to other users of this machine: {mended}")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # such as that of a container
        return f"#{uid}"


def _refuse_open_file(path: Path) -> None:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise KeysRefused(
            f"Cannot use the key file {path}: Something that is no file is in its place."
        )
    if mode & OTHERS:
        mended = f"chmod 600 {shlex.quote(str(path))}"
        harm = "sign in as anybody" if path.name == KEY_FILE else "call browsers in our name"
        raise KeysRefused(
            f"The key file can be read by other users of this machine, who can {harm} with it: {mended}"
            " (where somebody may have read it, remove it, and with --mongodb the one in the database too)"
        )


@dataclass(frozen=True, slots=True)
class _Key:
    id: str
    secret: bytes
    created_at: int


class KeyRing:
    """Keys in a file with mode 0600: the newest seals, older ones still open.

    Another process may rotate the file: a sealed text under an unknown key makes this one look again. Servers that share
    their keys give a new one `lead_ms` to become known to all of them: before that, an older one seals.
    """

    def __init__(
        self, path: Path, keys: Sequence[_Key], now_ms: int = 0, lead_ms: int | None = None
    ) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._now_ms = now_ms
        self._lead_ms = lead_ms
        self.renewing: Callable[[], Awaitable[int]] | None = None
        """Where the keys are shared: brings the file up to date, and says what time it is."""
        self._use(keys)

    @classmethod
    def load(cls, folder: Path, now_ms: int, lead_ms: int | None = None) -> KeyRing:
        """The ring in `folder`, made with one key where there is none. Raises `KeysRefused`."""
        path = folder / KEY_FILE
        try:
            refuse_open_folder(folder)
            if not path.exists():
                _write(path, [_new_key(now_ms)])
            return cls(path, _read(path), now_ms, lead_ms)
        except OSError as error:
            raise KeysRefused(f"Cannot use the key file {path}: {error.strerror}.") from error

    @classmethod
    def rotate(cls, folder: Path, now_ms: int, life_ms: int) -> tuple[int, int]:
        """Add a key to the ring in `folder`; drop those that no living cookie can need.

        A key seals until its successor is made, so it is needed for `life_ms` after that.
        Returns how many keys there are now and how many were dropped. Raises `KeysRefused`.
        """
        path = folder / KEY_FILE
        try:
            refuse_open_folder(folder)
            old = _read(path) if path.exists() else []
            keys = [_new_key(now_ms), *old]
            kept = keys[:1]
            for key, successor in zip(keys[1:], keys, strict=False):
                if successor.created_at + life_ms > now_ms:
                    kept.append(key)
            _write(path, kept)
        except OSError as error:
            raise KeysRefused(f"Cannot use the key file {path}: {error.strerror}.") from error
        return len(kept), len(keys) - len(kept)

    def seal(self, purpose: str, text: str) -> str:
        """`text` as characters that may stand in a cookie or a form, readable and changeable by nobody.

        `purpose` is bound in: what was sealed for one purpose does not open for another.
        """
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._newest.encrypt(nonce, text.encode(), purpose.encode())
        return f"{self._newest_id}.{base64.urlsafe_b64encode(nonce + sealed).rstrip(b'=').decode()}"

    def open(self, purpose: str, sealed: str) -> str | None:
        """What `seal` was given, or None where this is not the work of one of these keys."""
        key_id, _, body = sealed.partition(".")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            self._look_again()
            cipher = self._ciphers.get(key_id)
        if cipher is None or not body.isascii() or len(body) > 4096:
            return None
        try:
            raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
            opened = cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode())
        except (binascii.Error, ValueError, InvalidTag):
            return None
        return opened.decode()

    async def renew(self) -> None:
        """Take over a key that was added: to the file, or by other servers, where they share. To be called now and then."""
        if self.renewing is not None:
            self._now_ms = await self.renewing()
            self._stamp = (0, 0)
        self._look_again()

    def _use(self, keys: Sequence[_Key]) -> None:
        self._ciphers = {key.id: AESGCM(key.secret) for key in keys}
        known_to_all = keys
        if self._lead_ms is not None:
            due_ms = self._now_ms - self._lead_ms
            known_to_all = [key for key in keys if key.created_at <= due_ms] or keys[-1:]
        self._newest_id = known_to_all[0].id
        self._newest = self._ciphers[self._newest_id]

    def _look_again(self) -> None:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            try:
                self._use(_read(self._path))
            except OSError:
                # It may be there in a moment (no descriptor is left): look again the next time.
                return
            except KeysRefused:
                # The keys in memory still serve; a broken file is told at the next start.
                pass
            self._stamp = stamp


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)


def _new_key(now_ms: int) -> _Key:
    return _Key(secrets.token_hex(4), os.urandom(_KEY_BYTES), now_ms)


def _read(path: Path) -> list[_Key]:
    """The keys of the file, newest first. Raises `KeysRefused`."""
    _refuse_open_file(path)
    return _parse(path.read_text("utf-8"), path)


def newer_ring(kept: bytes, own: bytes, path: Path) -> bytes:
    """Of what two servers that share their keys have, the one with the newest key; `own` stands in the file `path`.

    Raises `KeysRefused` where they have no key in common: each would sign out whom the other has let in.
    """
    here, there = _parse(own.decode("utf-8", "replace"), path), _parse(kept.decode(), path)
    if not {key.id for key in here} & {key.id for key in there}:
        raise KeysRefused(
            f"The keys in {path} are not those of the other servers of this database: remove the file,"
            " and this server takes over theirs."
        )
    return own if here[0].created_at > there[0].created_at else kept


def _parse(text: str, path: Path) -> list[_Key]:
    try:
        rows = json.loads(text)["keys"]
        keys = [
            _Key(row["id"], base64.b64decode(row["key"], validate=True), int(row["createdAt"]))
            for row in rows
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise KeysRefused(
            f"The key file {path} is damaged: restore it, or remove it to sign everybody out."
        ) from error
    if not keys or any(len(key.secret) != _KEY_BYTES for key in keys):
        raise KeysRefused(
            f"The key file {path} is damaged: restore it, or remove it to sign everybody out."
        )
    return sorted(keys, key=lambda key: -key.created_at)


def _write(path: Path, keys: Sequence[_Key]) -> None:
    rows = [
        {"id": key.id, "key": base64.b64encode(key.secret).decode(), "createdAt": key.created_at}
        for key in keys
    ]
    put_private(path, json.dumps({"keys": rows}, indent=1).encode())


def private_file(path: Path, make: Callable[[], bytes]) -> bytes:
    """What stands in a file that is its owner's alone; made where there is none. Raises `KeysRefused`."""
    try:
        refuse_open_folder(path.parent)
        if not path.exists():
            put_private(path, make())
        _refuse_open_file(path)
        return path.read_bytes()
    except OSError as error:
        raise KeysRefused(f"Cannot use the key file {path}: {error.strerror}.") from error


def put_private(path: Path, content: bytes) -> None:
    """In place in one step, so that no reader and no crash sees half a file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file with mode 0600, so the keys are never readable by others.
    descriptor, name = tempfile.mkstemp(prefix=".keys-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def hash_password(password: str) -> str:
    """The PHC string that is kept instead of `password`. Takes about 35 ms: call it in a thread."""
    kdf = Argon2id(
        salt=os.urandom(16),
        length=32,
        iterations=ARGON2_PASSES,
        lanes=ARGON2_LANES,
        memory_cost=ARGON2_MEMORY_KIB,
    )
    return kdf.derive_phc_encoded(password.encode())


def password_matches(password: str, phc: str) -> bool:
    """Whether `phc` was made of `password`. Takes as long as making it: call it in a thread."""
    try:
        Argon2id.verify_phc_encoded(password.encode(), phc)
    except InvalidKey:
        return False
    return True


def token_hash(token: str) -> bytes:
    """What is kept of a bearer token. Fast on purpose: 256 random bits need no stretching."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def bearer_hash(authorization: str) -> bytes:
    """What is kept of the token in an Authorization header; empty where there is none in it."""
    token = bearer(authorization)
    return token_hash(token) if token else b""
