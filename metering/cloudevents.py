"""Lines of the public format to usage events: CloudEvents 1.0 as JSON, type govpool.usage.state.  Pure.

Every bound is here: a line that passes can be stored, priced and shown.  docs/reference/usage-event.md is for people.
"""

from typing import Annotated, Final, Literal

import msgspec

from metering import model
from primitives import clock, errors

LINE_BYTES: Final = 64 << 10
"""The longest line."""

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Code = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
_Value = Annotated[str, msgspec.Meta(max_length=256)]
_Amount = Annotated[int, msgspec.Meta(ge=0, le=model.AMOUNT_BOUND)]
_Sequence = Annotated[int, msgspec.Meta(ge=0, le=model.SEQUENCE_BOUND)] | Annotated[str, msgspec.Meta(pattern="^[0-9]{1,15}$")]
_AmountName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,30}(\.[a-z0-9][a-z0-9_-]{0,30})?$")]


class _Data(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    tenant: _Code
    project: _Code
    kind: Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Za-z0-9]{0,62}$")]
    state: model.State
    amounts: Annotated[dict[_AmountName, _Amount], msgspec.Meta(max_length=32)]
    dimensions: Annotated[dict[_Key, _Value], msgspec.Meta(max_length=16)] = {}
    labels: Annotated[dict[_Key, _Value], msgspec.Meta(max_length=64)] = {}


class _Event(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    specversion: Literal["1.0"]
    id: _Text
    source: _Text
    type: Literal["govpool.usage.state"]
    subject: Annotated[str, msgspec.Meta(pattern=r"^\w", max_length=128)]  # never '=...': it is a cell of exports
    time: Annotated[str, msgspec.Meta(max_length=40)]
    sequence: _Sequence = 0
    datacontenttype: Literal["application/json"] = "application/json"
    data: _Data


_DECODER: Final = msgspec.json.Decoder(_Event)


def parse(line: bytes) -> model.UsageEvent:
    """The event of one line.  Raises input.invalid that names the field and what is wrong with it."""
    if len(line) > LINE_BYTES:
        raise errors.INVALID(field="line", reason=f"it has {len(line)} bytes; {LINE_BYTES} is the limit")
    try:
        line.decode()
        found = _DECODER.decode(line)
    except UnicodeDecodeError as error:
        raise errors.INVALID(field="line", reason=f"it is not UTF-8 at byte {error.start}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise errors.INVALID(field="line", reason=_shown(str(error))) from error
    event = model.UsageEvent(
        id=found.id,
        source=found.source,
        subject=found.subject,
        at=clock.parse(found.time, "time"),
        sequence=int(found.sequence),
        tenant=found.data.tenant,
        project=found.data.project,
        kind=found.data.kind,
        state=found.data.state,
        amounts=found.data.amounts,
        dimensions=found.data.dimensions,
        labels=found.data.labels,
    )
    _refuse_unprintable(event)
    return event


def _refuse_unprintable(event: model.UsageEvent) -> None:
    """Control characters and lone surrogates: no database stores them and no terminal should show them."""
    texts = {"id": event.id, "source": event.source, "subject": event.subject, "tenant": event.tenant, "project": event.project}
    for place, texts_of in (("dimensions", event.dimensions), ("labels", event.labels)):
        for key, value in texts_of.items():
            texts[f"{place}.{_shown(key)}"] = key + value
    for field, text in texts.items():
        if not text.isprintable():
            raise errors.INVALID(field=field, reason="it contains a control character")


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:200])
