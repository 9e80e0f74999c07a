"""From bytes to bounded structs.  Whatever a client sends ends here as a clear fault: never as an exception deeper inside.

Refused: text that is not UTF-8, nesting deeper than 32, U+0000 and lone surrogates (no database stores them), unknown fields and
parameters, wrong types, values outside the bounds that the struct declares.
"""

import functools
import re
import urllib.parse
from typing import Any, Final

import msgspec

from apiserver import faults, route
from primitives import errors

DEPTH: Final = 32
_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_WHERE: Final = re.compile(r"(.*?)(?: - at `(.*)`)?", re.DOTALL)
_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_GENERATION: Final = re.compile(r'"?([0-9]{1,15})"?')


def body(declared: route.Route, content: bytes) -> Any:
    """The body struct of a JSON body.  Raises input.invalid, input.too_deep."""
    _bound_depth(content)
    if b"\\u0000" in content:
        raise errors.INVALID(field="body", reason="it contains the character U+0000")
    try:
        content.decode()
        return _decoder(declared.body).decode(content)
    except UnicodeDecodeError as error:
        raise errors.INVALID(field="body", reason=f"it is not UTF-8 at byte {error.start}") from error
    except msgspec.DecodeError as error:
        raise _finding("body", str(error)) from error
    except RecursionError as error:
        raise faults.TOO_DEEP(limit=DEPTH) from error


def query(declared: route.Route, raw: bytes) -> tuple[Any, bool]:
    """The query struct of a query string, and whether a change is to be rehearsed only (`dry_run`).

    Raises input.invalid; a route without query parameters refuses any.
    """
    try:
        pairs = urllib.parse.parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError as error:  # UnicodeDecodeError is one
        raise errors.INVALID(field="query", reason="it is not percent-encoded UTF-8 with at most 50 parameters") from error
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise errors.INVALID(field=_shown(name), reason="the parameter is given twice")
        if "\x00" in value or "\x00" in name:
            raise errors.INVALID(field=_shown(name), reason="it contains the character U+0000")
        values[name] = value
    dry_run = declared.mutating and not declared.open and _flag(values.pop("dry_run", "false"), "dry_run")
    if declared.query is None:
        if values:
            raise errors.INVALID(field=_shown(next(iter(values))), reason="this operation takes no such parameter")
        return None, dry_run
    try:
        return msgspec.convert(values, declared.query, strict=False), dry_run
    except msgspec.ValidationError as error:
        raise _finding("query", str(error)) from error


def path(values: dict[str, str]) -> dict[str, str]:
    """Path parameters, checked.  Raises input.invalid."""
    for name, value in values.items():
        if not 1 <= len(value) <= 128 or not value.isprintable():
            raise errors.INVALID(field=name, reason="a part of the path has 1 to 128 printable characters")
    return values


def idempotency_key(declared: route.Route, header: str | None, example: str) -> str:
    """The key of a mutating call.  Raises idempotency.missing, idempotency.invalid."""
    if header is None:
        if declared.open:
            return ""
        raise faults.NO_KEY(method=declared.method, path=declared.path, example=example)
    if not _KEY.fullmatch(header):
        raise faults.BAD_KEY()
    return header


def if_match(declared: route.Route, header: str | None) -> int | None:
    """The generation of an If-Match such as '"3"'.  Raises precondition.missing, input.invalid."""
    if header is None:
        if declared.if_match:
            raise faults.NO_IF_MATCH(method=declared.method, path=declared.path)
        return None
    found = _GENERATION.fullmatch(header.strip())
    if not found:
        raise errors.INVALID(field="If-Match", reason='it must be the ETag of the object, such as "3"')
    return int(found[1])


def reason(header: str | None) -> str:
    """Why the caller does it: percent-encoded UTF-8, at most 500 characters.  Raises input.invalid."""
    if header is None:
        return ""
    try:
        text = urllib.parse.unquote(header, errors="strict")
    except UnicodeDecodeError as error:
        raise errors.INVALID(field="X-Govpool-Reason", reason="it is not percent-encoded UTF-8") from error
    if len(text) > 500 or not text.isprintable():
        raise errors.INVALID(field="X-Govpool-Reason", reason="it has at most 500 printable characters")
    return text


def language(header: str | None, default: str = "en") -> str:
    """'zh' or 'en', whichever Accept-Language wants more."""
    best, best_weight = default, 0.0
    for part in (header or "")[:200].split(","):
        tag, _, parameters = part.strip().partition(";")
        lang = tag.strip().lower()[:2]
        try:
            weight = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if lang in ("zh", "en") and weight > best_weight:
            best, best_weight = lang, weight
    return best


@functools.cache
def _decoder(struct: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(struct)


def _bound_depth(content: bytes) -> None:
    if content.count(b"[") + content.count(b"{") <= DEPTH:
        return
    depth = 0
    for token in _TOKENS.finditer(content):
        first = content[token.start()]
        if first in b"[{":
            depth += 1
            if depth > DEPTH:
                raise faults.TOO_DEEP(limit=DEPTH)
        elif first in b"]}":
            depth -= 1


def _flag(text: str, field: str) -> bool:
    if text not in ("true", "false"):
        raise errors.INVALID(field=field, reason="it is true or false")
    return text == "true"


def _finding(place: str, text: str) -> errors.GovpoolError:
    """msgspec says "Expected `int`, got `str` - at `$.spec.granted`": the place becomes the field."""
    found = _WHERE.fullmatch(text)
    reason, where = (found[1], found[2]) if found else (text, None)
    field = (where or "").removeprefix("$").removeprefix(".") or place
    return errors.INVALID(field=_shown(field), reason=_shown(reason, 300))


def _shown(text: str, limit: int = 80) -> str:
    """Text of a stranger, fit to be shown back."""
    return "".join(c if c.isprintable() else "?" for c in text[:limit])
