"""What runs for energy in a server process: the Modbus poller, and the ledger that follows the readings."""

from collections.abc import Sequence
from typing import Final

from control import notice, services
from control.wiring import Wiring
from primitives import clock
from pue_monitor import model, service
from pue_monitor.modbus import poller
from store.transaction import Transaction
from tenants import service as tenants

LEDGER_S: Final = 15


def catch_up(tx: Transaction) -> bool:
    """Bring the ledger forward by a bounded piece and tell the operators of what needs a person.  True while anything is left to do."""

    def alarm(meter: model.Meter, event: model.Event) -> None:
        values = {
            "meter": meter.code,
            "at": clock.text(clock.from_us(event.at_us)),
            "since": clock.text(clock.from_us(event.about_us)),
        }
        code = f"register.{event.happening}"
        notice.tell(tx, tenant_id=tenants.root(tx).id, code=code, values=values, object_id=meter.id, role="operator")

    return service.catch_up(tx, alarm=alarm)


def background(wiring: Wiring) -> list[services.Service]:
    """The services; no poller with `meters` false."""
    database = wiring.database

    def keep(readings: Sequence[model.Reading], signs: Sequence[model.Live]) -> None:
        def batch(tx: Transaction) -> None:
            service.append(tx, readings)
            service.saw(tx, signs)

        database.lane.run(batch)

    ledger = services.Loop("energy ledger", lambda: database.lane.run(catch_up), LEDGER_S)
    if not wiring.settings.meters:
        return [ledger]
    return [poller.Poller(lambda: database.read(service.meters), keep, wiring.settings.poll_s), ledger]
