"""What one line of the trail says."""

import dataclasses
import enum


class Outcome(enum.StrEnum):
    """How the action ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line as its author gives it; position, time and hashes are added by `service.append`.  Ids, never names of people."""

    actor: str  # account id; 'system' for govpool's own jobs
    action: str  # '<kind>.<verb>'
    outcome: Outcome = Outcome.DONE
    on_behalf_of: str = ""  # person id
    role: str = ""
    rule: str = ""  # the rule that allowed it, such as 'operator.grant.set'
    tenant_id: str = ""
    kind: str = ""
    object_id: str = ""
    generation: int = 0
    before_digest: str = ""  # hex SHA-256 of the canonical JSON before
    after_digest: str = ""
    code: str = ""  # the fault's code when refused or failed
    request_id: str = ""
    idempotency_key: str = ""
    source: str = ""  # address of the caller
    reason: str = ""
    facts: dict[str, str] = dataclasses.field(default_factory=dict)  # what else belongs to the evidence, such as a file's hash


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A line as it stands in the trail."""

    seq: int  # 1, 2, 3 ... without a gap
    content: bytes  # the exact canonical JSON that was hashed
    leaf_hash: str  # hex SHA-256(0x00 || content)
    chain_hash: str  # hex SHA-256(previous chain hash || leaf hash)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of a verification: how far the trail is sound, and the first flaw if there is one."""

    records: int
    chain_hash: str
    flaw: str  # '' when sound
