"""The data page: files that arrive in spite of lost connections, bad rows as a table, datasets and their versions."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from acceptance.installation import Installation
from browser_support import LANGUAGES, THEMES, accessibility_problems, ask, settled

pytestmark = pytest.mark.slow

CSV = "text,label\n" + "".join(f"question {n},{'card' if n % 3 else 'transfer'}\n" for n in range(60))
BAD = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n{"messages": []}\n'


def upload(installation: Installation, name: str, content: str) -> str:
    with installation.client() as client:
        return str(client.files.create(file=(name, content.encode()), purpose="fine-tune").id)


@pytest.fixture(scope="session")
def version(installation: Installation) -> dict[str, Any]:
    file_id = upload(installation, "bank.csv", CSV)
    body = {"name": "Bank", "file_id": file_id, "splits": {"train": 0.8, "test": 0.2}}
    found: dict[str, Any] = ask(f"{installation.url}/api/datasets", "POST", installation.keys["project_key"], body)
    return found


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", ["/data", "/data/files", "/data/new", "/data/datasets/Bank", "/data/versions/{id}"])
def test_pages_are_accessible(window: Any, version: dict[str, Any], path: str, language: str, theme: str) -> None:
    page = window(path.format(**version), language, theme)
    settled(page)
    assert page.get_by_role("heading", level=1).count() == 1
    assert accessibility_problems(page) == []


def test_a_file_becomes_a_dataset(window: Any, tmp_path: Path, installation: Installation) -> None:
    (tmp_path / "support.csv").write_text(CSV)
    page = window("/data/files")
    settled(page)
    page.locator("input[type=file]").first.set_input_files(tmp_path / "support.csv")
    page.get_by_role("list", name="Files on their way").get_by_role("link", name="Make a dataset").click()
    page.get_by_role("heading", name="New dataset", level=1).wait_for()
    assert page.get_by_label("Dataset", exact=False).first.input_value() == "support"
    page.get_by_role("button", name="Add split").click()
    page.get_by_label("Share of train").fill("75")
    page.get_by_label("Name of split 2").fill("test")
    page.get_by_label("Share of test").fill("20")
    page.get_by_role("button", name="Check the file").click()
    page.locator(".ant-form-item-explain-error", has_text="add up to 100").first.wait_for()
    page.get_by_label("Share of test").fill("25")
    page.reload()  # what was typed is still there
    settled(page)
    assert page.get_by_label("Name of split 2").input_value() == "test"
    page.get_by_role("button", name="Check the file").click()
    page.get_by_text("All 60 rows can be used").wait_for()
    assert accessibility_problems(page) == []
    page.get_by_role("button", name="Create dataset").click()
    page.get_by_role("heading", name="support v1", level=1).wait_for()
    page.get_by_text("question 0", exact=True).wait_for()
    found = ask(f"{installation.url}/api/datasets/support/versions", key=installation.keys["project_key"])
    assert found["data"][0]["splits"] == {"train": 0.75, "test": 0.25}


def test_bad_rows_are_a_table(window: Any, installation: Installation) -> None:
    file_id = upload(installation, "bad.jsonl", BAD)
    page = window(f"/data/new?file={file_id}", "zh")
    settled(page)
    page.get_by_role("button", name="检查文件").click()
    row = page.get_by_role("row").filter(has_text="messages").last
    row.get_by_text("缺少 messages，或其为空").wait_for()
    assert row.get_by_role("cell").first.inner_text() == "2"
    assert page.get_by_role("button", name="创建数据集").count() == 0
    assert accessibility_problems(page) == []


def test_a_large_file_goes_on_after_a_break_and_a_reload(
    window: Any, tmp_path: Path, installation: Installation
) -> None:
    line = json.dumps({"prompt": "x" * 500, "completion": "y" * 500}) + "\n"
    path = tmp_path / "large.jsonl"
    path.write_text(line * 20_000)  # about 20 MB: three parts
    page = window("/data/files")
    page.on("dialog", lambda dialog: dialog.accept())
    settled(page)
    sent: list[str] = []

    def after_the_first(route: Any) -> None:
        sent.append(route.request.url)
        if len(sent) > 1:
            route.abort()
        else:
            route.continue_()

    page.route("**/v1/uploads/*/parts", after_the_first)
    page.locator("input[type=file]").first.set_input_files(path)
    page.get_by_text("It goes on by itself").wait_for()
    page.reload()
    page.unroute("**/v1/uploads/*/parts")
    again: list[str] = []
    page.on(
        "request",
        lambda request: (
            again.append(request.url) if request.url.endswith("/parts") and request.method == "POST" else None
        ),
    )
    page.get_by_text("The browser forgets the file").wait_for()
    assert accessibility_problems(page) == []
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose the file again").click()
    chooser.value.set_files(path)
    page.get_by_role("list", name="Files on their way").get_by_text("19.7 MB uploaded").wait_for()
    page.get_by_role("row").filter(has_text="large.jsonl").wait_for()
    assert len(again) == 2, "the part that had arrived was sent again"
    with installation.client() as client:
        file = next(item for item in client.files.list() if item.filename == "large.jsonl")
        content = client.files.content(file.id).read()
    assert hashlib.sha256(content).digest() == hashlib.sha256(path.read_bytes()).digest()


def test_download_and_delete(window: Any, installation: Installation) -> None:
    file_id = upload(installation, "to be deleted.csv", CSV)
    page = window("/data/files")
    row = page.get_by_role("row").filter(has_text="to be deleted.csv")
    with page.expect_download() as download:
        row.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "to be deleted.csv"
    assert Path(download.value.path()).read_text() == CSV
    row.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("No job at work reads this file").wait_for()
    dialog.get_by_text("Dataset versions made from it stay").wait_for()
    assert accessibility_problems(page) == []
    dialog.get_by_role("button", name="Delete").click()
    row.wait_for(state="detached")
    request = urllib.request.Request(f"{installation.url}/v1/files/{file_id}")
    request.add_header("authorization", f"Bearer {installation.keys['project_key']}")
    with pytest.raises(urllib.error.HTTPError) as gone:
        urllib.request.urlopen(request, timeout=10)
    assert gone.value.code == 404
    gone.value.close()


def test_rows_are_paged_and_versions_compared(window: Any, version: dict[str, Any]) -> None:
    page = window(f"/data/versions/{version['id']}")
    settled(page)
    page.get_by_text("question 0", exact=True).wait_for()
    page.get_by_role("button", name="Next page").click()
    page.get_by_text("question 20", exact=True).wait_for()
    page.get_by_role("button", name="Other splits").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Share of train").fill("50")
    dialog.get_by_label("Share of test").fill("50")
    dialog.get_by_role("button", name="Create version").click()
    page.get_by_role("heading", name="Bank v2", level=1).wait_for()
    page.get_by_role("link", name="Bank v1").wait_for()
    page.get_by_role("link", name="All versions").click()
    page.get_by_role("button", name="Compare version 1").click()
    page.get_by_role("button", name="Compare version 2").click()
    page.get_by_role("heading", name="v1 and v2 compared").wait_for()
    assert accessibility_problems(page) == []
