"""States and actions of a machine in nova's words.  Each sends at most one call and says whether it was taken."""

from typing import Any, Final

from provisioners.contract import Attempt, State, Wanted
from provisioners.openstack import faults, marks, wire
from provisioners.openstack.client import COMPUTE, Client

UNDER_WAY: Final = frozenset({"BUILD", "REBUILD", "RESIZE", "REVERT_RESIZE", "REBOOT", "HARD_REBOOT", "MIGRATING", "PASSWORD"})
_STOPPED: Final = frozenset({"SHUTOFF", "PAUSED", "SUSPENDED", "SHELVED", "SHELVED_OFFLOADED", "SOFT_DELETED"})
_START: Final = {
    "SHUTOFF": "os-start",
    "PAUSED": "unpause",
    "SUSPENDED": "resume",
    "SHELVED": "unshelve",
    "SHELVED_OFFLOADED": "unshelve",
}
_SHUT_DOWN: Final = 4  # nova's power_state of a guest that is off


def state(server: wire.Server) -> State:
    """What the server is in the contract's words."""
    if server.status in ("BUILD", "ERROR"):
        return State.BUILDING if server.status == "BUILD" else State.ERROR
    if server.status in _STOPPED or (server.status in ("RESIZE", "VERIFY_RESIZE") and server.power == _SHUT_DOWN):
        return State.STOPPED
    return State.RUNNING


def switch(client: Client, server: wire.Server, wanted: Wanted, attempt: Attempt) -> bool | None:
    """Start or stop.  None: it is so already."""
    if attempt.action == "stop":
        return None if state(server) is State.STOPPED else send(client, server, {"os-stop": None}, attempt)
    action = _START.get(server.status)
    return None if action is None else send(client, server, {action: None}, attempt)


def restart(client: Client, server: wire.Server, wanted: Wanted, attempt: Attempt) -> bool | None:
    """Restart once for each generation.  None: it was done.

    Nova counts nothing for us, but keeps a list of what was done to a server: the number of reboots in it is noted before ours is sent, so a
    lost answer is seen there and the reboot not sent again.
    """
    if marks.number(server.metadata, marks.GENERATION) >= wanted.generation:
        return None
    generation, _, before = server.metadata.get(marks.RESTART, "").partition(":")
    done = client.get(COMPUTE, f"/servers/{server.id}/os-instance-actions", "instanceActions", list[wire.Action])
    reboots = sum(one.action == "reboot" for one in done)
    if generation != str(wanted.generation):
        return _note(client, server, marks.RESTART, f"{wanted.generation}:{reboots}", attempt)
    if reboots > int(before):
        return _note(client, server, marks.GENERATION, str(wanted.generation), attempt)
    kind = "SOFT" if server.status == "ACTIVE" else "HARD"
    return send(client, server, {"reboot": {"type": kind}}, attempt)


def send(client: Client, server: wire.Server, action: dict[str, Any], attempt: Attempt) -> bool:
    """POST one action; False when something else is under way.  Raises PermanentError, TemporaryError, AnswerLost."""
    return _posted(client, f"/servers/{server.id}/action", action, attempt)


def _note(client: Client, server: wire.Server, key: str, value: str, attempt: Attempt) -> bool:
    return _posted(client, f"/servers/{server.id}/metadata", {"metadata": {key: value}}, attempt)


def _posted(client: Client, path: str, body: dict[str, Any], attempt: Attempt) -> bool:
    try:
        client.change("POST", COMPUTE, path, body, answer=wire.Nothing, attempt=attempt.id)
    except faults.RefusedError as refusal:
        if refusal.status in (404, 409) or "has not been resized" in refusal.message:  # VERIFY_RESIZE shows a moment too early
            return False  # the next look says what became of it
        raise faults.refused(refusal) from refusal
    return True
