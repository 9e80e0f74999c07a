"""The pools as the reconciler needs them: each with its driver, read afresh every few seconds, for an operator may change them."""

import dataclasses
import threading
from typing import Final

import structlog

from control.wiring import Wiring
from pools import model as pools_model
from pools import service as pools
from primitives import clock, errors
from provisioners import contract

FRESH_S: Final = 2

_log = structlog.get_logger("reconciler")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One pool and its driver."""

    pool_id: str
    pool: str
    driver: contract.Driver


class Clouds:
    """All pools of the installation.  Thread-safe."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._guard = threading.Lock()
        self._read_at = float("-inf")
        self._known: dict[str, Cloud] = {}

    def all(self) -> list[Cloud]:
        """Every pool, by code."""
        self._refresh()
        return sorted(self._known.values(), key=lambda cloud: cloud.pool)

    def of(self, pool_id: str) -> Cloud | None:
        """The cloud of a pool; None if its pool is not there."""
        self._refresh(unless_known=pool_id)
        return self.known(pool_id)

    def known(self, pool_id: str) -> Cloud | None:
        """The same without reading anything: for the lane."""
        return self._known.get(pool_id)

    def _refresh(self, unless_known: str = "") -> None:
        with self._guard:
            if clock.monotonic_s() - self._read_at < FRESH_S and (not unless_known or unless_known in self._known):
                return
            found = self._wiring.database.read(pools.pools)
            self._known = {cloud.pool_id: cloud for pool in found if (cloud := self._cloud(pool)) is not None}
            self._read_at = clock.monotonic_s()

    def _cloud(self, pool: pools_model.Pool) -> Cloud | None:
        """None, and a line in the log, for a pool whose driver this release cannot make: it must not keep the others from their work."""
        try:
            return Cloud(pool_id=pool.id, pool=pool.code, driver=self._wiring.driver(pool.driver, pool.driver_settings))
        except errors.GovpoolError as error:
            _log.error("pool.no_driver", pool=pool.code, code=error.code, reason=error.text("en"))
            return None
