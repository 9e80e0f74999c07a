"""What everything of ours carries in the cloud: the two tags, whose it is, and which ticket and port it was made from.

Nova deletes tags and metadata with a server but keeps its hostname: that is the resource's id, too.
"""

import re
from collections.abc import Mapping
from typing import Final

from provisioners import contract

INSTALLATION: Final = "govpool.installation"
EPOCH: Final = "govpool.epoch"
TENANT: Final = "govpool.tenant"
PROJECT: Final = "govpool.project"
RESOURCE: Final = "govpool.resource"
KIND: Final = "govpool.kind"
IMAGE: Final = "govpool.image"
ROLE: Final = "govpool.role"  # of a volume
TICKET: Final = "govpool.ticket"  # of a server: the volume it was made on
PORT: Final = "govpool.port"
DISK_CLASS: Final = "govpool.disk-class"
GENERATION: Final = "govpool.generation"  # of the last completed restart
RESTART: Final = "govpool.restart"  # '<generation>:<number of reboots before it>'

AS_TICKET: Final = "ticket"
"""Role of a volume that is a boot volume, or one that was not handed over yet."""
AS_VOLUME: Final = "volume"
"""Role of a volume that somebody ordered and got."""
_LABEL: Final = "label."
_LABEL_KEY: Final = re.compile(r"[A-Za-z0-9_:. -]{1,64}")
_TEXT_MAX: Final = 255


def tag(installation: str) -> str:
    """The tag that a sweep lists by."""
    return f"govpool.{installation}"[:60]


def of(wanted: contract.Wanted) -> dict[str, str]:
    """Metadata of whatever is made for a resource."""
    labels = {_LABEL + key: text(value) for key, value in wanted.labels.items() if _LABEL_KEY.fullmatch(key)}
    return labels | {
        INSTALLATION: wanted.installation,
        EPOCH: str(wanted.epoch),
        TENANT: wanted.tenant,
        PROJECT: wanted.project,
        RESOURCE: wanted.resource_id,
        KIND: wanted.kind,
        IMAGE: text(str(wanted.spec.get("image", ""))),
        DISK_CLASS: str(wanted.spec.get("disk_class", "")),
    }


def labels(metadata: Mapping[str, str]) -> dict[str, str]:
    """The labels in some metadata."""
    return {key.removeprefix(_LABEL): value for key, value in metadata.items() if key.startswith(_LABEL)}


def number(metadata: Mapping[str, str], key: str) -> int:
    """A number in some metadata; 0 if there is none."""
    value = metadata.get(key, "")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else 0


def text(value: str) -> str:
    """A text as nova and cinder take it: printable, at most 255 characters, none beyond the basic plane (their tables have three bytes
    for one).  Only what people read in the cloud is changed so; ids and codes never need it."""
    return "".join(c if c <= "\uffff" else "\ufffd" for c in value if c.isprintable()).strip()[:_TEXT_MAX]
