"""`govpool completion SHELL`: a script for the shell.  Nouns and verbs are completed by the script itself: no process per TAB."""

import importlib
from typing import Annotated, Any, Final

import typer

from cli import failure, main, session
from cli.texts import say

app = session.app(say("shell completion", "命令补全"))
_BASH: Final = """# govpool completion for bash: source <(govpool completion bash)
_govpool() {{
  local noun=${{COMP_WORDS[1]}} word=${{COMP_WORDS[COMP_CWORD]}}
  if [ "${{COMP_WORDS[COMP_CWORD-1]}}" = -o ]; then COMPREPLY=($(compgen -W "table json yaml csv name" -- "$word")); return; fi
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "{nouns}" -- "$word")); return; fi
  case "$noun" in
{cases}
  esac
}}
complete -o default -F _govpool govpool
"""
_ZSH: Final = """#compdef govpool
# govpool completion for zsh: source <(govpool completion zsh)
_govpool() {{
  if (( CURRENT == 2 )); then compadd -- {nouns}; return; fi
  case "$words[2]" in
{cases}
  esac
}}
compdef _govpool govpool
"""


@app.command(help=say("Print the script: source <(govpool completion bash).", "输出补全脚本：source <(govpool completion bash)。"))
def completion(shell: Annotated[str, typer.Argument(help="bash, zsh, fish")]) -> None:
    """Print a completion script."""
    words = vocabulary()
    if shell == "fish":
        typer.echo(_fish(words), nl=False)
        return
    if shell not in ("bash", "zsh"):
        raise failure.UsageError(
            say(f"{shell!r} is none of bash, zsh, fish", f"{shell!r} 不是 bash、zsh 或 fish"), "govpool completion bash"
        )
    reply = (
        '    {noun}) COMPREPLY=($(compgen -W "{verbs}" -- "$word"));;' if shell == "bash" else "    {noun}) compadd -- {verbs};;"
    )
    cases = "\n".join(reply.format(noun=noun, verbs=" ".join(verbs)) for noun, verbs in words.items() if verbs)
    typer.echo((_BASH if shell == "bash" else _ZSH).format(nouns=" ".join(words), cases=cases), nl=False)


def vocabulary() -> dict[str, list[str]]:
    """Every noun with its verbs and options."""
    return {noun: _words(noun) for noun in main.NOUNS}


def _words(noun: str) -> list[str]:
    module = main.MODULES.get(noun, noun)
    found = importlib.import_module(f"cli.{module}")
    command: Any = typer.main.get_command(getattr(found, "app" if module == noun else noun))
    verbs = getattr(command, "commands", {})
    commands = [leaf for verb in verbs.values() for leaf in getattr(verb, "commands", {}).values() or [verb]] or [command]
    verbs = [word for verb in verbs for word in (verb, *getattr(verbs[verb], "commands", {}))]
    options = {name for one in commands for param in one.params for name in param.opts if name.startswith("--")}
    return [*dict.fromkeys(verbs), *sorted(options)]


def _fish(words: dict[str, list[str]]) -> str:
    lines = ["# govpool completion for fish: govpool completion fish | source", "complete -c govpool -f"]
    lines += [f"complete -c govpool -n __fish_use_subcommand -a {noun}" for noun in words]
    lines += [
        f"complete -c govpool -n '__fish_seen_subcommand_from {noun}' -a '{' '.join(verbs)}'"
        for noun, verbs in words.items()
        if verbs
    ]
    return "\n".join(lines) + "\n"
