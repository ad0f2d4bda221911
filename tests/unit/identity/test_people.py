"""Users, members, invites, projects; the audit log and the facts that others hear of."""

from __future__ import annotations

import re
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, String, inspect, text
from sqlalchemy.exc import DatabaseError

from plinth.identity import KEY_CHANGED, PROJECT_CHANGED, Actor, AuditQuery, IdentityService, KeyDraft, Paging, Role
from plinth.identity.errors import (
    AlreadyMember,
    EmailTaken,
    InviteSpent,
    LastAdminKey,
    LastOwner,
    OrganizationExists,
    ProjectArchived,
    UnknownRole,
)
from plinth.identity.model import INVITE_SECONDS, Grant, normal_email, role_named
from plinth.kit import events
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database
from plinth.kit.errors import BadInput, NotFound
from plinth.kit.secrets import InstanceKey


def log_of(world: Any, **filters: Any) -> list[str]:
    with world.db.read() as session:
        page = world.service.log.page(session, world.admin.organization_id, AuditQuery(**filters))
        return [entry.type for entry in page.entries]


def facts_since(world: Any, seq: int) -> list[str]:
    with world.db.read() as session:
        rows = session.execute(events.events.select().where(events.events.c.seq > seq).order_by(events.events.c.seq))
        return [row.kind for row in rows]


def owner_of(world: Any) -> Any:
    with world.db.read() as session:
        return next(u for u in world.service.people.users(session, world.admin, Paging()) if u.role is Role.owner)


def test_there_is_one_first_organization(world: Any) -> None:
    with pytest.raises(OrganizationExists, match="Acme"), world.db.write() as session:
        world.service.bootstrap_organization(session, "Second")


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\x00b"])
def test_the_organization_needs_a_name(db: Database, name: str) -> None:
    service = IdentityService(FixedClock(), InstanceKey(b"k" * 32))
    with pytest.raises(BadInput, match="1 to 200"), db.write() as session:
        service.bootstrap_organization(session, name)


def test_the_last_owner_can_neither_leave_nor_step_down(world: Any) -> None:
    people, owner = world.service.people, owner_of(world)
    with pytest.raises(LastOwner), world.db.write() as session:
        people.remove_user(session, world.admin, owner.id)
    with pytest.raises(LastOwner), world.db.write() as session:
        people.set_role(session, world.admin, owner.id, Role.admin)
    second = world.person("second", Role.owner)
    # but whoever holds the only admin key must not lock everybody out
    for change in (
        lambda s: people.remove_user(s, world.admin, owner.id),
        lambda s: people.set_role(s, world.admin, owner.id, Role.viewer),
    ):
        with pytest.raises(LastAdminKey), world.db.write() as session:
            change(session)
    with world.db.write() as session:
        secret = world.service.keys.create_admin_key(session, world.admin, KeyDraft("", "k", second.id)).secret
    with world.db.write() as session:
        people.remove_user(session, world.admin, owner.id)
    assert not world.works(world.first.admin_key_secret)
    assert not world.works(world.first.project_key_secret)
    assert world.works(secret)


def test_an_address_is_one_person(world: Any) -> None:
    world.person("ann")
    with pytest.raises(EmailTaken), world.db.write() as session:
        world.service.people.add_user(session, world.admin, " ANN@example.com ", "Ann", Role.viewer)


@pytest.mark.parametrize("email", ["", "ann", "@", "ann@", "@host", "a nn@host", "x" * 300 + "@host", "a\n@host"])
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(BadInput):
        normal_email(email)


def test_hosted_role_names_are_understood() -> None:
    assert (role_named("member"), role_named("reader"), role_named("agent")) == (
        Role.developer,
        Role.viewer,
        Role.agent,
    )
    with pytest.raises(UnknownRole, match="owner, admin"):
        role_named("king")


def test_membership_is_once_and_only_in_open_projects(world: Any) -> None:
    user, _ = world.member_key("ann", Role.viewer)
    add = world.service.people.add_member
    with pytest.raises(AlreadyMember), world.db.write() as session:
        add(session, world.admin, world.project_id, user.id, Role.viewer)
    with pytest.raises(NotFound), world.db.write() as session:
        add(session, world.admin, world.project_id, "user_nobody", Role.viewer)
    with world.db.write() as session:
        project = world.service.create_project(session, world.admin, "Old")
        world.service.archive_project(session, world.admin, project.id)
    with pytest.raises(ProjectArchived), world.db.write() as session:
        add(session, world.admin, project.id, user.id, Role.viewer)
    with pytest.raises(ProjectArchived), world.db.write() as session:
        world.service.rename_project(session, world.admin, project.id, "New")


