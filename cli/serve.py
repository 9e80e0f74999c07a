"""`govpool serve`: puts the server process together.  Everything heavy is imported inside the functions of this module."""

import os
import pathlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli import failure, session
from cli.texts import say

if TYPE_CHECKING:
    from control import services, settings, wiring

app = session.app(say("run the server", "运行服务"))


@app.command(help=say("Run the server until it is stopped by SIGTERM or Ctrl-C.", "运行服务，直至收到 SIGTERM 或 Ctrl-C。"))
def serve(
    data: Annotated[str, typer.Option(help=say("folder of the SQLite database", "SQLite 数据目录"))] = "",
    database: Annotated[str, typer.Option(help=say("URL of a database, such as postgresql://...", "数据库 URL"))] = "",
    settings_file: Annotated[str, typer.Option("--settings", help=say("YAML file of settings", "配置文件（YAML）"))] = "",
    host: Annotated[str, typer.Option(help=say("address to listen on", "监听地址"))] = "",
    port: Annotated[str, typer.Option(help=say("port; 0 takes a free one", "端口；0 自动选择"))] = "",
    tls_cert: Annotated[str, typer.Option(help=say("certificate chain (PEM)", "证书链（PEM）"))] = "",
    tls_key: Annotated[str, typer.Option(help=say("private key (PEM)", "私钥（PEM）"))] = "",
    workers: Annotated[str, typer.Option(help=say("threads that call clouds", "工作线程数"))] = "",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help=say("any setting, NAME=VALUE", "任一配置项 NAME=VALUE"))
    ] = None,
    ready_file: Annotated[
        str, typer.Option(help=say("file that gets the URL once requests are taken", "就绪后写入 URL 的文件"))
    ] = "",
) -> None:
    """Run the server."""
    from control import settings as control_settings

    named = {"host": host, "port": port, "tls_cert": tls_cert, "tls_key": tls_key, "workers": workers}
    flags = {name: value for name, value in named.items() if value}
    for pair in setting or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise failure.UsageError(f"--set {pair}: NAME=VALUE", "--set lease_s=20")
        flags[name] = value
    file = pathlib.Path(settings_file) if settings_file else None
    _serve(url_of(data, database), control_settings.read(file, os.environ, flags), ready_file)


def url_of(data: str, database: str) -> str:
    """The URL of the database that --data or --database, GOVPOOL_DATA or GOVPOOL_DATABASE name.  Raises a usage error."""
    data = data or ("" if database else os.environ.get("GOVPOOL_DATA", ""))
    database = database or ("" if data else os.environ.get("GOVPOOL_DATABASE", ""))
    if bool(data) == bool(database):
        why = say("name one database: --data FOLDER or --database URL", "请指定一个数据库：--data 目录 或 --database URL")
        raise failure.UsageError(why, say("such as --data ./govpool-data", "例如 --data ./govpool-data"))
    return database or f"sqlite://{pathlib.Path(data).absolute() / 'govpool.db'}"


def _serve(url: str, chosen: "settings.Settings", ready_file: str) -> None:
    from apiserver import app as api
    from apiserver import serving
    from control import logs, schema
    from control import wiring as control_wiring
    from store import database as store_database
    from store import installation

    logs.set_up(chosen.log_level)
    tls = bool(chosen.tls_cert)
    listening = serving.listen(chosen.host, chosen.port, tls=tls)
    opened = store_database.open_database(url)
    try:
        schema.upgrade(url)
        opened.read(installation.get)
        shared = control_wiring.Wiring(opened, chosen)
        shared.services = _services(shared)
        started: list[services.Service] = []
        try:
            for one in shared.services:
                one.start()
                started.append(one)
            address = serving.url_of(listening, tls=tls)
            application = api.Api(shared, lang=chosen.lang)
            serving.serve(
                application, listening, tls_cert=chosen.tls_cert, tls_key=chosen.tls_key, ready=lambda: _ready(address, ready_file)
            )
        finally:
            for one in reversed(started):
                one.stop()
    finally:
        opened.close()
        listening.close()


def _services(shared: "wiring.Wiring") -> "list[services.Service]":
    """What runs beside the API in this process, in the order of starting."""
    from control import energy, expense, jobs, notice_delivery, strangers, worker

    own = [
        jobs.service(shared),
        expense.service_of(shared),
        notice_delivery.service(shared),
        strangers.service(shared.database, shared.strangers),
    ]
    return [*worker.background(shared), *energy.background(shared), *own]


def _ready(address: str, ready_file: str) -> None:
    sys.stderr.write(
        say(f"govpool serves {address} (documents: {address}/docs)", f"govpool 已启动：{address}（接口文档：{address}/docs）")
        + "\n"
    )
    sys.stderr.flush()
    if ready_file:
        draft = pathlib.Path(f"{ready_file}.{os.getpid()}")
        draft.write_text(f"{address}\n", encoding="utf-8")
        draft.replace(ready_file)
