"""A restored row against the cloud's own story of it.  Pure: no clock, no database, no network.

What the database knows of a resource's use ends with the last usage event of its row (`usage_at`): whatever the cloud recorded after that is news.
"""

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from control.recovery.model import Finding, Happened, Moment, Story
from primitives import clock
from provisioners import contract, model, replicas, rules

_USABLE: Final = (contract.State.RUNNING, contract.State.STOPPED)


def stories(
    pool_id: str, pool: str, installation: str, items: Iterable[contract.Observed], events: Iterable[contract.Event]
) -> dict[str, Story]:
    """The stories of one cloud by resource id, of everything that carries our tag.

    A resource has one guest; if a cloud shows more (a create that landed twice), the oldest counts, as it does for `advance`,
    and the sweep judges the others.
    """
    living: dict[str, list[contract.Observed]] = {}
    for item in items:
        if item.installation == installation and item.resource_id and item.kind != contract.TICKET:
            living.setdefault(item.resource_id, []).append(item)
    records: dict[str, list[contract.Event]] = {}
    for event in events:
        if event.installation == installation and event.resource_id:
            records.setdefault(event.resource_id, []).append(event)
    return {
        resource_id: _story(pool_id, pool, living.get(resource_id, []), records.get(resource_id, []))
        for resource_id in sorted({*living, *records})
    }


def findings(
    told: Mapping[str, Story],
    rows: Mapping[str, model.Resource],
    unseen: Iterable[model.Resource],
    *,
    tenants: Collection[str],
    looked_at: datetime.datetime,
) -> list[Finding]:
    """All that differs, by resource id.

    `rows`: those of the story's resources that the database knows, ended ones too; `unseen`: living rows of the pool without a story;
    `tenants`: codes of the departments that can hold something.
    """
    found = [_finding(story, rows.get(story.resource_id), tenants, looked_at) for story in told.values()]
    found += [_missing(row, looked_at) for row in unseen]
    return sorted((one for one in found if one is not None), key=lambda one: one.story.resource_id)


def news(story: Story, row: model.Resource | None) -> tuple[Moment, ...]:
    """What the cloud recorded after the row's last usage event; all of it for a resource without one, nothing for what was never usable."""
    if not story.delivered and not (row is not None and row.built):
        return ()
    if row is None or row.usage_at is None:
        return story.moments
    return tuple(moment for moment in story.moments if moment.at > row.usage_at)


def use(facts: contract.Facts) -> tuple[object, ...] | None:
    """What of the facts metering counts; None: it is not there.  What is being built counts as running, as it does for the reconciler."""
    if facts.state is contract.State.ABSENT:
        return None
    stopped = facts.state is contract.State.STOPPED
    return stopped, tuple(sorted(facts.amounts.items())), facts.zone, facts.service_class, facts.hall


def is_news(event: contract.Event, row: model.Resource | None) -> bool:
    """Whether an event of the record can tell something that a row does not know; those of what ended before the backup cannot."""
    if row is None or row.usage_at is None:
        return row is None or not row.ended
    return not row.ended and clock.parse(event.at) > row.usage_at


def taken_back(row: model.Resource, news: Sequence[Moment], now: contract.Facts) -> bool:
    """Whether what lay stopped in the recycle bin at the backup ran since: only one that was taken back does.  A volume never shows it."""
    ran = contract.State.RUNNING in {now.state, *(moment.facts.state for moment in news)}
    return ran and row.facts.state is not contract.State.RUNNING


def follows_wish(row: model.Resource, news: Sequence[Moment], now: contract.Facts) -> bool:
    """Whether the change that was under way at the backup has come about since: the cloud showed what it wanted at some time."""
    if row.action in ("restart", "update"):  # they show in no state and no size, only in what the cloud says of the last one
        return now.done_generation >= rules.change_generation(row)
    shown = [moment.facts for moment in news] + [now]
    return any(facts.state is row.power and counted(facts) == dict(row.amounts) for facts in shown)


