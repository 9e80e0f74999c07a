"""What runs for energy in a server process: the Modbus poller, and the ledger that follows the readings."""

from collections.abc import Sequence
from typing import Final

from control import services
from control.wiring import Wiring
from pue_monitor import model, service
from pue_monitor.modbus import poller
from store.transaction import Transaction

LEDGER_S: Final = 15


def background(wiring: Wiring) -> list[services.Service]:
    """The services; no poller with `meters` false."""
    database = wiring.database

    def keep(readings: Sequence[model.Reading], signs: Sequence[model.Live]) -> None:
        def batch(tx: Transaction) -> None:
            service.append(tx, readings)
            service.saw(tx, signs)

        database.lane.run(batch)

    ledger = services.Loop("energy ledger", lambda: database.lane.run(service.catch_up), LEDGER_S)
    if not wiring.settings.meters:
        return [ledger]
    return [poller.Poller(lambda: database.read(service.meters), keep, wiring.settings.poll_s), ledger]
