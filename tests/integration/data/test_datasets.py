"""Datasets over HTTP: import, dry run, bad rows, versions, splits, lineage, preview, export."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from plinth.adapters.blobs.folder import FolderBlobs
from plinth.data import DataService, EmptyDataset, InvalidRows, Kind, Reading, SplitRule
from plinth.data.errors import DatasetTooLarge, DecompressedTooLarge, TooManyLabels
from plinth.kit.errors import BadInput, NotFound
from support import SHARED_DATA, actor

from .conftest import SMALL, Platform

TABLE = 'text,label\n"Where, is my card?",card\nI lost it,lost\nRefund please,refund\nWhere is it,card\n'
SPLIT = {"train": 0.5, "test": 0.5}


@pytest.fixture
def http(platform: Platform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=platform.url, timeout=60) as client:
        yield client


def upload(platform: Platform, content: str | bytes, name: str = "intents.csv") -> str:
    raw = content.encode() if isinstance(content, str) else content
    return platform.client.files.create(file=(name, raw), purpose="fine-tune").id


def chat(question: str, answer: str = "yes") -> str:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages}) + "\n"


def rows_of(http: httpx.Client, version: str, **query: Any) -> list[dict[str, Any]]:
    found, after = [], None
    while True:
        answer = http.get(
            f"/api/dataset_versions/{version}/rows", params={**query, "after": after or ""} if after else query
        )
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]
        if (after := answer.json()["next"]) is None:
            return found


def test_import_a_table_and_read_it_back(platform: Platform, http: httpx.Client) -> None:
    file_id = upload(platform, TABLE)
    body = {"name": "意图", "file_id": file_id, "instruction": "Classify.", "splits": SPLIT}
    made = http.post("/api/datasets", json=body).json()
    assert (made["dataset"], made["version"], made["format"], made["rows"]) == ("意图", 1, "classification", 4)
    assert made["statistics"]["labels"] == {"card": 2, "lost": 1, "refund": 1}
    assert sum(split["rows"] for split in made["statistics"]["splits"].values()) == 4
    assert made["sources"] == [{"kind": "file", "id": file_id}]
    rows = rows_of(http, made["id"], limit=3)
    assert [row["number"] for row in rows] == [0, 1, 2, 3]
    assert rows[0]["row"] == {
        "messages": [
            {"role": "system", "content": "Classify."},
            {"role": "user", "content": "Where, is my card?"},
            {"role": "assistant", "content": "card"},
        ],
        "label": "card",
    }
    tested = rows_of(http, made["id"], split="test", limit=1)
    assert tested == [row for row in rows if row["split"] == "test"]
    assert http.get("/api/datasets/意图").json()["latest_version"] == 1
    assert [d["name"] for d in http.get("/api/datasets").json()["data"]] == ["意图"]
    assert http.get(f"/api/dataset_versions/{made['id']}/content").text == TABLE
    assert len(http.get(f"/api/dataset_versions/{made['id']}/content?format=chat").text.splitlines()) == 4
    pairs = http.get(f"/api/dataset_versions/{made['id']}/content?format=prompt_completion").text
    assert json.loads(pairs.splitlines()[1]) == {"prompt": "I lost it", "completion": "lost"}


def test_a_dry_run_reports_and_stores_nothing(platform: Platform, http: httpx.Client) -> None:
    file_id = upload(platform, TABLE + "only one field\n,empty\n")
    before = platform.stored()
    report = http.post("/api/datasets", json={"name": "a", "file_id": file_id, "dry_run": True}).json()
    assert (report["ok"], report["bad_row_count"], report["text_column"]) == (False, 2, "text")
    assert [(bad["line"], bad["code"]) for bad in report["bad_rows"]] == [(6, "ragged_row"), (7, "empty_text")]
    assert len(report["sample"]) == 4
    good = http.post("/api/datasets", json={"name": "a", "file_id": upload(platform, TABLE), "dry_run": True}).json()
    assert good["ok"] is True
    assert http.get("/api/datasets").json()["data"] == []
    assert len(platform.stored()) == len(before) + 1  # the second upload


def test_every_bad_row_is_listed_and_nothing_imported(platform: Platform, http: httpx.Client) -> None:
    lines = [chat(f"q{n}") if n % 2 else '{"messages": [}\n' for n in range(300)]
    file_id = upload(platform, "".join(lines), "train.jsonl")
    before = platform.stored()
    answer = http.post("/api/datasets", json={"name": "a", "file_id": file_id})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_rows", "file_id")
    assert "150 bad row(s), the first on line 1, column character 15" in error["message"]
    assert len(error["rows"]) == 100
    assert error["total_rows"] == 150
    assert error["rows"][1]["line"] == 3
    assert platform.stored() == before
    assert http.get("/api/datasets").json()["data"] == []
    chinese = http.post("/api/datasets", json={"name": "a", "file_id": file_id}, headers={"accept-language": "zh"})
    assert "共有 150 行有问题，第一处在第 1 行" in chinese.json()["error"]["message"]


def test_the_same_content_is_the_same_version(platform: Platform, http: httpx.Client) -> None:
    first, second = upload(platform, TABLE), upload(platform, TABLE.replace("\n", "\r\n"))
    one = http.post("/api/datasets", json={"name": "a", "file_id": first}).json()
    two = http.post("/api/datasets", json={"name": "a", "file_id": second}).json()
    assert one["id"] == two["id"]
    assert {source["id"] for source in two["sources"]} == {first, second}
    other = http.post("/api/datasets", json={"name": "a", "file_id": first, "splits": SPLIT}).json()
    assert (other["version"], other["id"] != one["id"]) == (2, True)
    assert other["content_hash"] != one["content_hash"]
    listed = http.get("/api/datasets/a/versions?limit=1").json()
    assert ([v["id"] for v in listed["data"]], listed["has_more"]) == ([other["id"]], True)


def test_a_row_keeps_its_split_in_every_version(platform: Platform, http: httpx.Client) -> None:
    questions = [f"question {n}" for n in range(200)]
    old = upload(platform, "".join(chat(q) for q in questions), "old.jsonl")
    # other order, new rows between, corrected answers, one duplicate
    changed = "".join(chat(q, "no") + chat(q + " new") for q in reversed(questions)) + chat(questions[0], "again")
    new = upload(platform, changed, "new.jsonl")
    body = {"name": "a", "splits": {"train": 0.8, "validation": 0.1, "test": 0.1}, "split_seed": 7}
    places = []
    for file_id in (old, new):
        version = http.post("/api/datasets", json={**body, "file_id": file_id}).json()["id"]
        rows = rows_of(http, version, limit=100)
        places.append({(row["row"]["messages"][0]["content"], row["split"]) for row in rows})
    assert places[0] <= places[1]
    assert len(places[1]) == 400  # each question in exactly one split
    shares = [sum(split == name for _, split in places[1]) for name in ("train", "validation", "test")]
    assert 270 < shares[0] < 370
    assert min(shares) > 15


def test_a_derived_version_has_lineage_both_ways(platform: Platform, http: httpx.Client) -> None:
    made = http.post("/api/datasets", json={"name": "a", "file_id": upload(platform, TABLE)}).json()
    body = {"from_version_id": made["id"], "splits": {"train": 0.9, "test": 0.1}}
    derived = http.post("/api/datasets/a/versions", json=body).json()
    assert (derived["version"], derived["rows"]) == (2, 4)
    assert derived["sources"] == [{"kind": "version", "id": made["id"]}]
    assert http.get(f"/api/dataset_versions/{made['id']}").json()["derived"] == [derived["id"]]


def test_corrected_rows_make_a_version(platform: Platform) -> None:
    service, db = platform.service, platform.db
    file_id = upload(platform, TABLE)
    with db.read() as session:
        file = service.file(session, "proj_a", file_id)
    parent = service.import_file(db, file, splits=SplitRule(SPLIT))
    corrected = [row | {"label": "lost"} for row in service.rows(parent)]
    for row in corrected:
        row["messages"][-1]["content"] = "lost"
    child = service.derive_version(db, parent, rows=corrected)
    assert child.statistics["labels"] == {"lost": 4}
    assert (child.dataset, child.number) == ("intents", 2)
    places = [[v.splits.split_of(row) for row in service.rows(v)] for v in (parent, child)]
    assert places[0] == places[1]


def test_deleting_the_file_keeps_the_version(platform: Platform, http: httpx.Client) -> None:
    file_id = upload(platform, TABLE)
    made = http.post("/api/datasets", json={"name": "a", "file_id": file_id}).json()
    platform.client.files.delete(file_id)
    assert len(platform.stored()) == 1
    assert len(rows_of(http, made["id"])) == 4
    assert http.get(f"/api/dataset_versions/{made['id']}").json()["sources"] == [{"kind": "file", "id": file_id}]


def test_the_cross_slice_contract(platform: Platform) -> None:
    service, db = platform.service, platform.db
    good, bad, empty = (
        upload(platform, chat("hi"), "t.jsonl"),
        upload(platform, "x\n"),
        upload(platform, "text,label\n"),
    )
    with db.write() as session:
        version = service.dataset_from_file(session, "proj_a", good)
        assert service.dataset_from_file(session, "proj_a", good, name="t", format="chat") == version
        assert service.version(session, "proj_a", version.id) == version
        assert [dataset.name for dataset in service.list_datasets(session, "proj_a")] == ["t"]
        with pytest.raises(InvalidRows) as caught:
            service.dataset_from_file(session, "proj_a", bad)
        assert (caught.value.status, caught.value.rows[0].code) == (400, "columns_not_found")
        with pytest.raises(EmptyDataset):
            service.dataset_from_file(session, "proj_a", empty)
        for call in (service.dataset_from_file, service.version):
            with pytest.raises(NotFound):
                call(session, "proj_b", good if call == service.dataset_from_file else version.id)
    assert list(service.rows(version)) == [json.loads(chat("hi"))]
    assert list(service.rows(version, "train")) == list(service.rows(version))
    assert version.layout.kind is Kind.chat


def test_another_project_finds_nothing(platform: Platform, http: httpx.Client) -> None:
    file_id = upload(platform, TABLE)
    made = http.post("/api/datasets", json={"name": "a", "file_id": file_id}).json()
    platform.caller.actor = actor("proj_b")
    assert http.get("/api/datasets").json()["data"] == []
    for path in ("/api/datasets/a", "/api/datasets/a/versions", f"/api/dataset_versions/{made['id']}"):
        assert http.get(path).status_code == 404
    for end in ("rows", "content"):
        assert http.get(f"/api/dataset_versions/{made['id']}/{end}").status_code == 404
    assert http.post("/api/datasets", json={"name": "a", "file_id": file_id}).status_code == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"splits": {"train": 0.5}}, "invalid_splits"),
        ({"splits": {"train": 1.5, "test": -0.5}}, "invalid_splits"),
        ({"splits": {}}, "invalid_splits"),
        ({"splits": {"a b": 1.0}}, "invalid_splits"),
        ({"name": "a/b"}, "invalid_dataset_name"),
        ({"name": ".hidden"}, "invalid_dataset_name"),
        ({"format": "chat"}, "invalid_rows"),
        ({"format": "parquet"}, "invalid_request"),
        ({"text_column": "nothing"}, "invalid_rows"),
        ({"label_column": "text", "text_column": "text"}, "invalid_rows"),
    ],
)
def test_wrong_requests(platform: Platform, http: httpx.Client, change: dict[str, Any], code: str) -> None:
    answer = http.post("/api/datasets", json={"name": "a", "file_id": upload(platform, TABLE), **change})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert http.get("/api/datasets").json()["data"] == []


def test_wrong_previews_and_exports(platform: Platform, http: httpx.Client) -> None:
    made = http.post("/api/datasets", json={"name": "a", "file_id": upload(platform, chat("a") + chat("b"), "a.jsonl")})
    path = f"/api/dataset_versions/{made.json()['id']}"
    for cursor in ("1", "1-5", "0-0", "x-y", "1-99999999", "²-³"):
        assert http.get(f"{path}/rows", params={"after": cursor}).status_code == 400, cursor
    assert http.get(f"{path}/rows?split=nothing").json()["error"]["code"] == "unknown_split"
    assert http.get(f"{path}/content?split=nothing").json()["error"]["code"] == "unknown_split"
    assert http.get(f"{path}/content?format=classification").text == "text,label\na,yes\nb,yes\n"
    longer = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 2}
    other = http.post("/api/datasets", json={"name": "b", "file_id": upload(platform, json.dumps(longer), "b.jsonl")})
    refused = http.get(f"/api/dataset_versions/{other.json()['id']}/content?format=classification")
    assert refused.json()["error"]["code"] == "not_expressible"


@pytest.mark.parametrize(
    ("limit", "error"),
    [
        ("max_decompressed_bytes", DecompressedTooLarge),
        ("max_dataset_bytes", DatasetTooLarge),
        ("max_labels", TooManyLabels),
    ],
)
def test_a_small_file_with_much_in_it_is_refused(platform: Platform, limit: str, error: type[BadInput]) -> None:
    small = DataService(FolderBlobs(platform.folder), platform.clock, SMALL.model_copy(update={limit: 9_000}))
    rows = "".join(f"aaaa,{n}\n" for n in range(10_000))
    file_id = upload(platform, gzip.compress(b"text,label\n" + rows.encode()), "bomb.csv.gz")
    before = platform.stored()
    with platform.db.read() as session:
        file = small.file(session, "proj_a", file_id)
    with pytest.raises(error):
        small.import_file(platform.db, file)
    assert platform.stored() == before


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="the public data sets are not on this machine")
def test_public_tables_import_and_come_back(platform: Platform) -> None:
    service, db = platform.service, platform.db
    for path, reading in (
        ("banking77/train.csv.gz", Reading()),
        ("banking77/test_a.csv", Reading()),
        ("bitext-support-intents/dev.csv", Reading(label_column="intent")),
        ("sms-spam/sms_spam_a.csv.gz", Reading()),
    ):
        raw = (SHARED_DATA / path).read_bytes()
        file_id = upload(platform, raw, path)
        with db.read() as session:
            file = service.file(session, "proj_a", file_id)
        version = service.import_file(db, file, reading=reading)
        text = (gzip.decompress(raw) if path.endswith(".gz") else raw).decode("utf-8-sig")
        original = list(csv.reader(io.StringIO(text, newline="")))
        exported = list(csv.reader(io.StringIO("".join(service.datasets.export(version, None, None)), newline="")))
        assert exported == original
        assert version.rows == len(original) - 1
