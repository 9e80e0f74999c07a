"""The simulated halls and meters as documents for `govpool apply -f`."""

from collections.abc import Mapping
from typing import Any

from pue_monitor.simulator import plant


def documents(host: str, ports: Mapping[str, int], poll_s: int = 0) -> list[dict[str, Any]]:
    """Hall and Meter documents; `ports` are the gateways by hall code, `poll_s` 0 leaves the server's own setting."""
    return [
        *(_hall(hall) for hall in plant.HALLS),
        *(_meter(meter, host, ports[meter.hall.code], poll_s) for meter in plant.METERS),
    ]


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "govpool/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _hall(hall: plant.Hall) -> dict[str, Any]:
    spec = {"name": hall.name, "site": "政务云数据中心", "boundary": "whole", "category": hall.category}
    return _document("Hall", hall.code, spec)


def _meter(meter: plant.Meter, host: str, port: int, poll_s: int) -> dict[str, Any]:
    common = {"width": meter.width, "word_order": meter.word_order, "table": "holding"}
    energy = {"code": "energy", "quantity": "energy", "scale": str(meter.scale), "modulus": str(meter.modulus), **common}
    power = {"code": "power", "quantity": "power", "scale": "1", **common, "width": 32}
    return _document(
        "Meter",
        meter.code,
        {
            "hall": meter.hall.code,
            "side": meter.side,
            "name": meter.name,
            "rating_w": meter.rating_w,
            "gateway": f"{host}:{port}",
            "unit": meter.unit,
            "poll_s": poll_s,
            "calibrated_until": "2030-01-01T00:00:00+08:00",
            "registers": [energy | {"address": plant.ENERGY_AT}, power | {"address": plant.POWER_AT}],
        },
    )
