"""What a command can ask for: the API client, a confirmation, waiting; and how a command's module is run.

A noun's file:

    from cli import output, session
    from cli.texts import say

    app = session.app(say("grants over the tenant tree", "配额"))

    @app.command("list", help=say("the grants of a tenant", "查看配额"))
    def list_grants(ctx: typer.Context, tenant: Annotated[str, typer.Option(help=say("tenant code", "单位代码"))] = "") -> None:
        rows = session.client(ctx).pages("/v1/grants", tenant=tenant or session.tenant(ctx))
        output.show(ctx, rows, columns=[(say("NAME", "名称"), "name"), (say("GRANTED", "已授予"), "granted")])

A noun without verbs (`status`) has one `@app.command()` in its file.
"""

import dataclasses
import getpass
import importlib
import os
import sys
import time
from collections.abc import Callable, Collection
from typing import Any, Final, NoReturn, TypeVar

import typer

from apiclient import client as api
from apiclient import contexts
from cli import failure, help, texts
from cli.texts import say

T = TypeVar("T")
FORMS: Final = ("table", "json", "yaml", "csv", "name")
POLL_S: Final = 0.5


@dataclasses.dataclass(slots=True, kw_only=True)
class Session:
    """The options of this call; `ctx.obj` of every command."""

    output: str = "table"
    context: str = ""
    yes: bool = False
    confirm: str = ""
    wait: bool | None = None
    timeout_s: int = 600
    dry_run: bool = False
    color: bool = True
    debug: bool = False
    client: api.Client | None = None


def app(text: str) -> typer.Typer:
    """The typer app of a noun."""
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
        epilog=say("Options of every command: govpool --help", "通用选项见 govpool --help"),
    )


def client(ctx: typer.Context) -> api.Client:
    """The client of the chosen server; --dry-run makes every change it sends a rehearsal."""
    session: Session = ctx.find_root().obj
    if session.client is None:
        chosen = context(ctx)
        session.client = api.Client(chosen.server, chosen.token, lang=texts.lang(), ca_file=chosen.ca_file, dry_run=session.dry_run)
    return session.client


def context(ctx: typer.Context) -> contexts.Context:
    """The chosen context: --context, else GOVPOOL_CONTEXT, else the one in use; GOVPOOL_SERVER and GOVPOOL_TOKEN stand above it."""
    book = contexts.load()
    wanted = options(ctx).context or os.environ.get("GOVPOOL_CONTEXT", "")
    if wanted and wanted not in book.contexts:
        raise failure.UsageError(say(f"there is no context {wanted!r}", f"没有名为 {wanted!r} 的上下文"), "govpool context list")
    chosen = book.get(wanted)
    return dataclasses.replace(
        chosen,
        server=os.environ.get("GOVPOOL_SERVER") or chosen.server,
        token=os.environ.get("GOVPOOL_TOKEN") or chosen.token,
        ca_file=os.environ.get("GOVPOOL_CA_FILE") or chosen.ca_file,
    )


def options(ctx: typer.Context) -> Session:
    """The options that every command takes."""
    found: Session = ctx.find_root().obj
    return found


def tenant(ctx: typer.Context, given: str = "") -> str:
    """The tenant of this call: `given`, else the context's default.  Raises a usage error when there is none."""
    return given or context(ctx).tenant or _needed("--tenant")


def project(ctx: typer.Context, given: str = "") -> str:
    """The project of this call: `given`, else the context's default.  Raises a usage error when there is none."""
    return given or context(ctx).project or _needed("--project")


def confirm(ctx: typer.Context, question: str, *, name: str = "") -> None:
    """Ask before something that cannot be undone; with `name`, it must be typed.  Without a terminal exit 2 naming the option."""
    session = options(ctx)
    if session.dry_run or (session.confirm == name if name else session.yes):
        return
    flag = f"--confirm {name}" if name else "--yes"
    if not sys.stdin.isatty():
        raise failure.UsageError(
            say(f"{question} Nobody can answer here", f"{question} 此处无法应答"), say(f"add {flag}", f"请加 {flag}")
        )
    sys.stderr.write(f"{question} " + (say(f"Type {name} to go on: ", f"请输入 {name} 以继续：") if name else "[y/N] "))
    sys.stderr.flush()
    answer = sys.stdin.readline().strip()
    if answer != name if name else answer.lower() not in ("y", "yes", "是"):
        tell(say("nothing was changed", "未作任何更改"))
        raise typer.Exit(failure.FAILED)


