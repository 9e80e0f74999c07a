"""`govpool lab`: the lab cloud, a process that plays a cloud for tests, demos and drills.  No guest runs in it, and it says so."""

import typer

from cli import session
from cli.texts import say

app = session.app(say("the lab cloud", "实验云"))


@app.command(
    help=say(
        "Run a lab cloud until it is stopped: govpool lab --file lab.db --port 8430.  More options: govpool lab -- --help.",
        "运行实验云：govpool lab --file lab.db --port 8430。其他选项见 govpool lab -- --help。",
    ),
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def lab(ctx: typer.Context) -> None:
    """Run a lab cloud."""
    from provisioners.lab import cloud

    raise typer.Exit(cloud.main([word for word in ctx.args if word != "--"]))
