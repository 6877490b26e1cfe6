"""The server's log: lines for people, or JSON, each with the id of the request that it is about.

Spec: RFC 3339 for times.
"""

import logging
import time
from typing import Final, Literal

import msgspec

from sealift.registry.request_id import TRACE

LogForm = Literal["text", "json"]

_ENCODER: Final = msgspec.json.Encoder()


class JsonLines(logging.Formatter):
    """One JSON object a record: time, level, logger, message, and what else there is."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, str] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "kind": "log",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace = TRACE.get()
        if trace is not None:
            line["requestId"] = trace.request_id
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _ENCODER.encode(line).decode()


class TextLines(logging.Formatter):
    """As people read it; the id of the request stands before the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        """The record as a line, without its traceback."""
        trace = TRACE.get()
        if trace is not None:
            record.message = f"[{trace.request_id}] {record.message}"
        return super().formatMessage(record)


def log_to_standard_error(form: LogForm) -> None:
    """Have everything that this process logs, from INFO on, written to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
