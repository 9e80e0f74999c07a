"""Routes of the catalogue: sizes and images."""

import dataclasses
from typing import Any

import msgspec

from apiserver import route
from control import access
from store.transaction import Transaction
from templates import catalog


class Size(msgspec.Struct, kw_only=True):
    """A size of the menu; amounts in registry units."""

    name: str
    title_en: str
    title_zh: str
    amounts: dict[str, int]


class Image(msgspec.Struct, kw_only=True):
    """What a resource starts from."""

    name: str
    title_en: str
    title_zh: str
    kinds: list[str]
    login: str


def sizes(tx: Transaction, call: route.Call) -> Any:
    """The sizes that can be ordered."""
    access.require(tx, call.who, "list", "size", tenant_id=None)
    return [dataclasses.asdict(size) for size in catalog.sizes().values()]


def images(tx: Transaction, call: route.Call) -> Any:
    """The images that resources start from."""
    access.require(tx, call.who, "list", "image", tenant_id=None)
    return [dataclasses.asdict(image) for image in catalog.images().values()]


ROUTES = [
    route.read("GET", "/v1/sizes", "size.list", sizes, answer=list[Size]),
    route.read("GET", "/v1/images", "image.list", images, answer=list[Image]),
]
