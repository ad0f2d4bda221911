"""Alembic's entry: runs on the connection that `bootstrap.schema` hands over."""

from alembic import context

from plinth.bootstrap.tables import metadata


def _ours(_object: object, name: str | None, type_: str, reflected: bool, _compare_to: object) -> bool:
    # DBOS keeps its own tables in the same database and migrates them itself
    return not (type_ == "table" and reflected and name not in metadata().tables)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata(),
    include_object=_ours,
    compare_type=True,
    compare_server_default=True,
    transactional_ddl=False,
)
context.run_migrations()
