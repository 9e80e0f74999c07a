"""Volumes: those that are ordered, and the tickets of creates.

Cinder has no create that can be repeated.  A volume that is only made is therefore a ticket: it belongs to nobody, whoever finds it may
take it or delete it.  A machine's ticket is used up by nova, which reserves it within the create (`ticket.py` among the prototypes; any
number of creates on it make one server).  A volume that was ordered is handed over by a mark on the known id: that can be repeated, and
after the ticket's deletion it cannot be done any more.
"""

import dataclasses
import datetime
from typing import Final

from primitives import clock, ids
from provisioners import contract
from provisioners.contract import Attempt, Done, Facts, Landed, Revoked, State, Waiting, Wanted
from provisioners.openstack import faults, marks, wire
from provisioners.openstack import options as settings
from provisioners.openstack.client import STORAGE, Client
from provisioners.openstack.tenant import Tenants

GOING: Final = frozenset({"deleting", "error_deleting"})
"""Nothing can be made of it any more."""
_MAKING: Final = frozenset({"creating", "downloading"})
_DETAIL: Final = "/volumes/detail"


class Volumes:
    """Volumes and tickets of one cloud."""

    def __init__(self, client: Client, options: settings.Options, tenants: Tenants) -> None:
        self._client = client
        self._options = options
        self._tenants = tenants

    # -- shared with machines --------------------------------------------------------------------------------------------------

    def find(self, volume_id: str) -> wire.Volume | None:
        """One volume, None if it is gone."""
        return self._client.find(STORAGE, f"/volumes/{volume_id}", "volume", wire.Volume) if volume_id else None

    def of_resource(self, resource_id: str) -> list[wire.Volume]:
        """Volumes that were made for a resource, oldest first."""
        found = self._client.pages(STORAGE, _DETAIL, "volumes", wire.Volume, all_tenants=1, name=resource_id)
        ours = (one for one in found if one.metadata.get(marks.RESOURCE) == resource_id and self.is_ours(one))
        return sorted(ours, key=lambda one: (one.created_at, one.id))

    def is_ours(self, volume: wire.Volume) -> bool:
        """Whether it lies in the project of the department that it names."""
        return self._tenants.owns(volume.metadata, volume.tenant_id)

    def all(self) -> list[wire.Volume]:
        """Every volume of the cloud."""
        return list(self._client.pages(STORAGE, _DETAIL, "volumes", wire.Volume, all_tenants=1))

    def ticket_of(self, resource_id: str) -> str:
        """The id of a ticket of the resource that was not used, '' if there is none."""
        unused = (
            one.id
            for one in self.of_resource(resource_id)
            if one.metadata.get(marks.ROLE) == marks.AS_TICKET and one.status in {"available", *_MAKING}
        )
        return next(unused, "")

    def make_ticket(self, wanted: Wanted, attempt: Attempt, image_id: str = "") -> str:
        """Make a volume that belongs to nobody yet; its id.  Raises TemporaryError, PermanentError, AnswerLost."""
        disk_class = str(wanted.spec.get("disk_class", ""))
        volume_type = self._options.volume_type_of(disk_class)
        body: dict[str, object] = {
            "size": wanted.amounts["disk_gib"],
            "name": wanted.resource_id,
            "description": marks.text(wanted.name),
            "metadata": marks.of(wanted) | {marks.ROLE: marks.AS_TICKET},
        }
        body |= {"imageRef": image_id} if image_id else {}
        body |= {"volume_type": volume_type} if volume_type else {}
        project = self._tenants.project_of(wanted.installation, wanted.tenant)
        try:
            made = self._client.change(
                "POST", STORAGE, "/volumes", {"volume": body}, key="volume", answer=wire.Named, project=project, attempt=attempt.id
            )
        except faults.RefusedError as refusal:
            raise faults.refused(refusal) from refusal
        return made.id

    def is_ready(self, volume: wire.Volume) -> bool:
        """Whether it was made.  Raises PermanentError if that failed."""
        if volume.status == "error":
            raise faults.failed("the disk could not be made")
        return volume.status not in _MAKING

    def extend(self, volume: wire.Volume, size_gib: int, attempt: Attempt) -> bool:
        """Send the growth of a volume; False if it is busy.  Raises PermanentError, TemporaryError, AnswerLost."""
        if size_gib < volume.size:
            raise faults.shrinks()
        if volume.status == "error_extending":
            raise faults.failed("the disk could not be extended")
        if volume.status not in ("available", "in-use"):
            return False
        try:
            self._client.change(
                "POST",
                STORAGE,
                f"/volumes/{volume.id}/action",
                {"os-extend": {"new_size": size_gib}},
                answer=wire.Nothing,
                attempt=attempt.id,
            )
        except faults.RefusedError as refusal:
            if refusal.status in (400, 409) and not refusal.is_quota:
                return False
            raise faults.refused(refusal) from refusal
        return True

    def delete(self, volume: wire.Volume, attempt: Attempt) -> bool:
        """Send the deletion; False if something uses it.  What is gone already counts."""
        if volume.status == "deleting":
            return True
        method, path = "DELETE", f"/volumes/{volume.id}"
        body: dict[str, object] | None = None
        if volume.status == "error_deleting":
            method, path, body = "POST", f"/volumes/{volume.id}/action", {"os-force_delete": {}}
        try:
            self._client.change(method, STORAGE, path, body, answer=wire.Nothing, attempt=attempt.id)
        except faults.RefusedError as refusal:
            if refusal.status not in (400, 404, 409):
                raise faults.refused(refusal) from refusal
            return refusal.status == 404
        return True

    def destroy_ticket(self, ticket_id: str, attempt: Attempt) -> wire.Volume | None:
        """Make a ticket useless for ever.  The volume if that is not so: something uses it, or it is still being made."""
        volume = self.find(ticket_id)
        if volume is None or volume.status in GOING or self.delete(volume, attempt):
            return None
        volume = self.find(ticket_id)
        return None if volume is None or volume.status in GOING else volume

    # -- the kind Volume -------------------------------------------------------------------------------------------------------

    def advance(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """Ticket, wait, hand over, done."""
        if known.cloud_id:
            volume = self._living(known.cloud_id)
            return Done(facts(volume, self._options)) if self.is_ready(volume) else Waiting(self._options.bounds.poll_s)
        if known.ticket_id:
            return self._hand_over(known, attempt)
        for volume in self.of_resource(wanted.resource_id):
            if volume.metadata.get(marks.ROLE) == marks.AS_VOLUME and volume.status not in GOING:
                return facts(volume, self._options)
        ticket_id = self.ticket_of(wanted.resource_id) or self.make_ticket(wanted, attempt)
        return dataclasses.replace(known, ticket_id=ticket_id)

    def act(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """A volume only grows."""
        volume = self._living(known.cloud_id)
        if volume.size == wanted.amounts["disk_gib"]:
            return Done(facts(volume, self._options)) if volume.status != "extending" else Waiting(self._options.bounds.poll_s)
        sent = self.extend(volume, wanted.amounts["disk_gib"], attempt)
        return known if sent else Waiting(self._options.bounds.poll_s)

    def remove(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """Every volume of the resource; with CLEAN only the one that is known."""
        one = self.find(known.cloud_id or known.ticket_id)
        only = attempt.action == contract.CLEAN
        volumes = [disk for disk in [one] if disk] if only else self.of_resource(wanted.resource_id)
        if not volumes:
            return Done(Facts())
        waiting = all(volume.status == "deleting" for volume in volumes)
        if waiting:
            return Waiting(self._options.bounds.poll_s)
        volume = next(volume for volume in volumes if volume.status != "deleting")
        return known if self.delete(volume, attempt) else Waiting(self._options.bounds.poll_s)

    def revoke(self, attempt: Attempt, known: Facts) -> contract.Verdict:
        """Delete the ticket; of an action or a removal see what came of it."""
        if attempt.verb is contract.Verb.REMOVE:
            volume = self.find(known.cloud_id)
            return Landed(Facts()) if volume is None or volume.status in GOING else Revoked(facts(volume, self._options))
        if attempt.verb is contract.Verb.ACT:
            volume = self.find(known.cloud_id)
            if volume is None:
                return Revoked(Facts())
            seen = facts(volume, self._options)
            if dict(seen.amounts) != dict(known.amounts) or volume.status == "extending":
                return Landed(seen)
            return settled(attempt, seen, self._options)
        if known.cloud_id:
            return Revoked(known)
        if not known.ticket_id:
            ticket_id = self.ticket_of(attempt.resource_id)
            return Landed(dataclasses.replace(known, ticket_id=ticket_id)) if ticket_id else Revoked(known)
        return self._revoke_ticket(attempt, known)

    def _revoke_ticket(self, attempt: Attempt, known: Facts) -> contract.Verdict:
        """A ticket that was handed over is nobody's ticket any more."""
        volume = self.find(known.ticket_id)
        if volume is not None and volume.metadata.get(marks.ROLE) == marks.AS_VOLUME and volume.status not in GOING:
            return Landed(facts(volume, self._options))
        left = self.destroy_ticket(known.ticket_id, attempt)
        return Revoked(dataclasses.replace(known, ticket_id="")) if left is None else Waiting(self._options.bounds.poll_s)

    def _hand_over(self, known: Facts, attempt: Attempt) -> contract.Step:
        volume = self.find(known.ticket_id)
        if volume is None or volume.status in GOING:
            return dataclasses.replace(known, ticket_id="")
        if not self.is_ready(volume):
            return Waiting(self._options.bounds.poll_s)
        body = {"metadata": {marks.ROLE: marks.AS_VOLUME}}
        try:
            self._client.change("POST", STORAGE, f"/volumes/{volume.id}/metadata", body, answer=wire.Nothing, attempt=attempt.id)
        except faults.RefusedError as refusal:
            if refusal.status == 404:
                return dataclasses.replace(known, ticket_id="")
            raise faults.refused(refusal) from refusal
        return facts(volume, self._options)

    def _living(self, volume_id: str) -> wire.Volume:
        volume = self.find(volume_id)
        if volume is None or volume.status in GOING:
            raise faults.vanished()
        return volume


def facts(volume: wire.Volume, options: settings.Options) -> Facts:
    """The facts of a volume that was ordered."""
    state = State.BUILDING if volume.status in _MAKING else State.ERROR if volume.status.startswith("error") else State.RUNNING
    disk_class = volume.metadata.get(marks.DISK_CLASS, "")
    return Facts(
        state=state,
        cloud_id=volume.id,
        amounts={"disk_gib": volume.size} | ({f"disk_gib.{disk_class}": volume.size} if disk_class else {}),
        service_class=options.service_class,
        hall=options.hall,
        created_at=moment(volume.created_at),
        detail=volume.status if state is State.ERROR else "",
    )


def moment(said: str | None) -> str:
    """A time of nova's or cinder's, which is UTC whether it says so or not, as the contract has it; '' if there is none."""
    if not said:
        return ""
    return clock.text(datetime.datetime.fromisoformat(said.removesuffix("Z")).replace(tzinfo=datetime.UTC))


def settled(attempt: Attempt, seen: Facts, options: settings.Options) -> contract.Verdict:
    """An action that shows no effect: it can still have one until `late_s` after it was sent, and never thereafter."""
    age_s = int((clock.now() - ids.made_at(attempt.id)).total_seconds())
    left_s = options.bounds.late_s + options.bounds.call_s + 1 - age_s
    return Revoked(seen) if left_s <= 0 else Waiting(min(left_s, max(options.bounds.poll_s, 1)))
