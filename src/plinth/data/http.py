"""Routers: `/v1/files`, `/v1/uploads` (as the OpenAI SDK uses them) and `/api/datasets`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, BinaryIO, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from plinth.data.errors import UploadTruncated
from plinth.data.intake import Intake
from plinth.data.model import (
    DatasetVersion,
    Edge,
    File,
    FileQuery,
    Kind,
    NewFile,
    SplitRule,
    Upload,
    check_dataset_name,
    check_expiry,
    check_purpose,
    clean_filename,
)
from plinth.data.multipart import Form, FormReader
from plinth.data.schemas import (
    NO_NUL,
    CompleteRequest,
    DatasetObject,
    DatasetRequest,
    DeriveRequest,
    DryRunObject,
    FileObject,
    Format,
    PartObject,
    RowObject,
    RowPage,
    UploadObject,
    UploadRequest,
    VersionObject,
)
from plinth.data.service import DataService
from plinth.data.uploads import is_repeat
from plinth.identity import Actor
from plinth.kit.blobs import CHUNK_BYTES
from plinth.kit.db import Database
from plinth.kit.errors import PlinthError, TooLarge
from plinth.kit.http import Deleted, Guard, ListPage, page

FORM_OVERHEAD_BYTES = 1 << 20

Id = Annotated[str, Path(max_length=64, pattern=NO_NUL)]
Text = Annotated[str | None, Query(max_length=64, pattern=NO_NUL)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def router(db: Database, service: DataService, guard: Guard) -> APIRouter:
    """Everything of the slice. Reads need `data:read`, changes `data:write`."""
    whole = APIRouter()
    whole.include_router(_files(db, service, guard))
    whole.include_router(_uploads(db, service, guard))
    whole.include_router(_datasets(db, service, guard))
    whole.include_router(_versions(db, service, guard))
    return whole


def _files(db: Database, service: DataService, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/v1/files", tags=["files"])
    reader, writer = Depends(guard("data:read")), Depends(guard("data:write"))

    @routes.post("", openapi_extra=_form("file", purpose="string", **_EXPIRY))
    async def create_file(request: Request, actor: Actor = writer) -> FileObject:
        with service.files.intake() as intake:
            form = await _receive(request, intake, "file")
            return FileObject.of(await run_in_threadpool(_store_file, db, service, actor, form, intake))

    @routes.get("")
    def list_files(
        actor: Actor = reader,
        purpose: Text = None,
        after: Text = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
        order: Literal["asc", "desc"] = "desc",
    ) -> ListPage[FileObject]:
        with db.read() as session:
            query = FileQuery(purpose, after, limit, order == "asc")
            found = service.files.page(session, actor.project_id, query)
        return page([FileObject.of(file) for file in found], limit)

    @routes.get("/{file_id}")
    def retrieve_file(file_id: Id, actor: Actor = reader) -> FileObject:
        with db.read() as session:
            return FileObject.of(service.file(session, actor.project_id, file_id))

    @routes.get("/{file_id}/content", response_class=StreamingResponse)
    def file_content(file_id: Id, actor: Actor = reader) -> StreamingResponse:
        with db.read() as session:
            file = service.file(session, actor.project_id, file_id)
        headers = {"content-length": str(file.bytes), "etag": f'"{file.digest}"'}
        return _download(_chunks(service.open_file(file)), file.filename, headers)

    @routes.delete("/{file_id}")
    def delete_file(file_id: Id, actor: Actor = writer) -> Deleted:
        with db.write() as session:
            file = service.files.delete(session, actor.project_id, file_id)
        service.content.sweep_now(db)
        return Deleted(id=file.id, object="file")

    return routes


def _uploads(db: Database, service: DataService, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/v1/uploads", tags=["uploads"])
    uploads = service.uploads
    reader, writer = Depends(guard("data:read")), Depends(guard("data:write"))

    @routes.post("")
    def create_upload(body: UploadRequest, actor: Actor = writer) -> UploadObject:
        new = body.to_new()
        with db.write() as session:
            return UploadObject.of(uploads.create(session, actor.project_id, new))

    @routes.get("/{upload_id}")
    def retrieve_upload(upload_id: Id, actor: Actor = reader) -> UploadObject:
        with db.read() as session:
            upload = uploads.get(session, actor.project_id, upload_id)
        return _upload_object(db, service, upload)

    @routes.post("/{upload_id}/parts", openapi_extra=_form("data"))
    async def add_part(upload_id: Id, request: Request, actor: Actor = writer) -> PartObject:
        await run_in_threadpool(_check_pending, db, service, actor, upload_id)
        with uploads.part_intake() as intake:
            await _receive(request, intake, "data")
            return await run_in_threadpool(_store_part, db, service, actor, upload_id, intake)

    @routes.get("/{upload_id}/parts")
    def list_parts(
        upload_id: Id,
        actor: Actor = reader,
        after: Text = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> ListPage[PartObject]:
        with db.read() as session:
            found = uploads.parts(session, actor.project_id, upload_id, after=after, limit=limit)
        return page([PartObject.of(part) for part in found], limit)

    @routes.post("/{upload_id}/complete")
    def complete_upload(upload_id: Id, body: CompleteRequest, actor: Actor = writer) -> UploadObject:
        with db.read() as session:
            upload = uploads.get(session, actor.project_id, upload_id)
            if is_repeat(upload, body.part_ids):
                return _upload_object(db, service, upload)
            parts = uploads.choose(session, uploads.pending(session, actor.project_id, upload_id), body.part_ids)
        with (
            uploads.assemble(upload, parts, body.md5) as intake,
            service.content.keeping(db, intake) as (blob, reservation),
            db.write() as session,
        ):
            upload = uploads.complete(session, upload, body.part_ids, blob, reservation)
        service.content.sweep_now(db)
        return _upload_object(db, service, upload)

    @routes.post("/{upload_id}/cancel")
    def cancel_upload(upload_id: Id, actor: Actor = writer) -> UploadObject:
        with db.write() as session:
            upload = uploads.cancel(session, actor.project_id, upload_id)
        service.content.sweep_now(db)
        return UploadObject.of(upload)

    return routes


def _datasets(db: Database, service: DataService, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/api/datasets", tags=["datasets"])
    datasets = service.datasets
    reader, writer = Depends(guard("data:read")), Depends(guard("data:write"))

    @routes.post("")
    def create_dataset(body: DatasetRequest, actor: Actor = writer) -> VersionObject | DryRunObject:
        name = check_dataset_name(body.name)
        with db.read() as session:
            file = service.file(session, actor.project_id, body.file_id)
        with datasets.draft(file, body.to_reading(), body.to_splits()) as draft:
            if body.dry_run:
                return DryRunObject.of(draft)
            version = datasets.save(db, actor.project_id, name, draft, Edge("file", file.id))
        return _version_object(db, service, version)

    @routes.get("")
    def list_datasets(actor: Actor = reader, after: Text = None, limit: Limit = 100) -> ListPage[DatasetObject]:
        with db.read() as session:
            found = datasets.page(session, actor.project_id, after, limit)
        return page([DatasetObject.of(dataset) for dataset in found], limit)

    @routes.get("/{name}")
    def retrieve_dataset(name: Id, actor: Actor = reader) -> DatasetObject:
        with db.read() as session:
            return DatasetObject.of(datasets.dataset(session, actor.project_id, name))

    @routes.get("/{name}/versions")
    def list_versions(
        name: Id, actor: Actor = reader, after: Text = None, limit: Limit = 100
    ) -> ListPage[VersionObject]:
        with db.read() as session:
            found = datasets.versions(session, datasets.dataset(session, actor.project_id, name), after, limit)
        return page([VersionObject.of(version) for version in found], limit)

    @routes.post("/{name}/versions")
    def derive_version(name: Id, body: DeriveRequest, actor: Actor = writer) -> VersionObject:
        splits = SplitRule(body.splits, body.split_seed)
        with db.read() as session:
            datasets.dataset(session, actor.project_id, name)
            parent = service.version(session, actor.project_id, body.from_version_id)
        version = service.derive_version(db, parent, splits=splits, name=name)
        return _version_object(db, service, version)

    return routes


def _versions(db: Database, service: DataService, guard: Guard) -> APIRouter:
    routes = APIRouter(prefix="/api/dataset_versions", tags=["datasets"])
    datasets = service.datasets
    reader = Depends(guard("data:read"))

    @routes.get("/{version_id}")
    def retrieve_version(version_id: Id, actor: Actor = reader) -> VersionObject:
        with db.read() as session:
            version = service.version(session, actor.project_id, version_id)
        return _version_object(db, service, version)

    @routes.get("/{version_id}/rows")
    def preview_rows(
        version_id: Id,
        actor: Actor = reader,
        split: Text = None,
        after: Text = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> RowPage:
        with db.read() as session:
            version = service.version(session, actor.project_id, version_id)
        found, following = datasets.preview(version, split, after, limit)
        return RowPage(data=[RowObject(number=n, split=place, row=row) for n, place, row in found], next=following)

    @routes.get("/{version_id}/content", response_class=StreamingResponse)
    def export_version(
        version_id: Id,
        actor: Actor = reader,
        split: Text = None,
        format: Format | None = None,
    ) -> StreamingResponse:
        with db.read() as session:
            version = service.version(session, actor.project_id, version_id)
        kind = Kind(format) if format else version.layout.kind
        if kind is not version.layout.kind:
            for _ in datasets.export(version, kind, split):
                pass  # a row that cannot be written must fail before the response begins
        return _download(_encoded(datasets.export(version, kind, split)), _export_name(version, kind), {})

    return routes


# --- receiving


async def _receive(request: Request, intake: Intake, field: str) -> Form:
    """Stream the request's file part into the intake, a mebibyte at a time, off the event loop."""
    limit = intake.limit_bytes + FORM_OVERHEAD_BYTES
    declared = request.headers.get("content-length", "")
    body = request.stream()
    try:
        if declared.isdecimal() and int(declared) > limit:
            raise TooLarge(limit_bytes=intake.limit_bytes, setting=intake.setting, param=field)
        reader, waiting = FormReader(request.headers.get("content-type", ""), field, intake.write), bytearray()
        async for chunk in body:
            waiting += chunk
            if len(waiting) >= CHUNK_BYTES:
                await run_in_threadpool(reader.feed, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(reader.feed, bytes(waiting))
        return reader.finish()
    except ClientDisconnect:
        raise UploadTruncated from None
    except PlinthError:
        await _drain(body, 2 * limit)
        raise


async def _drain(body: AsyncIterator[bytes], most_bytes: int) -> None:
    """Read on for a while: a client that is still sending would see a reset connection, not our answer."""
    try:
        async for chunk in body:
            most_bytes -= len(chunk)
            if most_bytes < 0:
                return
    except ClientDisconnect:
        return


def _store_file(db: Database, service: DataService, actor: Actor, form: Form, intake: Intake) -> File:
    fields = form.fields
    purpose, filename = check_purpose(fields.get("purpose")), clean_filename(form.filename)
    lives = check_expiry(fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]"), purpose)
    intake.check(filename, purpose)
    with service.content.keeping(db, intake) as (blob, reservation), db.write() as session:
        return service.files.add(session, actor.project_id, blob, NewFile(filename, purpose, lives), reservation)


def _check_pending(db: Database, service: DataService, actor: Actor, upload_id: str) -> None:
    with db.read() as session:
        service.uploads.pending(session, actor.project_id, upload_id)


def _store_part(db: Database, service: DataService, actor: Actor, upload_id: str, intake: Intake) -> PartObject:
    intake.check("data", "part")
    with service.content.keeping(db, intake) as (blob, reservation), db.write() as session:
        return PartObject.of(service.uploads.add_part(session, actor.project_id, upload_id, blob, reservation))


# --- sending


def _upload_object(db: Database, service: DataService, upload: Upload) -> UploadObject:
    """An upload with its file, as long as the file is there."""
    if upload.file_id is None:
        return UploadObject.of(upload)
    with db.read() as session:
        return UploadObject.of(upload, service.files.find(session, upload.project_id, upload.file_id))


def _version_object(db: Database, service: DataService, version: DatasetVersion) -> VersionObject:
    with db.read() as session:
        parents = service.datasets.parents(session, version)
        children = service.datasets.children(session, version.project_id, Edge("version", version.id))
    return VersionObject.of(version, parents, children)


def _download(content: Iterator[bytes], filename: str, headers: dict[str, str]) -> StreamingResponse:
    """A body to save, never to show: a browser must not run what somebody uploaded."""
    return StreamingResponse(
        content,
        media_type="application/octet-stream",
        headers=headers
        | {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
            "x-content-type-options": "nosniff",
        },
    )


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    with source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


def _encoded(texts: Iterator[str]) -> Iterator[bytes]:
    """Texts as UTF-8 in pieces of at least 64 KiB (or the rest)."""
    waiting = bytearray()
    for text in texts:
        waiting += text.encode()
        if len(waiting) >= 1 << 16:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _export_name(version: DatasetVersion, kind: Kind) -> str:
    own = kind is version.layout.kind
    container = "jsonl" if kind is Kind.chat else version.layout.container if own else "csv"
    if kind is Kind.prompt_completion and not own:
        container = "jsonl"
    return f"{version.dataset}-v{version.number}.{container}"


_EXPIRY = {"expires_after[anchor]": "string", "expires_after[seconds]": "integer"}


def _form(file_field: str, **fields: str) -> dict[str, Any]:
    """The request body for the OpenAPI document; the body itself is read as a stream."""
    properties: dict[str, Any] = {file_field: {"type": "string", "format": "binary"}}
    properties |= {name: {"type": kind} for name, kind in fields.items()}
    required = [file_field, *(["purpose"] if "purpose" in fields else [])]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
