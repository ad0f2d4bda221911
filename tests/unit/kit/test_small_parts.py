"""Ids, errors, languages, secrets, logs."""

from __future__ import annotations

import importlib
import json
import logging
import pkgutil
import re
from pathlib import Path
from string import Formatter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import plinth
from plinth.kit import i18n, telemetry
from plinth.kit.errors import NotFound, PlinthError, RateLimited
from plinth.kit.ids import new_id
from plinth.kit.secrets import InstanceKey, SecretUnreadable


def test_ids_sort_by_time_and_never_tie() -> None:
    made = [new_id("file-") for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == 5000
    assert re.fullmatch(r"file-[0-9a-z]{26}", made[0])


def test_errors_are_openai_objects_that_say_what_to_do() -> None:
    error = NotFound(what="file", id="file-1", param="file_id")
    assert error.to_openai() == {
        "error": {"message": error.message, "type": "invalid_request_error", "param": "file_id", "code": "not_found"}
    }
    assert "file-1" in error.message
    assert RateLimited(retry_after_seconds=7).headers == {"Retry-After": "7"}


def every_error() -> list[type[PlinthError]]:
    for module in pkgutil.walk_packages(plinth.__path__, "plinth."):
        if module.name.rsplit(".", 1)[-1] in ("errors", "http", "settings", "secrets", "schema", "asgi"):
            importlib.import_module(module.name)
    found, todo = [], [PlinthError]
    while todo:
        current = todo.pop()
        found.append(current)
        todo += current.__subclasses__()
    return [error for error in found if error.__module__.startswith("plinth.")]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: f"{error.__module__}.{error.__name__}")
def test_every_error_speaks_chinese_with_the_same_fields(error: type[PlinthError]) -> None:
    chinese = i18n._table("zh", "errors").get(error.code)
    assert chinese, f"add '{error.code}' to locales/zh/errors/"
    fields = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (chinese, error.template())]
    assert fields[0] == fields[1]


def test_codes_are_unique_enough_to_act_on() -> None:
    by_code: dict[str, set[str]] = {}
    for error in every_error():
        by_code.setdefault(error.code, set()).add(error.template())
    assert {code: texts for code, texts in by_code.items() if len(texts) > 1} == {}


def tables() -> list[str]:
    return sorted(path.stem for path in (i18n.LOCALES / "en").glob("*.yaml"))


@pytest.mark.parametrize("table", tables())
def test_both_languages_have_the_same_texts(table: str) -> None:
    english, chinese = (
        yaml.safe_load((i18n.LOCALES / language / f"{table}.yaml").read_text("utf-8")) for language in ("en", "zh")
    )
    assert set(english) == set(chinese)
    for key, text in english.items():
        wanted = {name for _, name, _, _ in Formatter().parse(str(text)) if name}
        assert {name for _, name, _, _ in Formatter().parse(str(chinese[key])) if name} == wanted, key


@pytest.mark.parametrize(
    ("header", "language"),
    [(None, "en"), ("zh-CN,zh;q=0.9", "zh"), ("fr, en;q=0.5, zh;q=0.4", "en"), ("zh;q=bad", "en"), ("de", "en")],
)
def test_language_negotiation(header: str | None, language: str) -> None:
    assert i18n.negotiate(header) == language


@given(st.text(max_size=200))
def test_secrets_round_trip_and_depend_on_key_and_purpose(text: str) -> None:
    key, other = InstanceKey(b"k" * 32), InstanceKey(b"o" * 32)
    sealed = key.encrypt(text, "p")
    assert key.decrypt(sealed, "p") == text
    for wrong, purpose in ((other, "p"), (key, "q")):
        with pytest.raises(SecretUnreadable):
            wrong.decrypt(sealed, purpose)
    assert key.verify(text, key.sign(text, "p"), "p")
    assert not key.verify(text, key.sign(text, "q"), "p")


def test_instance_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "instance.key"
    first = InstanceKey.load_or_create(path)
    assert first.sign("x", "p") == InstanceKey.load_or_create(path).sign("x", "p")
    assert path.stat().st_mode & 0o777 == 0o600


def test_logs_are_json_and_hide_keys() -> None:
    record = logging.makeLogRecord({"msg": "used sk-proj-abcdefghijkl", "levelname": "INFO", "project": "p"})
    entry = json.loads(telemetry.JsonFormatter("api").format(record))
    assert entry["message"] == "used sk-proj-***"
    assert entry["project"] == "p"
    assert entry["process"] == "api"
