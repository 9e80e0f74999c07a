"""Which servers a person works with: named contexts and their tokens, in one file of mode 0600.

The file is `$GOVPOOL_CONFIG`, or `govpool/contexts.json` in the XDG configuration folder.  `GOVPOOL_SERVER` and `GOVPOOL_TOKEN`
stand above it.
"""

import contextlib
import dataclasses
import json
import os
from typing import Any, Final

SERVER_DEFAULT: Final = "http://127.0.0.1:8420"


@dataclasses.dataclass(slots=True, kw_only=True)
class Context:
    """One server as one person."""

    name: str
    server: str = SERVER_DEFAULT
    token: str = dataclasses.field(default="", repr=False)
    ca_file: str = ""
    tenant: str = ""  # default of --tenant
    project: str = ""  # default of --project


@dataclasses.dataclass(slots=True, kw_only=True)
class Book:
    """All contexts and the one in use."""

    current: str = "default"
    contexts: dict[str, Context] = dataclasses.field(default_factory=dict)

    def get(self, name: str = "") -> Context:
        """The named context, else the one in use; a fresh one when there is none of that name."""
        wanted = name or self.current
        return self.contexts.get(wanted) or Context(name=wanted)


def file() -> str:
    """The path of the file."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.environ.get("GOVPOOL_CONFIG") or os.path.join(config, "govpool", "contexts.json")


def load() -> Book:
    """The stored contexts; empty when there is no file.  Raises ValueError naming the file when it cannot be understood."""
    try:
        with open(file(), encoding="utf-8") as stream:
            stored: Any = json.load(stream)
        known = {field.name for field in dataclasses.fields(Context)} - {"name"}
        contexts = {
            str(name): Context(name=str(name), **{key: str(value) for key, value in entry.items() if key in known})
            for name, entry in stored["contexts"].items()
        }
        return Book(current=str(stored["current"]), contexts=contexts)
    except FileNotFoundError:
        return Book()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file()} is not a file of contexts ({error})") from error


def save(book: Book) -> None:
    """Store the contexts: written beside and renamed, mode 0600, so that nobody reads a token and no crash leaves half a file."""
    path = file()
    os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
    entries = {name: {k: v for k, v in dataclasses.asdict(entry).items() if k != "name"} for name, entry in book.contexts.items()}
    draft = f"{path}.{os.getpid()}"
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump({"current": book.current, "contexts": entries}, stream, ensure_ascii=False, indent=2)
            stream.write("\n")
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise
