"""What a pool says about its OpenStack: `driver_settings`, checked.  Opens no connection; credentials stay in the `clouds.yaml` that is named."""

import dataclasses
import ipaddress
import pathlib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import yaml

from primitives import errors
from provisioners import contract, registry

FILE_MAX: Final = 262_144
_NUMBERS: Final = {"call_s": (1, 300, 60), "late_s": (0, 3_600, 60), "poll_s": (0, 300, 2), "calls_at_once": (1, 256, 8)}
_FLAGS: Final = {"make_flavors": True, "config_drive": False}
_TEXTS: Final = {
    "region": "",
    "availability_zone": "",
    "service_class": "general",
    "hall": "",
    "external_network": "",
    "network_v4": "10.64.0.0/20",
    "volume_type": "",
}
_MAPPED: Final = re.compile(r"(image|volume_type)\.[a-z0-9][a-z0-9._-]{0,50}")
_LARGEST: Final = {"cpu_milli": 1_000_000, "ram_mib": 16 * 1024 * 1024, "disk_gib": 65_536}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One region of one cloud, as a pool wants it used."""

    clouds_file: pathlib.Path
    cloud: str  # its name in that file
    region: str  # '' = the one that the file says
    availability_zone: str  # only the hosts of this zone; '' = all
    service_class: str  # of everything in this pool
    hall: str
    external_network: str  # name of the provider network that departments' routers lead to; '' = no way out
    network_v4: str  # IPv4 prefix of each department's network; they do not meet, so all have the same
    volume_type: str  # '' = the cloud's default
    volume_types: Mapping[str, str]  # disk class -> volume type
    images: Mapping[str, str]  # image of the catalogue -> name or id in the cloud; else it has the same name there
    make_flavors: bool  # make a flavor where no plain one has the wanted size
    config_drive: bool  # for clouds without a metadata service
    bounds: contract.Bounds

    def volume_type_of(self, disk_class: str) -> str:
        """The volume type of a disk class ('' = none was asked for).  Raises PermanentError for one that this cloud does not have."""
        if not disk_class:
            return self.volume_type
        if disk_class in self.volume_types:
            return self.volume_types[disk_class]
        raise contract.PermanentError(
            "cloud.disk_class",
            en=f"this cloud has no disks of class {disk_class}; order another class",
            zh=f"该云平台没有 {disk_class} 类磁盘，请改选其他磁盘类别",
        )


def read(settings: Mapping[str, Any]) -> Options:
    """The options of a pool.  Raises driver.settings for the first one that is missing, unknown or out of bounds."""
    known = {"clouds_file", "cloud", *_NUMBERS, *_FLAGS, *_TEXTS}
    for field in sorted(settings.keys() - known):
        if not _MAPPED.fullmatch(field):
            raise _fault(field, f"unknown; known are {', '.join(sorted(known))}, image.<image>, volume_type.<class>")
    texts: dict[str, Any] = {field: _text(settings, field, default) for field, default in _TEXTS.items()}
    mapped = {field: _text(settings, field, "") for field in settings if field not in known}
    for field in mapped:
        if not mapped[field]:
            raise _fault(field, "the name that it has in the cloud")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]{0,62})", texts["service_class"]):
        raise _fault("service_class", "lower-case letters, digits, inner hyphens and dots")
    _checked_network(texts["network_v4"])
    file, cloud = _cloud(settings, texts["region"])
    numbers = {field: _number(settings, field) for field in _NUMBERS}
    return Options(
        clouds_file=file,
        cloud=cloud,
        **texts,
        make_flavors=_flag(settings, "make_flavors"),
        config_drive=_flag(settings, "config_drive"),
        images=MappingProxyType(
            {field.removeprefix("image."): name for field, name in mapped.items() if field.startswith("image.")}
        ),
        volume_types=MappingProxyType(
            {field.removeprefix("volume_type."): name for field, name in mapped.items() if field.startswith("volume_type.")}
        ),
        bounds=contract.Bounds(**numbers, largest=_LARGEST, limit_step=MappingProxyType({"cpu_milli": 1000})),
    )


def _fault(field: str, reason: str) -> errors.GovpoolError:
    return registry.SETTINGS(name="openstack", field=field, reason=reason)


def _text(settings: Mapping[str, Any], field: str, default: str) -> str:
    value = settings.get(field, default)
    if not isinstance(value, str) or len(value) > 255 or not value.isprintable():
        raise _fault(field, "a text of at most 255 characters")
    return value


def _number(settings: Mapping[str, Any], field: str) -> int:
    low, high, default = _NUMBERS[field]
    value = settings.get(field, default)
    if type(value) is not int or not low <= value <= high:
        raise _fault(field, f"a whole number from {low} to {high}")
    return value


def _flag(settings: Mapping[str, Any], field: str) -> bool:
    value = settings.get(field, _FLAGS[field])
    if type(value) is not bool:
        raise _fault(field, "true or false")
    return value


def _checked_network(prefix: str) -> None:
    try:
        network = ipaddress.IPv4Network(prefix)
    except ValueError as error:
        raise _fault("network_v4", f"{prefix!r} is not an IPv4 prefix such as 10.64.0.0/20") from error
    if not network.is_private or not 12 <= network.prefixlen <= 28:
        raise _fault("network_v4", "a private prefix from /12 to /28")


def _cloud(settings: Mapping[str, Any], region: str) -> tuple[pathlib.Path, str]:
    """The file and the name of a cloud in it, both checked; nothing of the file's content goes into an error."""
    file = pathlib.Path(_text(settings, "clouds_file", ""))
    if not file.is_absolute():
        raise _fault("clouds_file", "the absolute path of a clouds.yaml")
    _readable(file)
    clouds = _clouds(file)
    name = _text(settings, "cloud", "")
    if name not in clouds:
        raise _fault("cloud", f"{file} has no cloud {name!r}; it has {', '.join(sorted(map(str, clouds))) or 'none'}")
    entry = clouds[name]
    auth = entry.get("auth") if isinstance(entry, dict) else None
    _has(
        auth,
        lambda found: {"auth_url", "password"} <= found.keys(),
        "'auth' with auth_url and password: a token is needed for each project",
    )
    _has(
        auth,
        lambda found: bool({"project_name", "project_id"} & found.keys()),
        "'auth' with project_name or project_id: a project where the account is admin",
    )
    regions = entry.get("regions") or [entry.get("region_name", "")]
    names = [str(one.get("name", "") if isinstance(one, dict) else one) for one in regions]
    if region and any(names) and region not in names:
        raise _fault("region", f"cloud {name!r} has no region {region!r}; it has {', '.join(names)}")
    if not region and len(names) > 1:
        raise _fault("region", f"cloud {name!r} has several; name one of {', '.join(names)}")
    return file, name


def _has(auth: object, holds: Callable[[dict[str, Any]], bool], reason: str) -> None:
    if not isinstance(auth, dict) or not holds(auth):
        raise _fault("cloud", f"its entry needs {reason}")


def _readable(file: pathlib.Path) -> None:
    try:
        status = file.stat()
    except OSError as error:
        raise _fault("clouds_file", f"{file} cannot be read: {error.strerror}") from error
    if status.st_mode & 0o077:
        raise _fault("clouds_file", f"{file} holds credentials and others may read it: chmod 600 {file}")
    if status.st_size > FILE_MAX:
        raise _fault("clouds_file", f"{file} has more than {FILE_MAX} bytes")


def _clouds(file: pathlib.Path) -> dict[Any, Any]:
    try:
        content = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise _fault("clouds_file", f"{file} cannot be read as YAML") from error
    clouds = content.get("clouds") if isinstance(content, dict) else None
    if not isinstance(clouds, dict):
        raise _fault("clouds_file", f"{file} has no 'clouds'")
    return clouds
