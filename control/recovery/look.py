"""Asks the clouds what they hold and what they recorded, outside the lane, and holds it against the restored rows."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import Final

from control.reconciler import call, clouds
from control.recovery import model, rules
from control.wiring import Wiring
from primitives import clock, errors
from provisioners import contract
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

PAGE: Final = 1000
CAN_HOLD: Final = frozenset({tenants_model.State.ACTIVE, tenants_model.State.FROZEN})
SILENT: Final = errors.Fault(
    "restore.cloud_silent",
    errors.Kind.UNAVAILABLE,
    en="pool {pool} cannot say what happened in it since the backup: {reason}",
    zh="资源池 {pool} 无法说明备份之后发生的变更：{reason}",
    mend_en="bring its cloud back, then repeat: govpool restore show, govpool restore accept",
    mend_zh="请恢复其云平台后重试：govpool restore show、govpool restore accept",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What one cloud told."""

    cloud: clouds.Cloud
    stories: dict[str, model.Story]


def findings(wiring: Wiring) -> list[model.Finding]:
    """All that differs between the restored rows and the clouds of all pools, by resource id.  Raises restore.cloud_silent."""
    installed = wiring.database.read(installation.get)
    told = [_told(wiring, cloud, installed.id) for cloud in clouds.Clouds(wiring).all()]
    return wiring.database.read(lambda tx: _compared(tx, told))


def _told(wiring: Wiring, cloud: clouds.Cloud, installation_id: str) -> _Told:
    """A record may be as old as the cloud, so of each page only what can tell news is kept."""
    try:
        with call.around("observe"):
            items = list(cloud.driver.observe(installation_id))
        events = [event for page in _record(cloud.driver) for event in wiring.database.read(functools.partial(_telling, page=page))]
        items += _unlisted(cloud.driver, installation_id, items, events)
    except (contract.DriverError, contract.AnswerLost) as error:
        raise SILENT(pool=cloud.pool, reason=str(error)[:300]) from error
    return _Told(cloud=cloud, stories=rules.stories(cloud.pool_id, cloud.pool, installation_id, items, events))


def _telling(tx: Transaction, page: contract.EventPage) -> list[contract.Event]:
    """The events of a page that can tell news of ours."""
    rows = provisioners.get_many(tx, sorted({event.resource_id for event in page.events if event.resource_id}))
    return [event for event in page.events if event.resource_id and rules.is_news(event, rows.get(event.resource_id))]


def _record(driver: contract.Driver) -> Iterator[contract.EventPage]:
    cursor, more = "", True
    while more:
        with call.around("events"):
            page = driver.events(cursor, PAGE)
        yield page
        more = page.more and page.cursor != cursor  # a cloud that says 'more' for ever is not believed
        cursor = page.cursor


def _unlisted(
    driver: contract.Driver, installation_id: str, items: Iterable[contract.Observed], events: Iterable[contract.Event]
) -> list[contract.Observed]:
    """What the record calls living and the inventory, read before it, did not list: asked for one by one, for it may have come in between."""
    last = {event.resource_id: event for event in events if event.installation == installation_id and event.resource_id}
    living = {resource_id for resource_id, event in last.items() if event.facts.state is not contract.State.ABSENT}
    found = []
    for resource_id in sorted(living - {item.resource_id for item in items}):
        with call.around("observe"):
            found += list(driver.observe(installation_id, resource_id))
    return found


def _compared(tx: Transaction, told: list[_Told]) -> list[model.Finding]:
    """Two pools may share a cloud: what a row does not place belongs to the first of them, by code."""
    able = {tenant.code for tenant in tenants.all_tenants(tx) if tenant.state in CAN_HOLD}
    rows = provisioners.get_many(tx, sorted({resource_id for one in told for resource_id in one.stories}))
    found: dict[str, model.Finding] = {}
    for one in told:
        stories = {
            resource_id: story
            for resource_id, story in one.stories.items()
            if resource_id not in found and _of_pool(rows.get(resource_id), one.cloud)
        }
        living = provisioners.living(tx, one.cloud.pool_id)
        unseen = [row for row in living if row.id not in stories]
        for finding in rules.findings(stories, rows, unseen, tenants=able, looked_at=clock.now()):
            found[finding.story.resource_id] = finding
    return [found[resource_id] for resource_id in sorted(found)]


def _of_pool(row: provisioners_model.Resource | None, cloud: clouds.Cloud) -> bool:
    return row is None or row.pool_id == cloud.pool_id
