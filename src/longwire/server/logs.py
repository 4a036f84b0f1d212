"""Logging set up: `longwire.error` for the server and its errors, `longwire.access` for traffic."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from pathlib import Path
from typing import Any

from longwire.errors import ConfigError
from longwire.server.config import Config
from longwire.server.json_log import JsonFormatter

TRACE = 5
"""Below debug, as uvicorn has it."""

PLAIN = "%(levelname)-8s %(message)s"
COLORS = {"DEBUG": 36, "INFO": 32, "WARNING": 33, "ERROR": 31, "CRITICAL": 41, "TRACE": 34}


class ColorFormatter(logging.Formatter):
    """The plain line with its level in colour."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        color = COLORS.get(record.levelname, 0)
        return f"\x1b[{color}m{record.levelname:<8}\x1b[0m {record.message}"


def configure_logging(config: Config) -> None:
    """Apply `log_config` if there is one, else write lines to stderr; then the level."""
    logging.addLevelName(TRACE, "TRACE")
    if config.log_config is not None:
        _apply(config.log_config)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_formatter(config))
        logger = logging.getLogger("longwire")
        logger.handlers[:] = [handler]
        logger.propagate = False
    level = TRACE if config.log_level == "trace" else config.log_level.upper()
    logging.getLogger("longwire").setLevel(level)


def _formatter(config: Config) -> logging.Formatter:
    if config.log_format == "json":
        return JsonFormatter()
    use_colors = sys.stderr.isatty() if config.use_colors is None else config.use_colors
    return ColorFormatter() if use_colors else logging.Formatter(PLAIN)


def _apply(log_config: str | dict[str, Any]) -> None:
    try:
        if isinstance(log_config, dict):
            logging.config.dictConfig(log_config)
        elif log_config.endswith(".json"):
            logging.config.dictConfig(json.loads(Path(log_config).read_text("utf-8")))
        elif log_config.endswith((".yaml", ".yml")):
            import yaml  # type: ignore[import-untyped,unused-ignore]

            logging.config.dictConfig(yaml.safe_load(Path(log_config).read_text("utf-8")))
        else:
            logging.config.fileConfig(log_config, disable_existing_loggers=False)
    except ImportError:
        raise ConfigError("--log-config: a YAML file needs the package PyYAML") from None
    except Exception as error:
        raise ConfigError(f"--log-config {log_config!r} cannot be used: {error}") from None
