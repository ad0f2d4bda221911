"""The whole demo, with the real SDK, against a stand-in platform behind a real port."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from plinth.cli.demo import api, run, screen, stages
from plinth.cli.demo.errors import DemoFailed, HomeNotEmpty, NotStarted, Stopped, TuningEnded
from plinth.cli.demo.installation import Installation, Keys, last_line
from plinth.cli.demo.report import Report
from unit.demo.fake_platform import MODEL, PARITY, FakePlatform


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePlatform]:
    fake = FakePlatform()
    monkeypatch.setattr(Installation, "url", fake.url)
    monkeypatch.setattr(Installation, "initialize", lambda self: Keys("sk-proj-test", "proj_1"))
    monkeypatch.setattr(Installation, "start", lambda self: None)
    monkeypatch.setattr(stages, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(api, "POLL_SECONDS", 0.0)
    yield fake
    fake.close()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    output = io.StringIO()
    monkeypatch.setattr(screen, "_console", lambda: Console(file=output, width=200))
    return output


def options(folder: Path, **more: Any) -> run.Options:
    given: dict[str, Any] = {
        "data": None,
        "home": folder / "home",
        "port": None,
        "rows": 60,
        "evaluated": 24,
        "epochs": None,
        "keep": False,
        "language": "en",
        "output": folder / "out",
        "price_per_hour": 0.4,
        "currency": "CNY",
    }
    return run.Options(**{**given, **more})


def test_it_turns_the_loop_and_writes_the_report(platform: FakePlatform, said: io.StringIO, tmp_path: Path) -> None:
    run.demo(options(tmp_path))
    written = Report.model_validate_json((tmp_path / "out" / "report.json").read_text())
    by_key = {one.key: one for one in written.contenders}
    assert list(by_key) == ["base", "few_shot", "tuned", "tfidf", "embedding"]
    assert {one.n for one in written.contenders} == {24}
    # the base model always names lost_card in a sentence: right when read kindly, never in exact form
    assert (by_key["base"].correct, by_key["base"].correct_exact) == (2, 0)
    assert by_key["tuned"].correct > 10
    assert written.deployed.target == MODEL
    assert written.parity == PARITY
    assert written.platform_comparison == {"n": 24, "mcnemar_p": 0.01}
    assert {answer.answer for answer in written.answers} == {"lost_card"}
    assert len(written.answers) == 4
    assert "<title>" in (tmp_path / "out" / "report.html").read_text()
    text = said.getvalue()
    assert "[9/9]" in text
    assert "tuning 2/3 loss 1.500 · 40 s to 3 min left" in text
    assert text.count("tuning 3/3") == 1
    assert "sk-proj-test" not in text


def test_it_asks_every_arm_the_same_rows_and_names_the_winner(
    platform: FakePlatform, said: io.StringIO, tmp_path: Path
) -> None:
    run.demo(options(tmp_path))
    runs = [body for method, path, body in platform.requests if path == "/v1/evals/eval_1/runs"]
    assert [body["name"] for body in runs] == ["base", "few_shot", "tuned"]
    assert len({body["data_source"]["source"]["id"] for body in runs}) == 1
    prompts = [body["data_source"]["input_messages"]["template"] for body in runs]
    assert all("seed" not in body["data_source"]["sampling_params"] for body in runs), "a seed turns prompt caching off"
    assert [len(prompts[0]), len(prompts[2])] == [2, 2]
    assert len(prompts[1]) > 20
    trained = next(content for content in platform.files.values() if b"messages" in content).decode()
    line = next(line for line in trained.splitlines() if line.startswith("{"))
    assert json.loads(line)["messages"][0] == prompts[2][0], "the tuned prompt is the one that was trained"
    assert ("PUT", "/api/aliases/support", {"target": MODEL}) in platform.requests


def test_a_refused_embedder_is_reported_not_hidden(platform: FakePlatform, said: io.StringIO, tmp_path: Path) -> None:
    platform.refuse["/v1/embeddings"] = 400
    report = run.demo(options(tmp_path))
    assert [one.key for one in report.not_measured] == ["embedding"]
    assert "there is no room" in report.not_measured[0].reason
    assert report.verdict.rival == "tfidf"


def test_a_failed_job_ends_the_demo_with_its_reason(platform: FakePlatform, said: io.StringIO, tmp_path: Path) -> None:
    platform.job_status = "failed"
    with pytest.raises(TuningEnded, match="ended as failed: the rows are too long"):
        run.demo(options(tmp_path))


def test_a_refusal_is_one_sentence(platform: FakePlatform, said: io.StringIO, tmp_path: Path) -> None:
    platform.refuse["/v1/evals"] = 400
    with pytest.raises(DemoFailed, match=r"there is no room\. Its files and logs are in .*home"):
        run.demo(options(tmp_path))


def test_ctrl_c_stops_the_platform_and_says_how_to_go_on(
    platform: FakePlatform, said: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[bool] = []
    monkeypatch.setattr(Installation, "stop", lambda self: stopped.append(True))

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "evaluate", interrupted)
    with pytest.raises(Stopped, match=r"plinth up --home .*/home"):
        run.demo(options(tmp_path, keep=True))
    assert stopped == [True]


def test_keep_leaves_the_platform_and_shows_the_key(
    platform: FakePlatform, said: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[bool] = []
    monkeypatch.setattr(Installation, "stop", lambda self: stopped.append(True))
    run.demo(options(tmp_path, keep=True))
    assert stopped == []
    assert "keeps running" in said.getvalue()


def test_a_home_with_something_in_it_is_refused(said: io.StringIO, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.txt").touch()
    with pytest.raises(HomeNotEmpty):
        run.demo(options(tmp_path))
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["mine.txt"]


def test_a_platform_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation = Installation(tmp_path / "home")
    monkeypatch.setattr(
        installation, "_command", lambda *_: ["sh", "-c", "echo 'plinth: the disk is full' >&2; exit 1"]
    )
    with pytest.raises(NotStarted, match=r"the disk is full\. Its logs"):
        installation.initialize()
    with pytest.raises(NotStarted, match="the disk is full"):
        installation.start()


def test_last_line() -> None:
    assert last_line("a\nplinth: b is taken\n\n") == "b is taken."
    assert last_line("") == "it said nothing."
