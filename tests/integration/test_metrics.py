"""/metrics: true to the database, named by the conventions, and nothing for strangers."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import parser

from store import database as store_database
from tests.integration.tenants_server import City, serving

UNITS = re.compile(r"_(kwh|wh|kw|milliseconds|ms|minutes|megabytes|mib|gib|percent)(_total)?$")


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区, served."""
    with serving(database) as running:
        yield running


def scraped(city: City, **headers: str) -> str:
    """The text of a scrape from this machine."""
    request = urllib.request.Request(f"{city.url}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return str(answer.read().decode())


def value(text: str, name: str, **labels: str) -> float:
    """One sample."""
    found = [
        sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    assert len(found) == 1, (name, labels, found)
    return float(found[0])


def test_it_shows_what_the_database_holds(city: City) -> None:
    city.department("tax", "税务局")
    operator = city.person("nanhai", "zhao", "赵敏", "operator")
    for tenant, amount in (("nanhai", 64000), ("tax", 16000)):
        operator.put(f"/v1/grants/{tenant}/cpu_milli", {"granted": amount}, if_match=0)
    text = scraped(city)
    assert value(text, "govpool_quota_granted", tenant="tax", resource="cpu_milli") == 16000
    assert value(text, "govpool_quota_used", tenant="tax", resource="cpu_milli") == 0
    assert value(text, "govpool_audit_lines_total") == city.audit.get("/v1/audit-verification")["records"]
    assert value(text, "govpool_requests_total", method="PUT", route="/v1/grants/{tenant}/{name}", status="201") == 2
    assert value(text, "govpool_lane_backlog") == 0


def test_names_follow_the_conventions(city: City) -> None:
    for family in parser.text_string_to_metric_families(scraped(city)):
        assert family.name.startswith("govpool_") and family.documentation.endswith("."), family.name
        assert not UNITS.search(family.name), family.name
        assert (family.type == "counter") == any(sample.name.endswith("_total") for sample in family.samples) or not family.samples


def test_no_name_of_a_person_is_in_it(city: City) -> None:
    city.department("tax", "税务局")
    city.person("tax", "li.na", "李娜", "requester")
    text = scraped(city)
    assert "李娜" not in text and "li.na" not in text


def test_from_elsewhere_it_needs_a_token_that_may_read_it_at_the_root(city: City) -> None:
    city.department("tax", "税务局")
    viewer = city.person("nanhai", "chen", "陈静", "viewer")
    local = city.person("tax", "li.na", "李娜", "viewer")
    passed_on = {"X-Forwarded-For": "203.0.113.7"}
    assert "govpool_build_info" in scraped(city, **passed_on, Authorization=f"Bearer {viewer.token}")
    for headers, status in (
        (passed_on, 401),
        ({"Forwarded": "for=203.0.113.7"}, 401),
        (passed_on | {"Authorization": f"Bearer {local.token}"}, 403),
        (passed_on | {"Authorization": f"Bearer {city.audit.token}"}, 403),
        (passed_on | {"Authorization": "Bearer gp_nonsense"}, 401),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            scraped(city, **headers)
        assert refused.value.code == status
        refused.value.close()
