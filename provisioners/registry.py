"""Drivers by name.  Each is imported at its first use, so that a heavy SDK loads only where a pool of its cloud exists."""

import importlib
from collections.abc import Mapping
from typing import Any, Final, cast

from primitives import errors
from provisioners import contract

DRIVERS: Final = {
    "lab": "provisioners.lab.driver",
    "openstack": "provisioners.openstack.driver",
}

UNKNOWN = errors.Fault(
    "driver.unknown",
    errors.Kind.INVALID,
    en="there is no driver {name!r}; known are {known}",
    zh="没有名为 {name!r} 的驱动；可用驱动：{known}",
    mend_en="correct the pool's driver and apply it again",
    mend_zh="更正资源池的驱动名称后重新提交",
)
SETTINGS = errors.Fault(
    "driver.settings",
    errors.Kind.INVALID,
    en="setting {field!r} of driver {name!r}: {reason}",
    zh="驱动 {name!r} 的设置项 {field!r} 有误：{reason}",
    mend_en="correct the pool's driver settings and apply it again",
    mend_zh="更正资源池的驱动设置后重新提交",
)


def driver(name: str, settings: Mapping[str, Any]) -> contract.Driver:
    """The driver `name` over the cloud that `settings` describe.  Opens no connection.

    Raises driver.unknown, and driver.settings for a setting that is missing, unknown or out of bounds.
    """
    if name not in DRIVERS:
        raise UNKNOWN(name=name, known=", ".join(sorted(DRIVERS)))
    module = importlib.import_module(DRIVERS[name])
    return cast(contract.Driver, module.connect(settings))