def test_an_invite_makes_a_user_with_a_key_for_each_project(world: Any) -> None:
    people = world.service.people
    with world.db.write() as session:
        closed = world.service.create_project(session, world.admin, "Closed soon")
        grants = [Grant(world.project_id, Role.agent), Grant(closed.id, Role.viewer)]
        issued = people.invite(session, world.admin, "Ann@example.com", Role.viewer, grants)
        world.service.archive_project(session, world.admin, closed.id)
    assert issued.token not in repr(issued)
    with pytest.raises(EmailTaken), world.db.write() as session:
        people.invite(session, world.admin, "ann@example.com", Role.viewer, ())
    with world.db.write() as session:
        accepted = people.accept_invite(session, issued.token, "Ann")
    assert accepted.user.email == "ann@example.com"
    assert [key.key.project_id for key in accepted.keys] == [world.project_id]
    assert world.who(accepted.keys[0].secret).principal == f"user:{accepted.user.id}"
    with pytest.raises(InviteSpent), world.db.write() as session:
        people.accept_invite(session, issued.token, "Ann again")
    with pytest.raises(InviteSpent), world.db.write() as session:
        people.delete_invite(session, world.admin, issued.invite.id)


def test_an_invite_expires_and_then_may_be_sent_again(world: Any) -> None:
    people = world.service.people
    with world.db.write() as session:
        first = people.invite(session, world.admin, "ann@example.com", Role.viewer, ())
    world.clock.advance(INVITE_SECONDS)
    with pytest.raises(InviteSpent), world.db.write() as session:
        people.accept_invite(session, first.token, "Ann")
    with world.db.write() as session:
        second = people.invite(session, world.admin, "ann@example.com", Role.viewer, ())
        people.delete_invite(session, world.admin, second.invite.id)
    with pytest.raises(NotFound), world.db.write() as session:
        people.accept_invite(session, second.token, "Ann")


def test_another_organizations_things_are_not_found(world: Any) -> None:
    stranger = Actor("org_other", "", "key_x", "admin_key:key_x", world.admin.permissions)
    service, owner = world.service, owner_of(world)
    key_id = world.admin.key_id
    for reach in (
        lambda s: service.project(s, stranger, world.project_id),
        lambda s: service.people.user(s, stranger, owner.id),
        lambda s: service.people.members(s, stranger, world.project_id, Paging()),
        lambda s: service.keys.key(s, stranger, "", key_id),
        lambda s: service.keys.page(s, stranger, world.project_id, Paging()),
        lambda s: service.service_accounts(s, stranger, world.project_id, Paging()),
    ):
        with pytest.raises(NotFound), world.db.read() as session:
            reach(session)
    with world.db.read() as session:
        assert service.projects(session, stranger, Paging()) == []
        assert service.keys.page(session, stranger, "", Paging()) == []
        assert service.log.page(session, "org_other", AuditQuery()).entries == []


