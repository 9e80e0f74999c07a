"""Moments as people of this country read them: UTC of the API becomes Asia/Shanghai, to the second, in tables and errors.

The offset stays in the text, so that what is read here can be given back to any option that takes a time.
"""

import datetime
import re
from typing import Final

_UTC_MOMENT: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
# China has kept UTC+8 without daylight saving since 1992; a fixed offset needs no time-zone database.
_SHANGHAI: Final = datetime.timezone(datetime.timedelta(hours=8))


def local(text: str) -> str:
    """The text with every moment in UTC said in Asia/Shanghai: 2026-10-31T16:00:00Z is 2026-11-01T00:00:00+08:00."""
    return _UTC_MOMENT.sub(_said, text) if "T" in text else text


def _said(found: re.Match[str]) -> str:
    try:
        at = datetime.datetime.fromisoformat(found[0])
        return at.astimezone(_SHANGHAI).replace(microsecond=0).isoformat()
    except (ValueError, OverflowError):  # looks like a moment and is none: left as it is
        return found[0]
