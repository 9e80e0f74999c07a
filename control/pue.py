"""PUE of a hall over a period, and the ledger behind it, quarter by quarter."""

import datetime
import itertools
from typing import Any

from control import access
from control import meter as control_meter
from primitives import clock, errors, quantity
from pue_monitor import service
from pue_monitor.model import QUARTER_US
from store.transaction import Transaction
from tenants import model as tenants_model


def show_pue(tx: Transaction, who: tenants_model.Principal, code: str, from_text: str, to_text: str) -> dict[str, Any]:
    """The figure over [from, to) with its completeness and the reasons why it is not reportable.  Raises pue.period."""
    access.require(tx, who, "show", "pue", tenant_id=None)
    hall = service.hall(tx, code)
    from_at, to_at = _moment(from_text, "from"), _moment(to_text, "to")
    figure = service.show_pue(tx, hall, from_at, to_at)
    return {"hall": hall.code, "from": clock.text(from_at), "to": clock.text(to_at), **figure}


def list_ledger(
    tx: Transaction, who: tenants_model.Principal, code: str, *, span: tuple[str, str], after: str, limit: int
) -> list[dict[str, Any]]:
    """Up to `limit` quarters of a hall in [from, to) that begin after the moment `after`: energy of both sides, mark, ratio, alarm."""
    access.require(tx, who, "list", "pue", tenant_id=None)
    hall = service.hall(tx, code)
    from_us, to_us = service.period(_moment(span[0], "from"), _moment(span[1], "to"))
    if after:
        behind_us = clock.to_us(clock.parse(after, "cursor"))
        from_us = max(from_us, behind_us - behind_us % QUARTER_US + QUARTER_US)
    to_us = min(to_us, from_us + limit * QUARTER_US)
    return [_row(one) for one in itertools.islice(service.quarters(tx, hall, from_us, to_us), limit)]


def _row(one: Any) -> dict[str, Any]:
    ratio = None
    if one.coincident and one.it_wh:
        thousandths = quantity.half_up(one.facility_wh * 1000, one.it_wh)
        ratio = f"{thousandths // 1000}.{thousandths % 1000:03d}"
    return {
        "start_at": clock.text(clock.from_us(one.start_us)),
        "facility_wh": one.facility_wh,
        "it_wh": one.it_wh,
        "quality": str(one.quality),
        "ratio": ratio,
        "alarm": one.alarming,
    }


def _moment(text: str, field: str) -> datetime.datetime:
    at = control_meter.moment(text, field)
    if at is None:
        raise errors.INVALID(field=field, reason="it is needed: a date such as 2026-10-01, or a time with offset")
    return at