def test_every_change_is_audited_and_told(world: Any) -> None:
    service, people, admin, clock = world.service, world.service.people, world.admin, world.clock
    with world.db.read() as session:
        seq = events.latest_seq(session)
    clock.advance(10)
    start = clock.unix()
    with world.db.write() as session:
        project = service.create_project(session, admin, "Two")
        service.rename_project(session, admin, project.id, "Deux")
        account = service.create_service_account(session, admin, project.id, "robot")
        key = service.keys.create_project_key(session, admin, KeyDraft(project.id, "k", None, account.id)).key
        service.keys.rotate(session, admin, project.id, key.id, 5)
        service.keys.revoke(session, admin, project.id, key.id)
        service.delete_service_account(session, admin, project.id, account.id)
        user = people.add_user(session, admin, "ann@example.com", "Ann", Role.viewer)
        people.set_role(session, admin, user.id, Role.developer)
        people.add_member(session, admin, project.id, user.id, Role.viewer)
        people.remove_user(session, admin, user.id)
        service.archive_project(session, admin, project.id)
        service.archive_project(session, admin, project.id)  # nothing happens, so nothing is written
        service.audit(session, world.who(world.first.project_key_secret), "model.deleted", "ft:x", {"reason": "old"})
    assert log_of(world, gte=start, limit=100)[::-1] == [
        "project.created", "role.assignment.created", "project.updated", "service_account.created",
        "api_key.created", "api_key.updated", "api_key.deleted", "service_account.deleted",
        "user.added", "user.updated", "role.assignment.created", "user.deleted", "project.archived", "model.deleted",
    ]  # fmt: skip
    facts = facts_since(world, seq)
    assert facts.count(PROJECT_CHANGED) == 3
    assert facts.count(KEY_CHANGED) >= 6
    assert log_of(world, types=("project.archived",), project_ids=(project.id,)) == ["project.archived"]
    assert log_of(world, resource_ids=(user.id,)) == ["user.deleted", "user.updated", "user.added"]
    assert log_of(world, actor_ids=(owner_of(world).id,), types=("model.deleted",)) == ["model.deleted"]
    assert log_of(world, actor_emails=("owner@localhost",), types=("user.added",)) == ["user.added"]
    assert log_of(world, actor_ids=("user_nobody",)) == []
    assert log_of(world, lt=start) == log_of(world, lte=start - 1)
    assert log_of(world, gt=start) == []


def test_the_log_pages_both_ways(world: Any) -> None:
    with world.db.write() as session:
        for number in range(5):
            world.service.audit(session, world.admin, "test.done", str(number), {})

    def read(**cursor: Any) -> tuple[list[str], list[str], bool]:
        query = AuditQuery(types=("test.done",), limit=2, **cursor)
        with world.db.read() as session:
            page = world.service.log.page(session, world.admin.organization_id, query)
        return [e.target for e in page.entries], [e.id for e in page.entries], page.has_more

    first, ids, more = read()
    assert (first, more) == (["4", "3"], True)
    second, second_ids, more = read(after=ids[-1])
    assert (second, more) == (["2", "1"], True)
    assert read(after=second_ids[-1])[::2] == (["0"], False)
    assert read(before=second_ids[0])[::2] == (["4", "3"], False)
    assert read(before=second_ids[-1])[::2] == (["3", "2"], True)


def test_keys_and_addresses_never_reach_the_log(world: Any) -> None:
    with world.db.write() as session:
        secret = world.first.project_key_secret
        world.service.audit(session, world.admin, "test.done", "x", {"note": f"used {secret}"})
        world.service.people.invite(session, world.admin, "ann@example.com", Role.viewer, ())
    with world.db.read() as session:
        stored = str(session.execute(text("SELECT * FROM audit_log")).all())
    assert secret[:14] not in stored
    assert "@" not in stored


@pytest.mark.parametrize("statement", ["DELETE FROM audit_log", "UPDATE audit_log SET type = 'x'"])
def test_the_database_refuses_to_change_the_log(world: Any, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), world.db.write() as session:
        session.execute(text(statement))
    assert log_of(world)


def test_a_migration_that_makes_the_table_protects_it(database_url: str) -> None:
    database = Database(database_url)
    with database.engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        operations.create_table("audit_log", Column("id", String(64), primary_key=True))
        connection.execute(text("INSERT INTO audit_log VALUES ('a')"))
        assert inspect(connection).has_table("audit_log")
    with pytest.raises(DatabaseError, match="append-only"), database.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_log"))
    database.close()


def test_nothing_in_the_code_changes_the_log() -> None:
    from pathlib import Path

    import plinth.identity as identity

    for path in Path(identity.__file__).parent.glob("*.py"):
        assert not re.search(r"(update|delete)\(\s*(audit_store\.)?audit_log", path.read_text("utf-8")), path.name


def test_first_organization_of_a_second_service_sees_the_same(db: Database, world: Any) -> None:
    # keys are hashed, not encrypted: another instance key leaves API keys alone and voids tokens
    other = IdentityService(world.clock, InstanceKey(b"z" * 32))
    with db.read() as session:
        assert other.authenticate(session, world.first.project_key_secret).project_id == world.project_id
    assert not world.works(other.internal_token(world.project_id, 60))
