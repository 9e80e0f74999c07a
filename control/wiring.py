"""What the use cases and workers of one process share: the database, the settings, the drivers by pool.  Put together in `cli/serve.py`."""

import threading
from collections.abc import Mapping
from typing import Any

from control import quota_names, services, strangers
from control import settings as control_settings
from primitives import canonical
from provisioners import contract, registry
from store import database as store_database


class Wiring:
    """The shared things of one server or worker process.  Thread-safe."""

    def __init__(self, database: store_database.Database, settings: control_settings.Settings) -> None:
        quota_names.declare(settings.quota_names_file)
        self.database = database
        self.settings = settings
        self.strangers = strangers.Counter()
        self.services: list[services.Service] = []
        """What runs in the background of this process; `cli/serve.py` fills it."""
        self._drivers: dict[str, contract.Driver] = {}
        self._guard = threading.Lock()

    def driver(self, name: str, driver_settings: Mapping[str, Any]) -> contract.Driver:
        """The driver of a pool, one object for each distinct setting.  Raises driver.unknown, driver.settings."""
        key = canonical.digest([name, dict(driver_settings)])
        with self._guard:
            if key not in self._drivers:
                self._drivers[key] = registry.driver(name, driver_settings)
            return self._drivers[key]