def secret(prompt: str, variable: str) -> str:
    """A secret from the environment variable, the terminal (not shown) or the first line of standard input."""
    given = os.environ.get(variable, "")
    if given:
        return given
    if sys.stdin.isatty():
        return getpass.getpass(f"{prompt}: ", sys.stderr).strip()
    given = sys.stdin.readline().strip()
    return given or _needed(f"{variable}=...")


def tell(text: str) -> None:
    """Talk: to standard error."""
    sys.stderr.write(text + "\n")


def wait(ctx: typer.Context, look: Callable[[], T], state: Callable[[T], str], until: Collection[str], *, resume: str) -> T:
    """Look until the state is in `until`, saying each new state.  Exit 8 after --timeout, 130 on Ctrl-C, both naming `resume`."""
    session = options(ctx)
    deadline = time.monotonic() + session.timeout_s
    said = ""
    try:
        while True:
            found = look()
            now = state(found)
            if now != said:
                tell(texts.state(now))
                said = now
            if now in until:
                return found
            if time.monotonic() >= deadline:
                tell(
                    say(
                        f"still {now} after {session.timeout_s} s; see: {resume}",
                        f"{session.timeout_s} 秒后仍为 {texts.state(now)}；请查看：{resume}",
                    )
                )
                raise typer.Exit(failure.TIMED_OUT)
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        tell(say(f"it goes on without you; see: {resume}", f"操作仍在继续；请查看：{resume}"))
        raise


def run(noun: str, module: str, arguments: list[str], given: dict[str, object]) -> int:
    """Run the command of a noun and return the exit code; every error becomes its lines on standard error."""
    debug = bool(given.get("debug"))
    session: Session | None = None
    try:
        session = _session(given)
        found = _module(module)
        command = help.dress(typer.main.get_command(getattr(found, "app" if module == noun else noun)))
        result = command.main(arguments, prog_name=f"govpool {noun}", standalone_mode=False, obj=session)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        return failure.INTERRUPTED
    except Exception as error:
        if debug:
            raise
        return failure.tell(error, [noun, *arguments])
    finally:
        if session is not None and session.client is not None:
            session.client.close()


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"cli.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"cli.{name}":
            raise
        raise failure.UsageError(say("this release does not have that command", "本版本没有该命令"), "govpool --help") from error


def _session(given: dict[str, object]) -> Session:
    form, timeout = str(given.get("output", "table")), str(given.get("timeout", "600"))
    if form not in FORMS:
        raise failure.UsageError(say(f"-o {form}: there is no such form", f"-o {form}：没有该输出格式"), "-o " + "|".join(FORMS))
    if not timeout.isdecimal() or not 0 <= int(timeout[:9]) <= 86400:
        raise failure.UsageError(say("--timeout is 0 to 86400 seconds", "--timeout 取值为 0 至 86400 秒"), "--timeout 600")
    wait = given.get("wait")
    return Session(
        output=form,
        context=str(given.get("context", "")),
        yes=bool(given.get("yes")),
        confirm=str(given.get("confirm", "")),
        wait=None if wait is None else bool(wait),
        timeout_s=int(timeout),
        dry_run=bool(given.get("dry_run")),
        color=bool(given.get("color", True)),
        debug=bool(given.get("debug")),
    )


def _needed(option: str) -> NoReturn:
    noun = option.removeprefix("--")
    mend = say(f"add {option}", f"请加 {option}")
    if noun in ("tenant", "project"):
        mend = say(
            f"{mend} (govpool {noun} list shows them), or once for all: govpool context set NAME {option} CODE",
            f"{mend}（代码见 govpool {noun} list）；或设为默认：govpool context set 上下文 {option} 代码",
        )
    raise failure.UsageError(say(f"{option} is missing", f"缺少 {option}"), mend)
