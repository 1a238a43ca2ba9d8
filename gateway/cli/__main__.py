"""The entry point of `touchstone`, and its commands."""

from typing import Any

import click
import grpc

from gateway.cli import deliveries, demo, links, maintenance, privacy, rates, tenants
from gateway.cli.failures import explain, nothing_answers
from gateway.cli.system import named_by_environment


class Commands(click.Group):
    """A group whose commands fail in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command that was named."""
        try:
            return super().invoke(ctx)
        except grpc.RpcError as error:
            raise click.ClickException(explain(error, ctx.obj)) from error
        except ConnectionError as error:
            raise click.ClickException(nothing_answers(ctx.obj)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.pass_context
def touchstone(ctx: click.Context) -> None:
    """Which of a shop's sales its conversations brought in.

    Speaks with the running system at TOUCHSTONE_PORT (8080), as its operator: with the token in TOUCHSTONE_TOKEN, or
    the one in TOUCHSTONE_DATA_DIR (.data).
    """
    ctx.obj = named_by_environment()


touchstone.add_command(tenants.tenant)
touchstone.add_command(tenants.source)
touchstone.add_command(tenants.token)
touchstone.add_command(links.link)
touchstone.add_command(deliveries.replay)
touchstone.add_command(deliveries.parked)
touchstone.add_command(maintenance.rebuild)
touchstone.add_command(maintenance.verify)
touchstone.add_command(rates.rates)
touchstone.add_command(privacy.erase)
touchstone.add_command(privacy.privacy)
touchstone.add_command(demo.demo)


def main() -> None:
    """Runs a command; its exit code is 0, 1 when it failed, 2 when it was not understood."""
    touchstone(prog_name="touchstone")


if __name__ == "__main__":
    main()
