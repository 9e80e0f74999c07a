"""Settings: flags above environment above file, and every mistake at once."""

import pathlib

import pytest

from control import settings
from primitives import errors


def test_flags_stand_above_the_environment_and_that_above_the_file(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("port: 1000\nworkers: 3\nlease_s: 40\nmeters: false\n", encoding="utf-8")
    found = settings.read(file, {"GOVPOOL_PORT": "2000", "GOVPOOL_WORKERS": "4", "PATH": "x"}, {"port": "3000"})
    assert (found.port, found.workers, found.lease_s, found.meters) == (3000, 4, 40, False)
    assert settings.read(None, {}, {}) == settings.Settings()


def test_every_mistake_is_named_with_its_place(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("port: 70000\ncolour: red\nlang: fr\n", encoding="utf-8")
    with pytest.raises(errors.GovpoolError) as raised:
        settings.read(file, {"GOVPOOL_WORKERS": "many"}, {"tls_cert": "a.pem"})
    places = [finding.place for finding in raised.value.findings]
    assert places == [f"{file} line 1", f"{file} line 2", f"{file} line 3", "GOVPOOL_WORKERS", "tls_cert, tls_key"]


@pytest.mark.parametrize("content", [b"[1]", b"a: 1\na: 2", b"\xff", b"a: 1\n---\nb: 2"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: pathlib.Path, content: bytes) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(content)
    with pytest.raises(errors.GovpoolError, match=r"settings\.invalid"):
        settings.read(file, {}, {})
    with pytest.raises(errors.GovpoolError, match=r"settings\.invalid"):
        settings.read(tmp_path / "none.yaml", {}, {})


def test_every_setting_says_what_it_is_for_in_both_languages_and_has_bounds() -> None:
    for name, field in settings.FIELDS.items():
        assert field.metadata["en"] and field.metadata["zh"], name
        if isinstance(field.default, int) and not isinstance(field.default, bool):
            assert field.metadata["low"] <= field.default <= field.metadata["high"], name
