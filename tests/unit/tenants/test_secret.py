"""Tokens and codes: recognisable, checked, never guessable from what is stored."""

import hypothesis
import pytest
from hypothesis import strategies

from primitives import ids
from tenants import secret


@pytest.mark.parametrize("prefix", [secret.TOKEN, secret.CODE])
def test_a_fresh_secret_is_sound_and_never_the_same(prefix: str) -> None:
    made = {secret.new(prefix) for _ in range(200)}
    assert len(made) == 200
    assert all(secret.is_sound(text, prefix) for text in made)


def test_a_token_carries_256_bits_and_a_code_128() -> None:
    assert len(secret.new(secret.TOKEN)) == len("gp_") + 52 + 7
    assert len(secret.new(secret.CODE)) == len("gpc_") + 26 + 7


def test_a_code_is_no_token_and_a_token_no_code() -> None:
    assert not secret.is_sound(secret.new(secret.CODE), secret.TOKEN)
    assert not secret.is_sound(secret.new(secret.TOKEN), secret.CODE)


@hypothesis.given(position=strategies.integers(0, 60), letter=strategies.sampled_from(ids.ALPHABET))
def test_one_wrong_letter_is_noticed(position: int, letter: str) -> None:
    token = secret.new(secret.TOKEN)
    spoiled = token[:position] + letter + token[position + 1 :]
    assert secret.is_sound(spoiled, secret.TOKEN) == (spoiled == token)


@hypothesis.given(strategies.text(max_size=80))
def test_no_text_from_outside_breaks_the_check(text: str) -> None:
    assert not secret.is_sound(text, secret.TOKEN)
    assert not secret.is_sound("gp_" + text, secret.TOKEN)


def test_what_is_stored_does_not_contain_the_secret() -> None:
    token = secret.new(secret.TOKEN)
    assert len(secret.digest(token)) == 64
    assert token[3:20] not in secret.digest(token)
