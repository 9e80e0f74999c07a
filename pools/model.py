"""What the room knows: pools, hosts, the room in each place, what holds room.  Amounts are integers in the unit of their name."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, Protocol


class State(enum.StrEnum):
    """Life of a hold: reserved until the cloud shows the resource, then confirmed.  A released one is gone."""

    RESERVED = "reserved"
    CONFIRMED = "confirmed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """What an operator says about a pool."""

    name: str
    driver: str
    driver_settings: Mapping[str, Any]  # where the cloud is; credentials are references to files, never values
    zones: tuple[str, ...] = ()  # () = all that the hosts report
    service_classes: tuple[str, ...] = ()  # () = all that the hosts report
    halls: tuple[str, ...] = ()
    protection_level: int = 2  # graded protection (dengbao): tenants up to this level may be placed here
    overcommit_permille: Mapping[str, int] = dataclasses.field(default_factory=dict)  # name -> most; else what the cloud allows


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pool(PoolSpec):
    """One cloud or part of one, as govpool places into it."""

    id: str
    code: str
    kinds: tuple[str, ...]  # kinds of resources that its driver makes
    paused: bool
    generation: int

    @property
    def spec(self) -> PoolSpec:
        """The part that somebody decided."""
        return PoolSpec(**{field.name: getattr(self, field.name) for field in dataclasses.fields(PoolSpec)})


class ReportedHost(Protocol):
    """A host as a driver reports it; amounts in registry units."""

    @property
    def name(self) -> str: ...
    @property
    def zone(self) -> str: ...
    @property
    def service_class(self) -> str: ...
    @property
    def hall(self) -> str: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def physical(self) -> Mapping[str, int]: ...
    @property
    def usable(self) -> Mapping[str, int]: ...
    @property
    def used(self) -> Mapping[str, int]: ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A physical host, or whatever the cloud places on."""

    pool_id: str
    name: str
    zone: str
    service_class: str
    hall: str
    enabled: bool  # the cloud places new guests here
    physical: Mapping[str, int]
    usable: Mapping[str, int]  # physical x overcommit, the pool's own bound considered
    used: Mapping[str, int]

    @property
    def free(self) -> dict[str, int]:
        """The largest block that still fits here; all 0 while the host is disabled."""
        return {name: max(0, amount - self.used.get(name, 0)) if self.enabled else 0 for name, amount in self.usable.items()}

    def overcommit_permille(self, name: str) -> int:
        """usable / physical in thousandths; 1000 where nothing is overcommitted."""
        return self.usable.get(name, 0) * 1000 // self.physical[name] if self.physical.get(name) else 1000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one place (pool, zone, class) has of one name."""

    pool_id: str
    zone: str
    service_class: str
    name: str
    physical: int
    capacity: int  # what may be held: usable on hosts that take guests, and what is on those that no longer do
    used: int  # as the cloud reports it, foreign guests too
    held: int  # reserved and confirmed by us
    over_by: int  # how far `held` reaches over a capacity that shrank

    @property
    def free(self) -> int:
        """What can still be held."""
        return max(0, self.capacity - self.held)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a resource can be put."""

    pool_id: str
    code: str  # of the pool
    zone: str
    service_class: str
    rooms: Mapping[str, Room]
    blocks: tuple[Mapping[str, int], ...]  # the largest free blocks: no host offers more of every name than one of them


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Room that one resource holds in one place."""

    holder: str
    pool_id: str
    zone: str
    service_class: str
    state: State
    amounts: Mapping[str, int]
