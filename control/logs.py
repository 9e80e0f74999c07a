"""Logs of the server: one JSON object a line on standard error, UTC, no secret in it.

A log may be lost, an audit line may not; nobody takes a decision from a log.  Tracebacks come without local variables: those hold
tokens.
"""

import logging
import sys
from typing import Any, Final

import structlog

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_SECRETS: Final = ("token", "password", "secret", "authorization", "code_once")


def set_up(level: str) -> None:
    """Send structlog and the standard library's loggers to standard error as JSON."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    plain = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20))
    shared: list[Any] = [structlog.stdlib.add_log_level, stamp, plain, _without_secrets]
    rendered = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *shared, rendered],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, rendered]
    )
    handler.setFormatter(formatter)
    logging.root.handlers = [handler]
    logging.root.setLevel(max(LEVELS[level], logging.WARNING))


def _without_secrets(_: Any, __: str, event: Any) -> Any:
    for key in event:
        if key in _SECRETS:
            event[key] = "***"
    return event
