"""Who a node is to NATS: a user, a token, a credentials file or a seed, none of which is shown.

A user or a token may stand in the address, too. Files are read for each connection, so that what
is renewed in place is in force from the next one on.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from importlib.util import find_spec
from os import PathLike, fspath
from typing import Any

from longwire.errors import BrokerError

File = str | PathLike[str]

BLOCKS = ("BEGIN NATS USER JWT", "BEGIN USER NKEY SEED")
"""What a credentials file has; nats-py looks for the first one for ever."""

SECRET = re.compile(r"\n|S[A-Z2-7]{57}")
"""What has no place in a path: the text of a credentials file has it, or a seed."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One of them at most; BrokerError for more, and for what needs a package that is missing."""

    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    user_credentials: File | None = field(default=None, repr=False)
    nkeys_seed: File | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password is None):
            raise BrokerError("user and password are given together; a token is a token")
        if len(self._given()) > 1:
            raise BrokerError(f"one of {', '.join(self._given())} says who a node is to NATS")
        files = {"user_credentials": self.user_credentials, "nkeys_seed": self.nkeys_seed}
        given = {name: fspath(file) for name, file in files.items() if file is not None}
        for name, path in given.items():
            if SECRET.search(path):
                raise BrokerError(f"{name} is the path of a file")
        if given and find_spec("nkeys") is None:
            raise BrokerError("this needs the package nkeys: pip install 'nats-py[nkeys]'")

    def __bool__(self) -> bool:
        return bool(self._given())

    def _given(self) -> list[str]:
        names = ("user", "token", "user_credentials", "nkeys_seed")
        return [name for name in names if getattr(self, name) is not None]

    def arguments(self) -> dict[str, Any]:
        """Return them as nats-py's connect() has them; OSError for a file that cannot be read, or
        is not what it should be.
        """
        if self.user is not None:
            return {"user": self.user, "password": self.password}
        if self.token is not None:
            return {"token": self.token}
        if self.user_credentials is not None:
            path = fspath(self.user_credentials)
            text = _read("user_credentials", path).decode("ascii", "replace")
            if any(block not in text for block in BLOCKS):
                raise OSError(f"{path} is no credentials file")
            return {"user_credentials": path}
        if self.nkeys_seed is not None:
            path = fspath(self.nkeys_seed)
            _check_seed(path)
            return {"nkeys_seed": path}
        return {}


def _read(name: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:  # its words quote the path, which may be a secret in place of one
        raise OSError(f"{name}: {error.strerror}") from None


def _check_seed(path: str) -> None:
    """Raise OSError unless a user's seed can be read from the file; nkeys' errors may quote it."""
    import nkeys

    seed = bytearray(_read("nkeys_seed", path).strip())
    try:
        nkeys.from_seed(seed).wipe()
    except Exception:
        raise OSError(f"{path} has no seed of an nkey") from None


def tls_of(files: dict[str, str]) -> ssl.SSLContext | None:
    """Return the context for `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile`, None without any.

    BrokerError for files that cannot be used.
    """
    if not files:
        return None
    if "ssl_keyfile" in files and "ssl_certfile" not in files:
        raise BrokerError("ssl_keyfile is the key of ssl_certfile")
    try:
        context = ssl.create_default_context(cafile=files.get("ssl_ca_certs"))
        if "ssl_certfile" in files:
            # Without a password OpenSSL would ask for that of a locked key on the terminal.
            context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"), password="")
    except OSError as error:  # ssl.SSLError is one
        names = ", ".join(files)
        raise BrokerError(f"{names}: {error.strerror or error}") from None
    return context
