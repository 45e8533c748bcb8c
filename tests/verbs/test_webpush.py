"""Web Push: what only the browser can read, and who says it (RFC 8291, 8292)."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec

from chatserver.verbs.keys import KeysRefused
from chatserver.verbs.webpush import KEY_FILE, LIFE_S, PushKey, encrypt, read_keys
from tests.support.pushservice import CURVE, PushBrowser, unb64, verified


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(unb64(text), "big"), CURVE)


def test_the_example_of_the_rfc_is_encrypted_to_the_letter() -> None:
    """RFC 8291, section 5 and appendix A."""
    browser = PushBrowser(
        private("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), unb64("BTBZMqHH6r4Tts7J_aSIgg")
    )
    own = private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
    text = b"When I grow up, I want to be a watermelon"
    keys, salt = browser.keys(), unb64("DGv6ra1nlYgDCS1FRnbzlw")
    body = encrypt(text, keys["p256dh"], keys["auth"], own, salt)
    assert body == unb64(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert browser.decrypt(body) == text


def test_each_message_has_its_own_key_and_another_browser_reads_none() -> None:
    browser, other = PushBrowser(), PushBrowser()
    keys = browser.keys()
    one, two = (encrypt(b"x", keys["p256dh"], keys["auth"]) for _ in range(2))
    assert one[:86] != two[:86] and browser.decrypt(one) == browser.decrypt(two) == b"x"
    with pytest.raises(InvalidTag):
        other.decrypt(one)


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [("", ""), ("A" * 87, "A" * 22), ("BA", "A" * 22), ("!" * 87, "A" * 22), ("B" * 88, "A" * 20)],
)
def test_what_is_no_key_is_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(ValueError):
        read_keys(p256dh, auth)


def test_the_proof_names_the_push_service_and_is_signed_by_the_key(tmp_path: Path) -> None:
    key = PushKey.load(tmp_path / "data", "mailto:a@example.com")
    claims, by = verified(key.authorization("https://push.example", 1000))
    assert claims == {
        "aud": "https://push.example",
        "exp": 1000 + LIFE_S,
        "sub": "mailto:a@example.com",
    }
    assert by == key.public
    nameless = PushKey.load(tmp_path / "data")
    claims, by = verified(nameless.authorization("https://push.example", 1000))
    assert "sub" not in claims and by == key.public


def test_the_key_stays_and_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    public = PushKey.load(folder).public
    assert PushKey.load(folder).public == public
    path = folder / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(KeysRefused, match="chmod 600"):
        PushKey.load(folder)
    path.chmod(0o600)
    path.write_text("nothing")
    with pytest.raises(KeysRefused, match="damaged"):
        PushKey.load(folder)


def test_where_no_key_can_be_the_refusal_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(KeysRefused, match=r"Cannot use the key file .*: [A-Z]\w+"):
        PushKey.load(tmp_path / "file")
