"""Which step a resource needs next, what the department sees of it, and what the sweep makes of what it finds.  Pure.

The resource row is the job: `next_step` looks at nothing but the row, its open attempt and the time, so whoever comes next (after a crash,
a lease that ran out, a restart) goes on from exactly there.
"""

import dataclasses
import datetime
import enum
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from primitives import clock
from provisioners import contract, model
from provisioners.model import Desired, State

ACTIONS: Final[Mapping[str, frozenset[str]]] = {
    contract.VIRTUAL_MACHINE: frozenset({"start", "stop", "restart", "resize"}),
    contract.VOLUME: frozenset({"resize"}),
    contract.CONTAINER_APP: frozenset({"start", "stop", "restart", "resize", "scale", "update"}),
}
"""Actions of each kind beside create, delete and undelete."""
BACKOFF_FIRST_S: Final = 1
BACKOFF_MAX_S: Final = 300
STUCK_AFTER: Final = datetime.timedelta(minutes=10)
STUCK_FAILURES: Final = 3
"""So many refusals in a row (a cloud that does not answer is one) show at once, not after `STUCK_AFTER`."""
LATE: Final = datetime.timedelta(minutes=10)
"""A guest that was created longer after our last create is none of ours, whatever it carries; clocks may differ within it."""


class Step(enum.Enum):
    """What to do with a resource now."""

    REVOKE = "revoke"  # an attempt is open that we did not see end: settle it before anything else
    CLEAN = "clean"  # remove something that is proven to be nobody's
    LIMIT = "limit"  # raise the cloud's native limit of the tenant first
    LOOK = "look"  # ask the cloud about this one resource
    ADVANCE = "advance"
    ACT = "act"
    REMOVE = "remove"
    CONFIRM = "confirm"  # the change needs no call: it has come to its end
    EXPIRE = "expire"  # its time in the bin is over
    RELEASE = "release"  # nothing was ever sent for it: it can go without asking the cloud
    REST = "rest"


def next_step(resource: model.Resource, attempt_open: bool, now: datetime.datetime) -> Step:
    """The one step that this row needs at `now`."""
    if attempt_open:
        return Step.REVOKE
    if resource.strays:
        return Step.CLEAN
    if resource.ended:
        return Step.REST
    if resource.desired is Desired.DOWN:
        return Step.REMOVE if resource.attempts_made else Step.RELEASE
    if resource.look:
        return Step.LOOK
    if not resource.built:
        return Step.ADVANCE
    if resource.desired is Desired.BIN and resource.bin_until_at is not None and resource.bin_until_at <= now:
        return Step.EXPIRE
    if not resource.pending or resource.state is State.LOST:
        return Step.REST
    return Step.ACT if cloud_action(resource) else Step.CONFIRM


def cloud_action(resource: model.Resource) -> str:
    """The action that the cloud is asked for; '' when the change needs none (a volume in the bin, a guest that is stopped already)."""
    action = {"delete": "stop", "undelete": "start" if resource.power is contract.State.RUNNING else ""}.get(
        resource.action, resource.action
    )
    return action if action in ACTIONS[resource.kind] else ""


def rests_until(resource: model.Resource) -> datetime.datetime | None:
    """When a resource at rest needs the next look by itself."""
    return resource.bin_until_at if resource.desired is Desired.BIN and not resource.ended else None


def visible(resource: model.Resource) -> State:
    """The state that the row's other columns amount to.  LOST and the ends are set by what happened and stay."""
    if resource.ended or (resource.state is State.LOST and resource.desired is Desired.UP):
        return resource.state
    if resource.desired is Desired.DOWN:
        return State.RELEASING
    if not resource.built:
        return State.CREATING
    if resource.pending:
        return State.CHANGING
    if resource.desired is Desired.BIN:
        return State.BIN
    return State.STOPPED if resource.facts.state is contract.State.STOPPED else State.RUNNING


def backoff_s(failures: int, delay_s: int = 0) -> int:
    """Seconds until the next try after `failures` (1, 2, ...) refusals in a row: doubling, at least what the cloud asked for, bounded."""
    doubled = BACKOFF_FIRST_S << min(failures - 1, 20)
    return min(BACKOFF_MAX_S, max(doubled, delay_s))


def power_after(resource: model.Resource, action: str) -> contract.State:
    """The power that is wanted once `action` is done."""
    powers = {"start": contract.State.RUNNING, "stop": contract.State.STOPPED, "restart": contract.State.RUNNING}
    return powers.get(action, resource.power)


def is_stuck(resource: model.Resource, attempt_opened_at: datetime.datetime | None, now: datetime.datetime) -> bool:
    """Whether an operator should look at it: lost, refused again and again, on its way for longer than STUCK_AFTER, or an attempt
    that nobody can settle."""
    if resource.ended:
        return False
    if resource.state is State.LOST or resource.failures >= STUCK_FAILURES:
        return True
    under_way = resource.state in (State.CREATING, State.CHANGING, State.RELEASING)
    return (under_way and now - resource.state_since_at >= STUCK_AFTER) or (
        attempt_opened_at is not None and now - attempt_opened_at >= STUCK_AFTER
    )


# -- who sent an attempt, and whether it still can ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The machine on which the question is asked."""

    host: str
    boot: str
    pid_space: str
    started_ticks: Mapping[int, int]  # of the pid asked for, if a process has it now and is no zombie


