from __future__ import annotations

import pytest

from plinth.data import InvalidRows
from plinth.kit.errors import NotFound, PlinthError
from plinth.kit.events import Event
from plinth.registry import UnknownModel
from plinth.tuning import Hyperparameters, Job, JobStatus
from plinth.tuning.errors import (
    BadHyperparameter,
    BaseRetired,
    NotTunable,
    RowTooLong,
    TooManyRows,
    UnknownRecipe,
    WrongPurpose,
    WrongState,
)
from plinth.tuning.settings import TuningSettings
from support import actor
from tuning_support import Workshop, jsonl, rows


def all_jobs(shop: Workshop) -> list[Job]:
    with shop.db.read() as session:
        return shop.service.jobs(session, "proj_a")


def test_a_job_is_recorded_with_everything_that_shapes_it(shop: Workshop) -> None:
    job = shop.submit(suffix="bank", metadata={"team": "a"})
    assert job.status is JobStatus.validating_files
    assert (job.rows, job.base_id, job.suffix) == (12, "tiny", "bank")
    assert 0 <= job.seed < 2**31
    assert shop.job(job.id) == job
    assert shop.facts() == [("tuning.job.queued", {"job_id": job.id, "attempt": 1})]


def test_a_given_seed_is_kept_even_when_it_is_zero(shop: Workshop) -> None:
    assert shop.submit(seed=0).seed == 0


def test_nothing_exists_after_a_refusal(shop: Workshop) -> None:
    good, evals = shop.upload(jsonl(rows())), shop.upload(jsonl(rows()), purpose="evals")
    bad = shop.upload(jsonl([*rows(3), {"messages": [{"role": "user", "content": "no answer"}]}]))
    long = shop.upload(jsonl([*rows(2), *rows(1, label="x" * 9000)]))
    theirs = shop.upload(jsonl(rows()), project="proj_b")
    refused: list[tuple[type[PlinthError], str | None, dict[str, object]]] = [
        (UnknownModel, "model", {"model": "nothing"}),
        (NotTunable, "model", {"model": "embedder"}),
        (BaseRetired, "model", {"model": "retired"}),
        (NotFound, "training_file", {"training_file": "file-nothing"}),
        (NotFound, "training_file", {"training_file": theirs}),
        (NotFound, "validation_file", {"validation_file": "file-nothing"}),
        (WrongPurpose, "training_file", {"training_file": evals}),
        (WrongPurpose, "validation_file", {"validation_file": evals}),
        (InvalidRows, "training_file", {"training_file": bad}),
        (InvalidRows, "validation_file", {"validation_file": bad}),
        (RowTooLong, "training_file", {"training_file": long}),
        (RowTooLong, "validation_file", {"validation_file": long}),
        (UnknownRecipe, "recipe", {"recipe": "perfect"}),
        (BadHyperparameter, "n_epochs", {"hyperparameters": Hyperparameters(n_epochs=0)}),
    ]
    for expected, param, fields in refused:
        with pytest.raises(expected) as caught:
            shop.submit(**{"training_file": good, **fields})
        assert caught.value.param == param
    assert all_jobs(shop) == []
    assert shop.facts() == []


def test_the_row_that_is_too_long_is_named(shop: Workshop) -> None:
    with pytest.raises(RowTooLong, match="Row 3 of the file"):
        shop.submit(training_file=shop.upload(jsonl([*rows(2), *rows(1, label="x" * 9000)])))


def test_a_base_may_be_used_until_its_last_day(shop: Workshop) -> None:
    assert shop.submit(model="leaving").base_id == "leaving"


def test_rows_have_a_limit(shop: Workshop) -> None:
    shop.service.settings = TuningSettings(max_rows=11)
    with pytest.raises(TooManyRows):
        shop.submit()


def test_another_projects_job_does_not_exist(shop: Workshop) -> None:
    job = shop.submit()
    with shop.db.read() as session, pytest.raises(NotFound):
        shop.service.job(session, "proj_b", job.id)
    for change in (shop.service.cancel, shop.service.pause, shop.service.resume):
        with shop.db.write() as session, pytest.raises(NotFound):
            change(session, actor("proj_b"), job.id)


def test_metadata_filters(shop: Workshop) -> None:
    file = shop.upload(jsonl(rows()))
    both = shop.submit(training_file=file, metadata={"team": "a", "run": "1"})
    other = shop.submit(training_file=file, metadata={"team": "a", "run": ""})
    none = shop.submit(training_file=file)
    with shop.db.read() as session:

        def ids(pairs: dict[str, str] | None) -> list[str]:
            return [job.id for job in shop.service.jobs(session, "proj_a", metadata=pairs)]

        assert ids({}) == [none.id, other.id, both.id]
        assert ids({"team": "a"}) == [other.id, both.id]
        assert ids({"team": "a", "run": "1"}) == [both.id]
        assert ids({"run": ""}) == [other.id]
        assert ids({"team": "b"}) == []
        assert ids(None) == [none.id]


def test_queued_is_shown_once_the_event_was_seen(shop: Workshop) -> None:
    job = shop.submit()
    for _ in range(2):
        with shop.db.write() as session:
            shop.service.on_job_queued(session, Event(1, "tuning.job.queued", "proj_a", {"job_id": job.id}, 0.0))
    assert shop.job(job.id).status is JobStatus.queued
    assert shop.event_texts(job).count("Files validated, job queued.") == 1


def test_steering_a_waiting_job(shop: Workshop) -> None:
    job, who = shop.submit(), actor()
    with shop.db.write() as session:
        assert shop.service.pause(session, who, job.id).status is JobStatus.paused
        assert shop.service.pause(session, who, job.id).status is JobStatus.paused
        assert shop.service.resume(session, who, job.id).attempt == 2
        assert shop.service.resume(session, who, job.id).attempt == 2
        assert shop.service.cancel(session, who, job.id).status is JobStatus.cancelled
        assert shop.service.cancel(session, who, job.id).status is JobStatus.cancelled
        for change in (shop.service.pause, shop.service.resume):
            with pytest.raises(WrongState, match="is cancelled"):
                change(session, who, job.id)
    assert [kind for kind, _ in shop.facts()] == [
        "tuning.job.queued",
        "tuning.job.paused",
        "tuning.job.queued",
        "tuning.job.cancelled",
    ]
