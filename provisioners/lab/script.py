"""What goes wrong in the lab cloud, and when: a list of rules, decided by a seed.  Pure: no clock, no file, no network.

Whether a rule strikes a call depends on the seed, the rule, the operation, the name it concerns and how often that name was called
so, never on the order in which calls of different names arrive: one script gives the same faults under any number of workers.
"""

import fnmatch
import hashlib
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from provisioners.lab import wire

OPERATIONS: Final = (
    "tenant.set", "limits.set", "ticket.create", "ticket.delete", "guest.create", "guest.act", "guest.delete", "read",
)  # fmt: skip
MUTATING: Final = frozenset(OPERATIONS) - {"read"}

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Range = tuple[Seconds, Seconds]


class Rule(wire.Body, frozen=True):
    """One kind of trouble.  All of `on`, `name`, `percent` and `times` must agree for it to strike.

    latency  the call takes `after_s` longer
    lose     the call takes effect, its answer is lost (`how`: reset, hang = held `after_s` then cut, or 500, 502, 504)
    drop     the call is lost before it takes effect, likewise
    late     the connection is cut at once, the call takes effect `after_s` later, whatever has happened in between
    refuse   the call is answered with a no (`reason`)
    fail     a create is accepted and ends in state error
    vanish   a guest is deleted behind its owner's back, `after_s` after its create
    roll_back  the new replicas of a restart or update that is rolled do not become ready; the old ones stay
    """

    do: Annotated[str, Meta(pattern=r"\A(latency|lose|drop|late|refuse|fail|vanish|roll_back)\Z")]
    on: Annotated[list[Annotated[str, Meta(max_length=32)]], Meta(min_length=1, max_length=16)] = msgspec.field(
        default_factory=lambda: ["*"]
    )
    name: Annotated[str, Meta(max_length=255)] = "*"  # shell pattern: the guest's name, a ticket's resource id, a tenant's code
    percent: Annotated[int, Meta(ge=0, le=100)] = 100
    times: Annotated[int, Meta(ge=0, le=1_000_000)] = 0  # strikes at most so often; 0 = no end
    after_s: Range = (0, 0)
    how: Annotated[str, Meta(pattern=r"\A(reset|hang|500|502|504)\Z")] = "reset"
    reason: Annotated[str, Meta(pattern=r"\A(quota|no_host|image_missing|busy|overloaded|forbidden)\Z")] = "no_host"


class Script(wire.Body, frozen=True):
    """The whole script.  `hosts` are made when the file is new; `images` None means that every image exists."""

    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    build_s: Range = (0, 0)  # how long a create takes once accepted
    action_s: Range = (0, 0)  # how long start, stop, restart, resize, scale, update, delete take once accepted
    rules: Annotated[list[Rule], Meta(max_length=256)] = msgspec.field(default_factory=list)
    images: Annotated[list[wire.Text], Meta(max_length=1024)] | None = None
    hosts: Annotated[list[wire.HostBody], Meta(max_length=10_000)] = msgspec.field(default_factory=list)


class Fate(msgspec.Struct, kw_only=True, frozen=True):
    """What will happen to one call."""

    latency_s: float = 0
    cut: str = ""  # how the answer is lost: '' (it is not), reset, hang, 500, 502, 504
    hang_s: float = 0
    takes_effect: bool = True  # now; a dropped call never does
    late_s: float | None = None  # it takes effect so much later
    refusal: str = ""
    fails: bool = False
    rolls_back: bool = False
    vanish_s: float | None = None
    struck: tuple[int, ...] = ()  # indexes of the rules that struck


class Call(msgspec.Struct, kw_only=True, frozen=True):
    """One call, as a rule sees it."""

    operation: str
    name: str
    nth: int  # 1, 2, ... among the calls of this operation on this name

    def __str__(self) -> str:
        return f"{self.operation}:{self.name}:{self.nth}"


def decide(script: Script, call: Call, fired: Mapping[int, int]) -> Fate:
    """The fate of a call; `fired` tells how often each rule has struck so far.

    The first drop, late or refuse that strikes decides; a lose strikes only what they left alone; latencies add up; fail and vanish
    are for creates, roll_back for actions.
    """
    striking = [(i, rule) for i, rule in enumerate(script.rules) if _strikes(script, i, call, fired)]
    latencies = {i: between(rule.after_s, script.seed, f"{i}:{call}") for i, rule in striking if rule.do == "latency"}
    fate, struck = Fate(latency_s=sum(latencies.values())), list(latencies)

    def first(*names: str) -> tuple[Rule | None, float]:
        """The first striking rule that does one of these, and the seconds drawn for it."""
        for i, rule in striking:
            if rule.do in names:
                struck.append(i)
                return rule, between(rule.after_s, script.seed, f"{i}:{call}")
        return None, 0

    rule, after_s = first("drop", "late", "refuse")
    if rule is None:
        rule, after_s = first("lose")
    if rule is not None and rule.do == "refuse":
        return replace(fate, refusal=rule.reason, takes_effect=False, struck=tuple(struck))
    if rule is not None and rule.do == "late":
        fate = replace(fate, cut="reset", late_s=after_s)
    elif rule is not None:
        fate = replace(fate, cut=rule.how, hang_s=after_s, takes_effect=rule.do == "lose")
    if call.operation == "guest.create" and fate.takes_effect:
        failing, _ = first("fail")
        vanishing, vanish_s = first("vanish")
        fate = replace(fate, fails=failing is not None, vanish_s=None if vanishing is None else vanish_s)
    if call.operation == "guest.act" and fate.takes_effect:
        fate = replace(fate, rolls_back=first("roll_back")[0] is not None)
    return replace(fate, struck=tuple(struck))


def between(bounds: Range, seed: int, key: str) -> float:
    """A number of seconds in `bounds` (low, high) drawn from the seed and the key."""
    low, high = bounds
    return low + (high - low) * _drawn(seed, "between:" + key) / 2**32


def _strikes(script: Script, index: int, call: Call, fired: Mapping[int, int]) -> bool:
    rule = script.rules[index]
    return (
        any(fnmatch.fnmatchcase(call.operation, pattern) for pattern in rule.on)
        and (call.operation in MUTATING or rule.do in ("latency", "drop", "lose", "refuse"))
        and fnmatch.fnmatchcase(call.name, rule.name)
        and (rule.times == 0 or fired.get(index, 0) < rule.times)
        and _drawn(script.seed, f"{index}:{call}") * 100 < rule.percent * 2**32
    )


def _drawn(seed: int, key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:4], "big")
