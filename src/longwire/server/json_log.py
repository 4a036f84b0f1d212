"""Structured logs: a record as one line of JSON (--log-format json).

Also for a logging configuration of the user's own: "()": "longwire.server.json_log.JsonFormatter".
"""

from __future__ import annotations

import json
import logging
import math
from datetime import UTC, datetime
from typing import Any

from longwire.server.reports import FIELDS


class JsonFormatter(logging.Formatter):
    """time (RFC 3339, UTC), level, logger, message; then what the record has of FIELDS.

    An exception is one string under `exception`. No other attribute gets into the line: what a
    library hangs on its records may be a secret.
    """

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time.removesuffix("+00:00") + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            if hasattr(record, name):
                line[name] = getattr(record, name)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:  # made by another process, or another formatter
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        # In ASCII: nothing that a terminal or a line reader acts on is left unescaped.
        return json.dumps({name: _sound(value) for name, value in line.items()})


def _sound(value: object) -> object:
    """Return what JSON has a form for; half a surrogate pair would be refused by its readers."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value).encode("utf-8", "replace").decode()
