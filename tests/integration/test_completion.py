"""Shell completion: the script of each shell knows every noun and verb, and a real bash completes with it."""

import pathlib
import subprocess

import pytest

from cli import main
from tests.integration.process import Command


def completed(script: str, *words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    program = (
        f"source {script}; COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; _govpool;"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.split()


def test_bash_completes_nouns_verbs_and_options(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "govpool.bash"
    script.write_text(Command(tmp_path).ok("completion", "bash"), encoding="utf-8")
    assert completed(str(script), "govpool", "vo") == ["volume"]
    assert set(completed(str(script), "govpool", "")) == set(main.NOUNS)
    assert set(completed(str(script), "govpool", "vm", "re")) == {"restart", "resize"}
    assert "--image" in completed(str(script), "govpool", "vm", "create", "--i")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_noun_and_verb_is_in_the_script(shell: str, tmp_path: pathlib.Path) -> None:
    text = Command(tmp_path).ok("completion", shell)
    for noun in main.NOUNS:
        assert noun in text
    for verb in ("approve", "undelete", "write-off", "--image"):
        assert verb in text


def test_another_shell_is_refused_with_the_way_out(tmp_path: pathlib.Path) -> None:
    done = Command(tmp_path).run("completion", "tcsh")
    assert done.returncode == 2 and "govpool completion bash" in done.stderr
