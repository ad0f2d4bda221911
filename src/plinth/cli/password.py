"""`plinth password`: a way in for whoever runs the server."""

from __future__ import annotations

from pathlib import Path

import click

from plinth.cli.common import home_option, say, set_option


@click.command()
@home_option
@set_option
@click.argument("email", required=False)
def password(home: Path, overrides: tuple[str, ...], email: str | None) -> None:
    """Print a link by which a person sets a new password, once and within 24 hours.

    EMAIL says who; without it, it is the first owner.
    """
    from plinth.bootstrap.platform import Platform

    platform = Platform.open(home, overrides)
    platform.migrate()
    with platform.db.write() as session:
        user, issued = platform.sign_in.reset_from_the_machine(session, email)
    address = platform.console_url or platform.public_address
    click.echo(say("password_link", email=user.email, url=f"{address}/console/reset#{issued.token}"))
