"""Who keeps a blob alive: reservations, references, sweeps, crashes in between."""

from __future__ import annotations

import pytest

from plinth.data import DataService
from plinth.data.content import RESERVED_SECONDS
from plinth.data.errors import ContentGone
from plinth.data.model import NewFile
from plinth.data.ports import RememberedDigests
from plinth.data.settings import DataSettings
from plinth.kit.blobs import BlobRef, InMemoryBlobs, put_bytes
from plinth.kit.clock import FixedClock
from plinth.kit.db import Database

NEW = NewFile("a.txt", "user_data")


@pytest.fixture
def blobs() -> InMemoryBlobs:
    return InMemoryBlobs()


@pytest.fixture
def others() -> RememberedDigests:
    return RememberedDigests()


@pytest.fixture
def service(blobs: InMemoryBlobs, clock: FixedClock, others: RememberedDigests) -> DataService:
    return DataService(blobs, clock, DataSettings(), [others])


def keep(service: DataService, db: Database, content: bytes) -> str:
    with service.files.intake() as intake:
        intake.write(content)
        with service.content.keeping(db, intake) as (blob, reservation), db.write() as session:
            return service.files.add(session, "proj_a", blob, NEW, reservation).id


def delete(service: DataService, db: Database, file_id: str) -> None:
    with db.write() as session:
        service.files.delete(session, "proj_a", file_id)


def test_a_crash_after_the_blob_and_before_the_row_leaks_nothing(
    service: DataService, db: Database, clock: FixedClock, blobs: InMemoryBlobs
) -> None:
    with service.files.intake() as intake:
        intake.write(b"lost")
        with db.write() as session:
            service.content.reserve(session, intake.digest)
        intake.commit()
    service.tidy(db)
    assert len(blobs.content) == 1  # the row might still come
    clock.advance(RESERVED_SECONDS)
    service.tidy(db)
    assert blobs.content == {}


def test_a_delete_does_not_take_bytes_that_somebody_is_about_to_refer_to(
    service: DataService, db: Database, clock: FixedClock, blobs: InMemoryBlobs
) -> None:
    old = keep(service, db, b"shared")
    with service.files.intake() as intake:
        intake.write(b"shared")
        with service.content.keeping(db, intake) as (blob, reservation):
            delete(service, db, old)
            service.content.sweep_now(db)
            with db.write() as session:
                new = service.files.add(session, "proj_a", blob, NEW, reservation)
    assert len(blobs.content) == 1
    delete(service, db, new.id)
    service.content.sweep_now(db)
    assert blobs.content == {}


def test_other_users_of_the_store_are_asked(
    service: DataService, db: Database, blobs: InMemoryBlobs, others: RememberedDigests
) -> None:
    file_id = keep(service, db, b"adapter")
    others.digests = set(blobs.content)
    delete(service, db, file_id)
    service.tidy(db)
    assert len(blobs.content) == 1


def test_a_blob_that_is_gone_cannot_become_a_file(service: DataService, db: Database, blobs: InMemoryBlobs) -> None:
    ref = put_bytes(blobs, b"x")
    blobs.delete(ref.digest)
    with pytest.raises(ContentGone), db.write() as session:
        service.store_file(session, "proj_a", "a", "batch_output", BlobRef(ref.digest, 1))


def test_facts_are_emitted(service: DataService, db: Database) -> None:
    from sqlalchemy import select

    from plinth.kit.events import events

    file_id = keep(service, db, b'{"prompt":"a","completion":"b"}')
    with db.write() as session:
        version = service.dataset_from_file(session, "proj_a", file_id)
        service.dataset_from_file(session, "proj_a", file_id)
        service.files.delete(session, "proj_a", file_id)
        found = session.execute(select(events.c.kind, events.c.project_id, events.c.payload)).all()
    assert [(kind, project) for kind, project, _ in found] == [
        ("data.file.created", "proj_a"),
        ("data.dataset_version.created", "proj_a"),
        ("data.file.deleted", "proj_a"),
    ]
    assert found[1].payload["version_id"] == version.id
