"""Decisions about evals and runs. Methods take the session first; nothing here asks a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from plinth.evaluation import graders, reports, sources, specs, store, templates
from plinth.evaluation.errors import (
    InvalidGrader,
    InvalidItemSchema,
    InvalidTemplate,
    NothingToCompare,
    RunFinished,
    UnsupportedSource,
)
from plinth.evaluation.json_schema import Schema
from plinth.evaluation.model import Eval, ItemStatus, Json, OutputItem, Row, Run, RunStatus, Tally
from plinth.evaluation.ports import Files
from plinth.evaluation.sandbox import PythonSandbox
from plinth.evaluation.settings import EvaluationSettings
from plinth.evaluation.sources import FileId, JsonlSource, RunSource
from plinth.evaluation.specs import GraderSpec
from plinth.identity import Actor
from plinth.kit import events
from plinth.kit.clock import Clock
from plinth.kit.db import Session
from plinth.kit.errors import BadInput, NotFound
from plinth.kit.ids import new_id

RUN_QUEUED = "evaluation.run.queued"


@dataclass(frozen=True)
class RunPlan:
    """A run that was checked row by row and not stored yet."""

    parent: Eval
    name: str
    metadata: dict[str, str] | None
    source: RunSource
    rows: list[Row]


@dataclass(frozen=True)
class RunView:
    """A run with its counts. `content` is the inline rows, None where they are left out."""

    run: Run
    parent: Eval
    tally: Tally
    content: list[Json] | None = None


class EvaluationService:
    """Emits `evaluation.run.queued` {run_id, eval_id} and `evaluation.run.canceled` {run_id, eval_id}.

    Args: `files` is the data slice's service; `sandbox` is only used to check python graders.
    """

    def __init__(self, clock: Clock, files: Files, sandbox: PythonSandbox, settings: EvaluationSettings) -> None:
        self._clock, self._files, self._sandbox, self._settings = clock, files, sandbox, settings

    # evals

    def draft_eval(self, project_id: str, name: str | None, given: Mapping[str, Any]) -> Eval:
        """Check an eval without storing it. Needs no session: loading python graders in the sandbox takes
        a moment, and no transaction should wait for it.

        Args: `given` holds data_source_config, testing_criteria, metadata in wire form.
        Raises `UnsupportedSource`, `InvalidItemSchema`, `InvalidGrader` and its kin, `SandboxUnavailable`.
        """
        schema, with_sample = self._data_source_config(given["data_source_config"])
        criteria = [specs.dump(spec) for spec in self._criteria(given["testing_criteria"], schema, with_sample)]
        now, id = self._clock.unix(), new_id("eval_")
        return Eval(
            id=id,
            project_id=project_id,
            name=name or id,
            item_schema=schema,
            include_sample_schema=with_sample,
            testing_criteria=criteria,
            metadata=given.get("metadata"),
            created_at=now,
            updated_at=now,
        )

    def create_eval(self, session: Session, draft: Eval) -> Eval:
        """Store what `draft_eval` made."""
        store.insert_eval(session, draft)
        return draft

    def eval(self, session: Session, project_id: str, eval_id: str) -> Eval:
        """Raises `NotFound`."""
        found = store.eval_by_id(session, project_id, eval_id)
        if found is None:
            raise NotFound(what="eval", id=eval_id)
        return found

    def update_eval(self, session: Session, project_id: str, eval_id: str, changes: Mapping[str, Any]) -> Eval:
        """Args: `changes` may hold name and metadata; nothing else of an eval ever changes."""
        allowed = {name: changes[name] for name in ("name", "metadata") if name in changes}
        entry = replace(self.eval(session, project_id, eval_id), **allowed, updated_at=self._clock.unix())
        store.update_eval(session, entry)
        return entry

    def list_evals(
        self, session: Session, project_id: str, page: Mapping[str, Any], order_by: str = "created_at"
    ) -> list[Eval]:
        """Up to `page["limit"] + 1`; `page` holds after, limit, descending; `order_by` may be updated_at."""
        mark = self.eval(session, project_id, page["after"]) if page["after"] else None
        return store.list_evals(session, project_id, mark, page["limit"] + 1, (order_by, page["descending"]))

    def delete_eval(self, session: Session, project_id: str, eval_id: str) -> None:
        """Its runs go with it; a run in progress stops at its next row."""
        store.delete_eval(session, self.eval(session, project_id, eval_id).id)

    # runs

    def plan_run(self, session: Session, project_id: str, eval_id: str, draft: Mapping[str, Any]) -> RunPlan:
        """Check the whole data source; reads only. Raises `BadInput` and its kin, `NotFound`."""
        parent = self.eval(session, project_id, eval_id)
        source = sources.parse(draft["data_source"])
        needs_sample = isinstance(source, JsonlSource) and self._uses_sample(parent)
        limits = sources.RowLimits(
            self._settings.max_items_per_run, self._settings.max_source_bytes, self._settings.max_item_bytes
        )
        schema = Schema(parent.item_schema)
        if isinstance(source.source, FileId):
            with self._files.open_file(self._files.file(session, project_id, source.source.id)) as stream:
                rows = sources.checked_rows(sources.lines_of(stream, limits), schema, needs_sample, limits)
        else:
            rows = sources.checked_rows(enumerate(source.source.content, 1), schema, needs_sample, limits)
        return RunPlan(parent, draft.get("name") or "", draft.get("metadata"), source, rows)

    def create_run(self, session: Session, plan: RunPlan) -> RunView:
        now, run_id = self._clock.unix(), new_id("evalrun_")
        run = Run(
            id=run_id,
            eval_id=plan.parent.id,
            project_id=plan.parent.project_id,
            name=plan.name or run_id,
            status=RunStatus.queued,
            model="" if isinstance(plan.source, JsonlSource) else plan.source.model,
            data_source=sources.dump(plan.source),
            metadata=plan.metadata,
            error=None,
            total=len(plan.rows),
            cancel_requested=False,
            created_at=now,
        )
        self.eval(session, plan.parent.project_id, plan.parent.id)
        store.insert_run(session, run, [_pending(run, index, row) for index, row in enumerate(plan.rows)])
        events.emit(session, self._clock, RUN_QUEUED, {"run_id": run.id, "eval_id": run.eval_id}, run.project_id)
        return self._view(session, run, plan.parent)

    def run(self, session: Session, project_id: str, eval_id: str, run_id: str) -> RunView:
        """Raises `NotFound`."""
        parent = self.eval(session, project_id, eval_id)
        return self._view(session, self._run(session, parent, run_id), parent)

    def list_runs(
        self, session: Session, project_id: str, eval_id: str, page: Mapping[str, Any], status: str | None
    ) -> list[RunView]:
        """Up to `page["limit"] + 1`, without inline content. `page` holds after, limit, descending."""
        parent = self.eval(session, project_id, eval_id)
        found = store.list_runs(session, eval_id, page["after"], page["limit"] + 1, page["descending"], status)
        tallies = store.tallies(session, [run.id for run in found])
        return [RunView(run, parent, tallies[run.id]) for run in found]

    def cancel_run(self, session: Session, project_id: str, eval_id: str, run_id: str) -> RunView:
        """A queued run ends at once, a running one at its next row; what is graded stays.

        Idempotent while the run stops. Raises `RunFinished`, `NotFound`.
        """
        view = self.run(session, project_id, eval_id, run_id)
        run = view.run
        if run.status is RunStatus.canceled:
            return view
        if run.status.is_final:
            raise RunFinished(id=run_id, status=run.status)
        store.request_cancel(session, run_id)
        if run.status is RunStatus.queued:
            store.finish_run(session, run_id, RunStatus.canceled, None, {}, self._clock.unix())
            payload = {"run_id": run_id, "eval_id": eval_id}
            events.emit(session, self._clock, "evaluation.run.canceled", payload, project_id)
        return self.run(session, project_id, eval_id, run_id)

    def delete_run(self, session: Session, project_id: str, eval_id: str, run_id: str) -> None:
        parent = self.eval(session, project_id, eval_id)
        store.delete_run(session, self._run(session, parent, run_id).id)

    def output_items(
        self, session: Session, ids: tuple[str, str, str], page: Mapping[str, Any], status: ItemStatus | None
    ) -> list[OutputItem]:
        """Args: `ids` are project, eval and run; `page` as in `list_runs`."""
        project_id, eval_id, run_id = ids
        self._run(session, self.eval(session, project_id, eval_id), run_id)
        return store.output_items(session, run_id, page["after"], page["limit"] + 1, page["descending"], status)

    def output_item(self, session: Session, ids: tuple[str, str, str], item_id: str) -> OutputItem:
        """Raises `NotFound`."""
        project_id, eval_id, run_id = ids
        self._run(session, self.eval(session, project_id, eval_id), run_id)
        found = store.output_item(session, run_id, item_id)
        if found is None:
            raise NotFound(what="output item", id=item_id)
        return found

    def compare(self, session: Session, project_id: str, eval_id: str, run_a: str, run_b: str) -> Json:
        """The paired comparison of two runs of one eval. Raises `NothingToCompare`, `NotFound`."""
        parent = self.eval(session, project_id, eval_id)
        first, second = self._run(session, parent, run_a), self._run(session, parent, run_b)
        a, b = store.results_of(session, run_a), store.results_of(session, run_b)
        found = reports.pairs(a, b)
        if not found:
            raise NothingToCompare(run_a=run_a, run_b=run_b)
        names = [criterion["name"] for criterion in parent.testing_criteria]
        return {
            "object": "eval.comparison",
            "eval_id": eval_id,
            "run_a": {"id": run_a, "name": first.name, "model": first.model, "unpaired_items": len(a) - len(found)},
            "run_b": {"id": run_b, "name": second.name, "model": second.model, "unpaired_items": len(b) - len(found)},
            **reports.comparison(found, names),
        }

    # graders

    def check_grader(self, given: Any) -> GraderSpec:
        """A grader on its own. Raises `InvalidGrader` and its kin, `SandboxUnavailable`."""
        spec = specs.parse(given)
        for part in specs.parts(spec):
            if isinstance(part, specs.PythonCode):
                self._sandbox.check(part.source)
            if isinstance(part, specs.TextSimilarity) and part.evaluation_metric == "cosine":
                self._check_embedding_model(part)
        return spec

    # helpers

    def _run(self, session: Session, parent: Eval, run_id: str) -> Run:
        found = store.run_by_id(session, run_id)
        if found is None or found.eval_id != parent.id:
            raise NotFound(what="eval run", id=run_id)
        return found

    def _view(self, session: Session, run: Run, parent: Eval) -> RunView:
        inline = run.data_source["source"]["type"] == "file_content"
        content = store.inline_content(session, run.id) if inline else None
        return RunView(run, parent, store.tally(session, run.id), content)

    def _data_source_config(self, given: Mapping[str, Any]) -> tuple[Json, bool]:
        if given.get("type") != "custom":
            raise UnsupportedSource(type=str(given.get("type"))[:64], param="data_source_config.type")
        schema = given.get("item_schema")
        if not isinstance(schema, dict):
            raise InvalidItemSchema(path="#", reason="it must be an object.", param="data_source_config.item_schema")
        Schema(schema)
        return schema, bool(given.get("include_sample_schema", False))

    def _criteria(self, given: Iterable[Any], schema: Json, with_sample: bool) -> list[GraderSpec]:
        found = []
        for index, criterion in enumerate(given):
            try:
                found.append(self._criterion(criterion, schema, with_sample))
            except BadInput as error:
                error.param = error.param or f"testing_criteria.{index}"
                raise
        names = [spec.name for spec in found]
        if not 0 < len(found) <= self._settings.max_criteria:
            raise BadInput(
                reason=f"An eval has between 1 and {self._settings.max_criteria} testing criteria.",
                param="testing_criteria",
            )
        if twice := [name for name in names if names.count(name) > 1]:
            raise InvalidGrader(name=twice[0], reason="two testing criteria have this name; give each its own.")
        return found

    def _criterion(self, given: Any, schema: Json, with_sample: bool) -> GraderSpec:
        spec = self.check_grader(given)
        if isinstance(spec, specs.TextSimilarity) and spec.pass_threshold is None:
            raise InvalidGrader(name=spec.name, reason="a text_similarity criterion needs a pass_threshold.")
        for text in spec.texts():
            for path in templates.parse(text).paths:
                _check_path(path, schema, with_sample)
        least = graders.threshold(spec)
        return spec if least is None else spec.model_copy(update={"pass_threshold": least})

    def _check_embedding_model(self, spec: specs.TextSimilarity) -> None:
        if not (spec.model or self._settings.embedding_model):
            reason = (
                "the cosine metric needs an embedding model: name one as `model`, or set evaluation.embedding_model."
            )
            raise InvalidGrader(name=spec.name, reason=reason)

    def _uses_sample(self, parent: Eval) -> bool:
        if not parent.include_sample_schema:
            return False
        parsed = [specs.parse(criterion) for criterion in parent.testing_criteria]
        texts = [text for spec in parsed for text in spec.texts()]
        return any(path.root == "sample" for text in texts for path in templates.parse(text).paths)


def owner(actor: Actor) -> str:
    """The project of the caller; an organization key has none. Raises `BadInput`."""
    if not actor.project_id:
        raise BadInput(reason="Evals belong to a project: use a project key (sk-proj-…).")
    return actor.project_id


def _check_path(path: templates.Path, schema: Json, with_sample: bool) -> None:
    if path.root == "sample":
        if not with_sample:
            raise InvalidTemplate(
                expression=str(path), reason="set include_sample_schema to true to grade the model's answer."
            )
        return
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties", False)
    if path.steps and properties and str(path.steps[0]) not in properties and extra is False and "$ref" not in schema:
        raise InvalidTemplate(
            expression=str(path), reason=f"item_schema has no property '{path.steps[0]}', only {', '.join(properties)}."
        )


def _pending(run: Run, index: int, row: Row) -> OutputItem:
    return OutputItem(
        id=new_id("outputitem_"),
        run_id=run.id,
        index=index,
        status=ItemStatus.pending,
        item=row.item,
        digest=sources.digest(row.item),
        given_sample=row.sample,
        sample=None,
        results=[],
        created_at=run.created_at,
    )
