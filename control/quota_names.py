"""Names that this installation counts beside the built-in ones, from the file of the setting `quota_names_file`.

tapes: {unit: "1", en: backup tapes, zh: 备份磁带}
bandwidth_kbit: {unit: kbit/s, shown: Mbit/s, per_shown: 1000, en: bandwidth, zh: 带宽}
"""

import pathlib
from typing import Annotated

import msgspec

from control import settings, yaml_text
from primitives import errors
from quotas import names

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]


class Entry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One name of the file; people read `per_shown` units as one `shown`."""

    unit: _Text
    en: _Text
    zh: _Text
    shown: Annotated[str, msgspec.Meta(max_length=20)] = ""
    per_shown: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 1


def declare(file: str) -> None:
    """Make the names of `file` countable in this process ('' = none).  Raises settings.invalid with what is wrong in it."""
    if not file:
        return
    try:
        parsed, findings = yaml_text.load_all(pathlib.Path(file).read_bytes())
    except OSError as error:
        parsed, findings = [], [errors.Finding(file, "settings.file", error.strerror or "cannot be read")]
    if not findings:
        try:
            entries = msgspec.convert(parsed[0].value if parsed else {}, dict[str, Entry])
            names.declare(names.Name(name=name, **msgspec.structs.asdict(entry)) for name, entry in entries.items())
        except (msgspec.ValidationError, ValueError) as error:
            findings = [errors.Finding(file, "settings.file", str(error))]
    if findings:
        raise settings.WRONG(count=len(findings), findings=tuple(findings))
