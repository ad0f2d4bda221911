"""Keys: what works, what stops working and when, and what is stored."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from sqlalchemy import text

from plinth.identity import PERMISSIONS, KeyDraft, KeyEntry, Paging, Role
from plinth.identity.errors import KeyExpired, LastAdminKey, OwnerOnly, ProjectArchived
from plinth.identity.model import ORGANIZATION_PERMISSIONS
from plinth.kit.errors import BadInput, NotFound, Unauthenticated
from plinth.kit.secrets import sha256_hex


def digests(world: Any) -> set[str]:
    with world.db.read() as session:
        return {entry.digest for entry in world.service.key_snapshot(session)}


def test_the_first_keys_work(world: Any) -> None:
    project = world.who(world.first.project_key_secret)
    assert project.project_id == world.project_id
    assert project.permissions == PERMISSIONS[Role.owner]
    assert world.admin.project_id == ""
    assert world.admin.permissions == ORGANIZATION_PERMISSIONS


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "sk-proj-",
        "sk-proj-unknown",
        "sk-admin-" + "x" * 43,
        "Bearer",
        "sk-proj-schlüssel",
        "x" * 100_000,
        "\ud800",
        "\x00",
    ],
)
def test_what_is_no_key_is_refused(world: Any, secret: str) -> None:
    with pytest.raises(Unauthenticated):
        world.who(secret)


def test_secrets_are_nowhere_in_the_database_nor_in_reprs(world: Any, tmp_path: Any) -> None:
    user, secret = world.member_key("ann", Role.developer)
    with world.db.read() as session:
        tables = ("api_keys", "api_key_secrets", "audit_log", "events", "invites")
        stored = " ".join(str(row) for t in tables for row in session.execute(text(f"SELECT * FROM {t}")))
        with world.db.write() as writing:
            issued = world.service.keys.create_project_key(
                writing, world.admin, KeyDraft(world.project_id, "k", user.id)
            )
    assert sha256_hex(secret) in stored
    assert secret not in stored
    assert issued.secret not in repr(issued)
    assert world.first.admin_key_secret not in repr(world.first)
    assert issued.key.redacted_value.startswith("sk-proj-")
    assert issued.secret[11:-4] not in issued.key.redacted_value


def test_the_final_comparison_takes_constant_time(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = hmac.compare_digest

    def spy(a: Any, b: Any) -> bool:
        compared.append((a, b))
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    world.who(world.first.project_key_secret)
    digest = sha256_hex(world.first.project_key_secret)
    assert (digest, digest) in compared
    compared.clear()
    world.who(world.service.internal_token(world.project_id, 60))
    assert len(compared) == 1
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: False)
    assert not world.works(world.first.project_key_secret)
    assert not world.works(world.service.internal_token(world.project_id, 60))


def test_a_key_ends_at_its_expiry(world: Any) -> None:
    user = world.person("ann", Role.admin)
    with world.db.write() as session:
        draft = KeyDraft(world.project_id, "short", user.id, expires_in_seconds=60)
        issued = world.service.keys.create_project_key(session, world.admin, draft)
    world.clock.advance(59.9)
    assert world.works(issued.secret)
    assert sha256_hex(issued.secret) in digests(world)
    world.clock.advance(0.1)
    assert not world.works(issued.secret)
    assert sha256_hex(issued.secret) not in digests(world)
    with pytest.raises(KeyExpired), world.db.write() as session:
        world.service.keys.rotate(session, world.admin, world.project_id, issued.key.id, 0)


def test_rotation_lets_the_old_secret_work_for_the_grace_period(world: Any) -> None:
    old = world.first.project_key_secret
    key_id = world.who(old).key_id
    with world.db.write() as session:
        new = world.service.keys.rotate(session, world.admin, world.project_id, key_id, 60)
    assert new.key.id == key_id
    assert world.works(old)
    assert world.who(new.secret).key_id == key_id
    with world.db.read() as session:
        ends = {e.digest: e.expires_at for e in world.service.key_snapshot(session)}
    assert ends[sha256_hex(old)] == world.clock.unix() + 60
    assert ends[sha256_hex(new.secret)] is None
    world.clock.advance(30)
    with world.db.write() as session:  # a second rotation must not lengthen the first one's grace
        newest = world.service.keys.rotate(session, world.admin, world.project_id, key_id, 600)
    world.clock.advance(30)
    assert [world.works(s) for s in (old, new.secret, newest.secret)] == [False, True, True]
    world.clock.advance(570)
    assert [world.works(s) for s in (old, new.secret, newest.secret)] == [False, False, True]


def test_rotation_without_grace_ends_the_old_secret_at_once(world: Any) -> None:
    old = world.first.project_key_secret
    with world.db.write() as session:
        new = world.service.keys.rotate(session, world.admin, world.project_id, world.who(old).key_id, 0)
    assert not world.works(old)
    assert world.works(new.secret)


def test_a_rotated_key_keeps_its_own_expiry(world: Any) -> None:
    key_id = world.who(world.first.project_key_secret).key_id
    with world.db.write() as session:
        world.service.keys.set_expiry(session, world.admin, world.project_id, key_id, 100)
        new = world.service.keys.rotate(session, world.admin, world.project_id, key_id, 1000)
    with world.db.read() as session:
        ends = {e.expires_at for e in world.service.key_snapshot(session) if e.key_id == key_id}
    assert ends == {world.clock.unix() + 100}
    world.clock.advance(100)
    assert not world.works(new.secret)
    assert not world.works(world.first.project_key_secret)


def test_a_revoked_key_is_gone(world: Any) -> None:
    _, secret = world.member_key("ann", Role.developer)
    key_id = world.who(secret).key_id
    with world.db.write() as session:
        world.service.keys.revoke(session, world.admin, world.project_id, key_id)
    assert not world.works(secret)
    with pytest.raises(NotFound), world.db.read() as session:
        world.service.keys.key(session, world.admin, world.project_id, key_id)


def test_an_archived_projects_keys_and_tokens_stop_working_at_once(world: Any) -> None:
    token = world.service.internal_token(world.project_id, 60)
    assert world.works(token)
    with world.db.write() as session:
        world.service.archive_project(session, world.admin, world.project_id)
    assert not world.works(world.first.project_key_secret)
    assert not world.works(token)
    assert digests(world) == {sha256_hex(world.first.admin_key_secret)}
    with pytest.raises(ProjectArchived), world.db.write() as session:
        world.service.keys.create_project_key(session, world.admin, KeyDraft(world.project_id, "k"))


@pytest.mark.parametrize("role", list(Role))
def test_a_key_has_its_owners_role_in_the_project_as_it_is_now(world: Any, role: Role) -> None:
    user, secret = world.member_key("ann", role)
    assert world.who(secret).permissions == PERMISSIONS[role]
    assert world.who(secret).principal == f"user:{user.id}"
    with world.db.write() as session:
        world.service.people.set_member_role(session, world.admin, world.project_id, user.id, Role.viewer)
    assert world.who(secret).permissions == PERMISSIONS[Role.viewer]
    with world.db.write() as session:
        world.service.people.remove_member(session, world.admin, world.project_id, user.id)
    assert world.who(secret).permissions == frozenset()
    with world.db.write() as session:
        world.service.people.set_role(session, world.admin, user.id, Role.admin)
    assert world.who(secret).permissions == PERMISSIONS[Role.admin]


def test_a_service_accounts_key_has_the_accounts_role(world: Any) -> None:
    with world.db.write() as session:
        account = world.service.create_service_account(session, world.admin, world.project_id, "robot", Role.agent)
        draft = KeyDraft(world.project_id, "k", service_account_id=account.id)
        secret = world.service.keys.create_project_key(session, world.admin, draft).secret
    assert world.who(secret).principal == f"service_account:{account.id}"
    assert world.who(secret).permissions == PERMISSIONS[Role.agent]
    with world.db.write() as session:
        world.service.delete_service_account(session, world.admin, world.project_id, account.id)
    assert not world.works(secret)


def test_an_admin_key_loses_its_rights_with_its_owners_role(world: Any) -> None:
    boss = world.person("boss", Role.admin)
    with world.db.write() as session:
        secret = world.service.keys.create_admin_key(session, world.admin, KeyDraft("", "k", boss.id)).secret
    assert world.who(secret).permissions == ORGANIZATION_PERMISSIONS
    with world.db.write() as session:
        world.service.people.set_role(session, world.admin, boss.id, Role.developer)
    assert world.who(secret).permissions == frozenset()


def test_admin_keys_belong_to_owners_and_admins_only(world: Any) -> None:
    viewer = world.person("ann")
    with pytest.raises(BadInput), world.db.write() as session:
        world.service.keys.create_admin_key(session, world.admin, KeyDraft("", "k", viewer.id))


def test_an_admin_cannot_help_itself_to_an_owners_rights(world: Any) -> None:
    boss = world.person("boss", Role.admin)
    with world.db.write() as session:
        mine = world.service.keys.create_admin_key(session, world.admin, KeyDraft("", "k", boss.id))
    admin = world.who(mine.secret)
    with world.db.read() as session:
        owner = next(u for u in world.service.people.users(session, admin, Paging()) if u.role is Role.owner)
    people, keys = world.service.people, world.service.keys
    forbidden = [
        lambda s: people.set_role(s, admin, boss.id, Role.owner),
        lambda s: people.set_role(s, admin, owner.id, Role.viewer),
        lambda s: people.remove_user(s, admin, owner.id),
        lambda s: people.add_user(s, admin, "me2@example.com", "Me", Role.owner),
        lambda s: people.invite(s, admin, "me3@example.com", Role.owner, ()),
        lambda s: keys.create_admin_key(s, admin, KeyDraft("", "k", owner.id)),
        lambda s: keys.rotate(s, admin, "", world.admin.key_id, 0),
        lambda s: keys.revoke(s, admin, "", world.admin.key_id),
    ]
    for attempt in forbidden:
        with pytest.raises(OwnerOnly), world.db.write() as session:
            attempt(session)


def test_the_last_admin_key_stays(world: Any) -> None:
    with pytest.raises(LastAdminKey), world.db.write() as session:
        world.service.keys.revoke(session, world.admin, "", world.admin.key_id)
    assert world.works(world.first.admin_key_secret) is True
    with world.db.write() as session:
        world.service.keys.create_admin_key(session, world.admin, KeyDraft("", "second"))
    with world.db.write() as session:
        world.service.keys.revoke(session, world.admin, "", world.admin.key_id)
    assert not world.works(world.first.admin_key_secret)


def test_last_use_is_noted_when_told(world: Any) -> None:
    key_id = world.who(world.first.project_key_secret).key_id
    with world.db.read() as session:
        assert world.service.keys.key(session, world.admin, world.project_id, key_id).last_used_at is None
    world.clock.advance(5)
    with world.db.write() as session:
        world.service.touch(session, [key_id, "internal"])
        world.service.touch(session, [])
    with world.db.read() as session:
        key = world.service.keys.key(session, world.admin, world.project_id, key_id)
    assert key.last_used_at == world.clock.unix()


def test_the_snapshot_says_what_authenticate_says(world: Any) -> None:
    secrets = [world.first.admin_key_secret, world.first.project_key_secret]
    secrets += [world.member_key(role.value, role)[1] for role in Role]
    with world.db.read() as session:
        entries = {entry.digest: entry for entry in world.service.key_snapshot(session)}
    assert len(entries) == len(secrets)
    for secret in secrets:
        who, digest = world.who(secret), sha256_hex(secret)
        assert entries[digest] == KeyEntry(
            digest, who.key_id, who.organization_id, who.project_id, who.principal, who.permissions, None
        )


def test_keys_list_by_whether_their_owner_still_has_access(world: Any) -> None:
    user, secret = world.member_key("ann", Role.developer)
    with world.db.write() as session:
        world.service.people.remove_member(session, world.admin, world.project_id, user.id)
    with world.db.read() as session:
        listed = {
            access: [k.id for k in world.service.keys.page(session, world.admin, world.project_id, Paging(), access)]
            for access in (None, True, False)
        }
    assert listed[False] == [world.who(secret).key_id]
    assert listed[True] == [world.who(world.first.project_key_secret).key_id]
    assert listed[None] == sorted(listed[True] + listed[False])


def test_a_key_has_one_owner_of_its_own_project(world: Any) -> None:
    create = world.service.keys.create_project_key
    with world.db.write() as session:
        other = world.service.create_project(session, world.admin, "Other")
        account = world.service.create_service_account(session, world.admin, other.id, "robot")
    with pytest.raises(NotFound), world.db.write() as session:
        create(session, world.admin, KeyDraft(world.project_id, "k", service_account_id=account.id))
    with pytest.raises(NotFound), world.db.write() as session:
        create(session, world.admin, KeyDraft(world.project_id, "k", user_id="user_nobody"))
    with pytest.raises(BadInput), world.db.write() as session:
        create(session, world.admin, KeyDraft(other.id, "k", "user_x", account.id))
    with world.db.write() as session:
        robot = create(session, world.admin, KeyDraft(other.id, "k", service_account_id=account.id))
        world.service.change_service_account(session, world.admin, account)
    # a machine with project:write must name the person: it is none
    with pytest.raises(BadInput), world.db.write() as session:
        create(session, world.who(robot.secret), KeyDraft(other.id, "k"))
