"""The cryptography of Web Push: a message only the browser can read (RFC 8291), from a server it knows (RFC 8292).

Whom to call is decided in `verbs.alerts`; sending is `site.pushing`'s.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chatserver.verbs.keys import KeysRefused, private_file

KEY_FILE = "push.pem"
PAYLOAD_BYTES = 3000
"""Push services take bodies of 4,096 bytes (RFC 8030, section 7.2); this leaves room for what stands around it."""
LIFE_S = 12 * 3600
"""Of what proves who we are: at most 24 hours (RFC 8292, section 2)."""

_CURVE = ec.SECP256R1()
POINT_BYTES = 65
SECRET_BYTES = 16


def encoded(raw: bytes) -> str:
    """Base64url without padding, as the Push API has it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def read_keys(p256dh: str, auth: str) -> tuple[ec.EllipticCurvePublicKey, bytes]:
    """A browser's key and its secret. Raises ValueError where they are none."""
    point, secret = decoded(p256dh), decoded(auth)
    if len(point) != POINT_BYTES or len(secret) != SECRET_BYTES:
        raise ValueError("of another length")
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point), secret


def encrypt(
    payload: bytes,
    p256dh: str,
    auth: str,
    own: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """`payload` as the body of a request to a push service, in `aes128gcm` (RFC 8291, section 3).

    `own` and `salt` are drawn anew for each message; a test gives its own. Raises ValueError for keys that are none.
    """
    theirs, secret = read_keys(p256dh, auth)
    own = own or ec.generate_private_key(_CURVE)
    salt = salt or os.urandom(16)
    sender, receiver = _point(own.public_key()), _point(theirs)
    shared = own.exchange(ec.ECDH(), theirs)
    key = _derive(shared, secret, b"WebPush: info\0" + receiver + sender, 32)
    cipher = AESGCM(_derive(key, salt, b"Content-Encoding: aes128gcm\0", 16))
    nonce = _derive(key, salt, b"Content-Encoding: nonce\0", 12)
    # One record, the last one: RFC 8188, section 2.
    head = salt + (4096).to_bytes(4, "big") + bytes([POINT_BYTES]) + sender
    return head + cipher.encrypt(nonce, payload + b"\x02", None)


def _derive(secret: bytes, salt: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, purpose).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


class PushKey:
    """The server's key, by which browsers and push services know it. It stays for good: with another one every
    subscription would be worth nothing."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, contact: str) -> None:
        self._key = key
        self._contact = contact

    @classmethod
    def load(cls, folder: Path, contact: str = "") -> PushKey:
        """The key in `folder`, made where there is none. `contact`: a `mailto:` or `https:` address. Raises `KeysRefused`."""
        pem = private_file(folder / KEY_FILE, _new_key)
        try:
            key = serialization.load_pem_private_key(pem, None)
        except ValueError:
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != _CURVE.name:
            raise KeysRefused(
                f"The key file {folder / KEY_FILE} is damaged: restore it, or remove it to end all push subscriptions."
            )
        return cls(key, contact)

    @property
    def public(self) -> str:
        """What a browser subscribes with (`applicationServerKey`)."""
        return encoded(_point(self._key.public_key()))

    def authorization(self, audience: str, now_s: float) -> str:
        """The `Authorization` for a push service; `audience` is its origin (RFC 8292, section 3)."""
        claims = {"aud": audience, "exp": int(now_s) + LIFE_S}
        if self._contact:
            claims["sub"] = self._contact
        parts = (
            encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ES256"}, claims)
        )
        signed = ".".join(parts)
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return f"vapid t={signed}.{signature}, k={self.public}"


def _new_key() -> bytes:
    return ec.generate_private_key(_CURVE).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
