"""The catalogue: sizes and images that can be ordered, versioned YAML beside this file.

The files are part of the release; a mistake in them is a defect, found when they are first read.
"""

import dataclasses
import functools
import importlib.resources
from collections.abc import Mapping
from typing import Any, Final

import yaml

from primitives import errors

VERSION: Final = 1
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

SIZE_UNKNOWN: Final = errors.Fault(
    "size.unknown",
    errors.Kind.INVALID,
    en="there is no size {size!r}; known: {known}",
    zh="没有规格 {size!r}，可用规格：{known}",
    mend_en="govpool template sizes",
    mend_zh="govpool template sizes",
)
IMAGE_UNKNOWN: Final = errors.Fault(
    "image.unknown",
    errors.Kind.INVALID,
    en="there is no image {image!r}; known: {known}",
    zh="没有镜像 {image!r}，可用镜像：{known}",
    mend_en="govpool template images",
    mend_zh="govpool template images",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A size of the menu; amounts in registry units."""

    name: str
    title_en: str
    title_zh: str
    amounts: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a resource starts from."""

    name: str
    title_en: str
    title_zh: str
    kinds: tuple[str, ...]
    login: str  # account that the key is put into; '' where nobody logs in


def size(name: str) -> dict[str, int]:
    """Amounts of a size.  Raises size.unknown."""
    found = sizes().get(name)
    if found is None:
        raise SIZE_UNKNOWN(size=name[:40], known=", ".join(sizes()))
    return dict(found.amounts)


def image(name: str) -> Image:
    """An image.  Raises image.unknown."""
    found = images().get(name)
    if found is None:
        raise IMAGE_UNKNOWN(image=name[:40], known=", ".join(images()))
    return found


@functools.cache
def sizes() -> dict[str, Size]:
    """All sizes by name, in the order of the menu."""
    return {name: Size(name=name, **entry) for name, entry in _read("sizes").items()}


@functools.cache
def images() -> dict[str, Image]:
    """All images by name, in the order of the menu."""
    return {name: Image(name=name, **entry | {"kinds": tuple(entry["kinds"])}) for name, entry in _read("images").items()}


def _read(noun: str) -> dict[str, dict[str, Any]]:
    text = importlib.resources.files("templates").joinpath(f"{noun}.yaml").read_text(encoding="utf-8")
    content = yaml.load(text, Loader=_LOADER)  # noqa: S506 -- the safe loader in C
    if content["version"] != VERSION:
        raise ValueError(f"{noun}.yaml is of version {content['version']}, this release reads {VERSION}")
    entries: dict[str, dict[str, Any]] = content[noun]
    return entries
