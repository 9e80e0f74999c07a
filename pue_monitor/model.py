"""Frozen records of this room.  Energy in Wh (integers; fractions only inside the register rule), power in W, time in microseconds or aware UTC."""

import dataclasses
import datetime
import enum
import fractions
from typing import Final

QUARTER_US: Final = 900_000_000
"""The ledger's interval: 15 minutes, cut at whole quarters of an hour UTC (every civil offset in use is a multiple of it)."""
MICRO: Final = 1_000_000
"""Raw values are counted in millionths of the register's own unit, so that '1234.5' is an integer too."""


class Side(enum.StrEnum):
    """Which sum of PUE a meter belongs to."""

    FACILITY = "facility"  # E_DC: everything that crosses the boundary of the hall
    IT = "it"  # E_IT: at the place that the hall's category names


class Quality(enum.StrEnum):
    """How an entry of the ledger is known; best first."""

    MEASURED = "M"
    RECONSTRUCTED = "R"  # the register went on across a gap: the total is true, the shape a straight line
    POWER = "P"  # integrated from power samples
    ESTIMATED = "E"  # a declared method
    QUARANTINED = "Q"  # a reading is held back and nothing has decided yet
    MISSING = "X"


class Happening(enum.StrEnum):
    """What the register rule saw besides plain advances."""

    ROLLOVER = "rollover"
    QUARANTINE = "quarantine"
    DROPPED = "dropped"
    RESET = "reset"  # undeclared; the energy across it is unaccounted and needs a person
    STUCK = "stuck"  # flat, then one jump that fits only the time since the last change
    AMBIGUOUS = "ambiguous"  # so long a gap that the register may have wrapped once more
    GAP = "gap"  # longer than the ledger bridges
    CONFLICT = "conflict"  # two values at one moment: neither counts
    SWAP = "swap"  # declared and bridged exactly
    SWAP_DISAGREES = "swap_disagrees"  # the declared final value does not continue the readings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How the raw value of one register becomes energy, and what it can do.  `scale` is Wh per raw unit, exact."""

    scale: fractions.Fraction
    modulus: int  # raw units after which it starts again at 0
    rating_w: int  # breaker or transformer; the rule adds its own margin

    @property
    def modulus_micro(self) -> int:
        """The modulus in millionths of a raw unit."""
        return self.modulus * MICRO


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A declared exchange of a meter: the last value of the old one and the first of the new one, at one moment."""

    at_us: int
    final_micro: int
    first_micro: int
    fit: Fit  # of the new meter


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something the rule did at a reading."""

    at_us: int
    happening: Happening
    value_micro: int
    about_us: int  # the reading or the stretch it is about: since when


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger: energy of one quarter of an hour; `wh` is None where `quality` is Q."""

    wh: int | None
    quality: Quality


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One register of a meter: where it is read, and how its words become a raw value."""

    code: str
    quantity: str  # 'energy' or 'power'
    scale: fractions.Fraction  # Wh, or W, per raw unit
    width: int  # 16, 32 or 64 bits
    kind: str  # 'uint', 'int' or 'float' (32 bits only)
    word_order: str  # 'big' or 'little'
    modulus: int
    sentinels: tuple[int, ...]  # unsigned words that mean 'no value'
    address: int | None
    table: str  # 'holding' or 'input'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """A hall, as far as PUE sees it.  `category` 1 UPS output, 2 PDU output, 3 IT input; ISO/IEC 30134-2."""

    id: str
    code: str
    name: str
    site: str
    boundary: str  # 'whole' or 'part'
    category: int
    generation: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A meter and its registers.  It counts in its hall's sums over [installed_at, removed_at); None is open."""

    id: str
    code: str
    hall_id: str
    hall: str
    side: Side
    name: str
    rating_w: int
    host: str
    port: int
    unit: int
    poll_s: int
    installed_at: datetime.datetime | None
    removed_at: datetime.datetime | None
    calibrated_until: datetime.datetime | None
    registers: tuple[Register, ...]
    generation: int

    def register(self, code: str) -> Register | None:
        """The register of a code."""
        return next((one for one in self.registers if one.code == code), None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One raw reading.  Kept for ever."""

    meter_id: str
    register: str
    read_us: int
    value_micro: int
    source: str  # an import id, or 'poll'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What a meter last showed to the poller.  `problem` is '' or why nothing could be read at `at_us`."""

    meter_id: str
    at_us: int
    power_w: int | None
    problem: str
