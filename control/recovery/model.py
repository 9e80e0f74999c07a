"""What a restore lost sight of: the cloud's own story of one resource, and what is to be made of it.  Frozen records, pure."""

import dataclasses
import datetime
import enum
from collections.abc import Mapping

from provisioners import contract


class Happened(enum.StrEnum):
    """What became of a resource while the database did not look."""

    MADE = "made"  # it lives in the cloud, and the restored database does not know it as delivered
    CHANGED = "changed"  # it lives in both, otherwise
    ENDED = "ended"  # it lives in the database, not in the cloud
    PASSED = "passed"  # it was made and ended, all in between
    BINNED = "binned"  # it lay in the recycle bin at the backup, and nothing shows whether it was taken back since
    UNPLACED = "unplaced"  # it carries our tag and belongs to a department that the restored database does not know


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """From `at` on, on the cloud's clock, the guest was so."""

    at: datetime.datetime
    verb: str  # created, built, resized, started, stopped ... as in `contract.Event`
    facts: contract.Facts  # state ABSENT: it is gone


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that a cloud says of one resource of ours: the guest that counts, and its record from its begin, oldest first."""

    pool_id: str
    pool: str
    resource_id: str
    kind: str
    name: str
    tenant: str
    project: str  # '' if the cloud does not carry it
    image: str
    labels: Mapping[str, str]
    facts: contract.Facts | None  # as it is now; None: not there
    moments: tuple[Moment, ...]

    @property
    def delivered(self) -> bool:
        """Whether a department could ever use it."""
        usable = (contract.State.RUNNING, contract.State.STOPPED)
        shown = [moment.facts.state for moment in self.moments] + ([self.facts.state] if self.facts else [])
        return any(state in usable for state in shown)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One resource of which the restored database and its cloud tell different things."""

    happened: Happened
    story: Story
    news: tuple[Moment, ...]  # what the database does not know, oldest first
    looked_at: datetime.datetime

    @property
    def ended_at(self) -> datetime.datetime:
        """When it ended, by the cloud's clock; when it was looked for, if the cloud has no record of it."""
        gone = [moment.at for moment in self.news if moment.facts.state is contract.State.ABSENT]
        return gone[-1] if gone else self.looked_at


OUTCOMES: Mapping[Happened, tuple[str, str]] = {
    Happened.MADE: (
        "becomes a resource of its department, with quota, room and its use since it was made",
        "作为该单位的资源接管，占用其配额与资源池容量，并自创建起计量",
    ),
    Happened.CHANGED: ("the database follows the cloud: size, power and use", "数据库按云平台现状更新规格、启停状态与计量"),
    Happened.ENDED: (
        "ends at the moment that the cloud recorded; quota and room go back",
        "按云平台记录的时间结束，释放配额与容量",
    ),
    Happened.PASSED: ("its use is recorded; it holds nothing", "仅补记用量，不占用配额"),
    Happened.BINNED: (
        "stays in the recycle bin for its whole time from now on: undelete it if the department wants it",
        "自确认之时起重新计算回收站保留期；如单位仍需要请撤销删除（undelete）",
    ),
    Happened.UNPLACED: (
        "stays in quarantine, untouched: make its department again first (govpool tenant create), then accept",
        "保留在隔离区，不作任何处理：请先重建该单位（govpool tenant create），再确认恢复",
    ),
}
"""What acceptance makes of each, English and Chinese."""