def counted(facts: contract.Facts) -> dict[str, int]:
    """What quota and room count of what the cloud shows: of an app whose number of replicas it chooses, the most that it may choose."""
    if not facts.max_replicas or not facts.replicas:
        return dict(facts.amounts)
    return replicas.part(facts.amounts, facts.replicas, facts.max_replicas)


def _finding(story: Story, row: model.Resource | None, tenants: Collection[str], looked_at: datetime.datetime) -> Finding | None:
    if row is None:
        if not story.delivered:
            happened = None if story.facts is None else Happened.MADE
        else:
            happened = Happened.PASSED if story.facts is None else Happened.MADE
        if happened is not None and story.tenant not in tenants:
            happened = Happened.UNPLACED
    elif row.ended:
        happened = None  # a guest of what has ended is the sweep's to judge: it goes to quarantine
    elif story.facts is None:
        happened = Happened.ENDED if (row.built or story.delivered) and row.state is not model.State.LOST else None
    elif story.facts.state in _USABLE and row.desired is not model.Desired.DOWN:
        happened = _of_living(story, row, story.facts)
    else:
        happened = None  # on its way in or out, and the reconciler goes on from the row
    return None if happened is None else Finding(happened=happened, story=story, news=news(story, row), looked_at=looked_at)


def _of_living(story: Story, row: model.Resource, now: contract.Facts) -> Happened | None:
    if not row.built:
        return Happened.MADE
    if row.desired is model.Desired.BIN and not taken_back(row, news(story, row), now):
        return Happened.BINNED
    if row.desired is model.Desired.BIN or row.state is model.State.LOST:
        return Happened.CHANGED
    if row.kind == contract.CONTAINER_APP and story.image not in ("", row.spec.get("image")) and not row.pending:
        return Happened.CHANGED
    if counted(now) != counted(row.facts):
        return Happened.CHANGED
    same = now.cloud_id == row.facts.cloud_id and {use(row.facts)} == {
        use(now),
        *(use(moment.facts) for moment in news(story, row)),
    }
    return None if same else Happened.CHANGED


def _missing(row: model.Resource, looked_at: datetime.datetime) -> Finding | None:
    """A living row of which the cloud says nothing at all, not even in its record: ended if it was ever delivered."""
    if not row.built or row.state is model.State.LOST:
        return None
    story = Story(
        pool_id=row.pool_id, pool=row.pool, resource_id=row.id, kind=row.kind, name=row.name, tenant=row.tenant, project=row.project,
        image="", labels={}, facts=None, moments=(),
    )  # fmt: skip
    return Finding(happened=Happened.ENDED, story=story, news=(), looked_at=looked_at)


def _story(pool_id: str, pool: str, living: Sequence[contract.Observed], events: Sequence[contract.Event]) -> Story:
    guest = min(living, key=lambda item: (item.facts.created_at, item.facts.cloud_id), default=None)
    cloud_id = guest.facts.cloud_id if guest is not None else _last_delivered(events)
    last = [event for event in events if event.facts.cloud_id == cloud_id]
    # the inventory was read before the record, so what the record says last may be newer
    facts = last[-1].facts if last and last[-1].facts.state is contract.State.ABSENT else None
    gone = facts is not None or guest is None
    tags = guest if guest is not None else last[-1]
    return Story(
        pool_id=pool_id,
        pool=pool,
        resource_id=tags.resource_id,
        kind=tags.kind,
        name=tags.name,
        tenant=tags.tenant,
        project=tags.project,
        image=guest.image if guest is not None else "",
        labels=dict(tags.labels),
        facts=None if gone or guest is None else guest.facts,
        moments=tuple(Moment(at=clock.parse(event.at), verb=event.verb, facts=event.facts) for event in last),
    )


def _last_delivered(events: Sequence[contract.Event]) -> str:
    """The guest that a department had last; any other if it had none."""
    usable = [event.facts.cloud_id for event in events if event.facts.state in _USABLE]
    return (usable or [events[-1].facts.cloud_id])[-1]
