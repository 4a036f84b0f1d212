"""Whom a nats-server knows by keys: users with an nkey, and accounts whose users have JWTs."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping

import nkeys

OPERATOR, ACCOUNT, USER = (
    nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER
)  # fmt: skip
UNLIMITED = -1
LIMITS = ("subs", "data", "payload", "imports", "exports", "mem_storage", "disk_storage", "streams")
"""Of an account; what is not named is 0, and JetStream then not for it."""


class Key:
    """A pair of keys, made by chance."""

    def __init__(self, kind: int) -> None:
        self.seed = bytes(nkeys.encode_seed(os.urandom(32), kind)).decode()
        self._pair = nkeys.from_seed(bytearray(self.seed.encode()))
        self.public = self._pair.public_key.decode()

    def sign(self, subject: str, name: str, claims: Mapping[str, object]) -> str:
        """Return the JWT in which this key says the claims of the subject."""
        body = {"jti": name, "iat": 1, "iss": self.public, "sub": subject, "name": name}
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (
            head, {**body, "nats": {**claims, "version": 2}}
        ))  # fmt: skip
        return f"{text}.{_encoded(self._pair.sign(text.encode()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Accounts:
    """An operator with one account; `who` is the part of the server's configuration."""

    def __init__(self) -> None:
        operator, system, self._account = Key(OPERATOR), Key(ACCOUNT), Key(ACCOUNT)
        limits: dict[str, object] = dict.fromkeys(LIMITS, UNLIMITED)
        preload = ""
        for account, its_limits in ((system, {}), (self._account, limits)):
            claims = {"type": "account", "limits": {"conn": UNLIMITED, **its_limits}}
            preload += f"  {account.public}: {operator.sign(account.public, 'test', claims)}\n"
        self.who = f"""
operator: {operator.sign(operator.public, "operator", {"type": "operator"})}
system_account: {system.public}
resolver: MEMORY
resolver_preload: {{
{preload}}}
"""

    def credentials(self) -> str:
        """Return the credentials file of one more user."""
        user = Key(USER)
        claims = {"type": "user", "subs": UNLIMITED, "data": UNLIMITED, "payload": UNLIMITED}
        jwt = self._account.sign(user.public, "tester", claims)
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
