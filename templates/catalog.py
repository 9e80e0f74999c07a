"""The catalogue that this release ships: sizes and images, read once from versioned YAML beside this file."""

import dataclasses
import functools
import importlib.resources
from collections.abc import Mapping
from typing import Any, Final

import yaml

from primitives import errors

SIZE_UNKNOWN: Final = errors.Fault(
    "size.unknown",
    errors.Kind.INVALID,
    en="there is no size {name}; known are {known}",
    zh="没有规格 {name}；可选：{known}",
    mend_en="govpool template sizes",
    mend_zh="govpool template sizes",
)
IMAGE_UNKNOWN: Final = errors.Fault(
    "image.unknown",
    errors.Kind.INVALID,
    en="there is no image {name} for a {kind}; known are {known}",
    zh="{kind} 没有镜像 {name}；可选：{known}",
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
    login: str  # account that a key is put into; '' = nobody logs in


def size(name: str) -> dict[str, int]:
    """The amounts of a size.  Raises size.unknown."""
    found = sizes().get(name)
    if found is None:
        raise SIZE_UNKNOWN(name=name, known=", ".join(sizes()))
    return dict(found.amounts)


def image(name: str, kind: str) -> Image:
    """The image of a name for a kind of resource.  Raises image.unknown."""
    found = images().get(name)
    if found is None or kind not in found.kinds:
        known = ", ".join(one.name for one in images().values() if kind in one.kinds)
        raise IMAGE_UNKNOWN(name=name, kind=kind, known=known)
    return found


@functools.cache
def sizes() -> dict[str, Size]:
    """All sizes by name, in the order of the menu."""
    return {name: Size(name=name, **told) for name, told in _read("sizes").items()}


@functools.cache
def images() -> dict[str, Image]:
    """All images by name, in the order of the menu."""
    return {name: Image(name=name, **{**told, "kinds": tuple(told["kinds"])}) for name, told in _read("images").items()}


def _read(what: str) -> dict[str, Any]:
    text = importlib.resources.files("templates").joinpath(f"{what}.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)[what]
    return found