def known_dead(sender: model.Worker, here: Here, seen: Iterable[model.Worker]) -> bool:
    """Whether the process of `sender` certainly sends nothing any more.

    Only a proof counts, never silence: a stopped process is silent and alive.  Under the same boot and in the same space of pids: no process
    has its pid with its start time.  Otherwise: its machine was booted again, as we see here or by a later worker of that machine.  A
    machine without a name proves nothing, and neither does a broken database session (the database may have restarted).
    """
    if sender.boot == here.boot:
        return sender.pid_space == here.pid_space and here.started_ticks.get(sender.pid) != sender.started_ticks
    if not sender.host:
        return False
    if sender.host == here.host:
        return True
    return any(other.host == sender.host and other.boot != sender.boot and other.started_at > sender.started_at for other in seen)


def closes_on_absence(attempt: model.Attempt, late_s: int, now: datetime.datetime) -> bool:
    """Whether an attempt of a driver without revocable tickets may be closed because the cloud shows nothing.

    The sender must be done (it said so itself, or is known dead: `returned_at`), and the cloud's bound for late effects passed since.
    """
    return attempt.returned_at is not None and now >= attempt.returned_at + datetime.timedelta(seconds=late_s)


# -- the sweep's judgement ---------------------------------------------------------------------------------------------------------


class Finding(enum.Enum):
    """What an observed item is."""

    KNOWN = "known"  # the guest or ticket of a resource, as stored
    DRIFTED = "drifted"  # ours, and the cloud knows more than the row
    LEAVE = "leave"  # work on its resource is under way: the next sweep judges
    STRAY = "stray"  # proven by our attempts never to have been handed to anyone
    QUARANTINE = "quarantine"  # our tag, no proof: for a person
    FOREIGN = "foreign"  # not ours: reported


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What our attempt rows say of one resource."""

    any_open: bool
    cloud_ids: frozenset[str]  # guests that any answer named, hence possibly handed out
    epochs: frozenset[int]  # in which creates were sent
    creates_ended_at: datetime.datetime | None  # when the last of them was closed


NO_TRAIL: Final = Trail(any_open=False, cloud_ids=frozenset(), epochs=frozenset(), creates_ended_at=None)


def judge(
    item: contract.Observed, installation: str, resource: model.Resource | None, trail: Trail, began_at: datetime.datetime
) -> Finding:
    """What to make of one item, seen at or after `began_at`.  A guest is a stray only if nobody can ever have been given it:

    our rows know its resource, creates of its epoch were sent under our attempts, all are closed, no answer ever named it, it was created
    while they could take effect (and is no copy that somebody made later), and the resource has another guest or has ended.  A ticket that
    is not the resource's own makes nothing by itself and is a stray once no attempt is open.
    """
    if item.installation != installation:
        return Finding.FOREIGN
    if resource is None:
        return Finding.QUARANTINE
    if resource.state is State.WRITTEN_OFF:
        return Finding.QUARANTINE  # given up with whatever was open: what shows up again is for a person
    own_id = resource.facts.ticket_id if item.kind == contract.TICKET else resource.facts.cloud_id
    seen_id = item.facts.ticket_id if item.kind == contract.TICKET else item.facts.cloud_id
    if trail.any_open or (resource.facts_at is not None and resource.facts_at >= began_at):
        return Finding.LEAVE
    if seen_id == own_id and not resource.ended:
        same = item.kind == contract.TICKET or (item.facts == resource.facts and resource.state is not State.LOST)
        return Finding.KNOWN if same else Finding.DRIFTED
    if not resource.ended and (resource.desired is Desired.DOWN or not resource.built):
        return Finding.LEAVE  # `advance` adopts it, `remove` takes it along
    if item.kind == contract.TICKET:
        return Finding.STRAY
    proven = seen_id not in trail.cloud_ids and item.epoch in trail.epochs and _in_time(item.facts.created_at, trail)
    return Finding.STRAY if proven else Finding.QUARANTINE


def _in_time(created_at: str, trail: Trail) -> bool:
    return trail.creates_ended_at is not None and created_at != "" and clock.parse(created_at) <= trail.creates_ended_at + LATE


def missing(
    resources: Iterable[model.Resource], observed_ids: frozenset[str], began_at: datetime.datetime
) -> Sequence[model.Resource]:
    """Delivered resources at rest whose guest the cloud did not list, of those that did not change since `began_at`."""
    return [
        resource
        for resource in resources
        if resource.built
        and not resource.ended
        and resource.desired is not Desired.DOWN
        and resource.state is not State.LOST
        and resource.facts.cloud_id not in observed_ids
        and (resource.facts_at is None or resource.facts_at < began_at)
    ]


def limits(amounts: Iterable[Mapping[str, int]], step: Mapping[str, int]) -> dict[str, int]:
    """The native limit that these living resources need: their sum by name, rounded up to the driver's step."""
    total: dict[str, int] = {}
    for one in amounts:
        for name, amount in one.items():
            total[name] = total.get(name, 0) + amount
    return {name: -(-amount // step.get(name, 1)) * step.get(name, 1) for name, amount in sorted(total.items()) if amount}


def held(wanted: Mapping[str, int], before: Mapping[str, int], surge: Mapping[str, int] = MappingProxyType({})) -> dict[str, int]:
    """What a living resource may hold at this moment: during a change the greater of before ({} without a change) and after, by name,
    and on top of it what a rolling replacement adds."""
    return {
        name: max(wanted.get(name, 0), before.get(name, 0)) + surge.get(name, 0)
        for name in wanted.keys() | before.keys() | surge.keys()
    }


def change_generation(resource: model.Resource) -> int:
    """The generation that the change under way was given; labels and protection may have moved the resource's own since."""
    return (resource.before.generation if resource.pending and resource.before else 0) or resource.generation
