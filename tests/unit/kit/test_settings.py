"""Settings: precedence, one clear sentence for a mistake, every field described, secrets hidden."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from plinth.bootstrap.home import SOCKET_PATH_BYTES, Home
from plinth.bootstrap.settings import BadSettings, Settings, load
from plinth.cli import cli


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("PLINTH_GATEWAY__PORT", "PLINTH_GATEWAY__HOST"):
        monkeypatch.delenv(name, raising=False)
    return Home(tmp_path / "home").create()


def test_flag_beats_environment_beats_file_beats_default(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(home).gateway.port == 8400
    home.config.write_text("[gateway]\nport = 1001\nhost = '127.0.0.9'\n")
    assert load(home).gateway.port == 1001
    monkeypatch.setenv("PLINTH_GATEWAY__PORT", "1002")
    assert load(home).gateway.port == 1002
    chosen = load(home, ("gateway.port=1003",))
    assert (chosen.gateway.port, chosen.gateway.host) == (1003, "127.0.0.9")


@pytest.mark.parametrize(
    ("override", "named"),
    [("gateway.port=many", "gateway.port"), ("gateway.prot=1", "gateway.prot"), ("nonsense", "nonsense")],
)
def test_a_mistake_is_one_sentence_that_names_the_field(home: Home, override: str, named: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(home, (override,))
    assert named in caught.value.message


def test_a_wrong_name_in_the_file_is_an_error(home: Home) -> None:
    home.config.write_text("[gateway]\nprot = 1001\n")
    with pytest.raises(BadSettings):
        load(home)


def test_every_setting_is_described() -> None:
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert model is not None
        for name, info in model.model_fields.items():
            assert info.description, f"{section}.{name} has no docstring"


def test_settings_are_printed_without_secrets(home: Home) -> None:
    url = "postgresql://me:hush@localhost/plinth"
    shown = CliRunner().invoke(cli, ["settings", "--home", str(home.root), "--set", f"database.url={url}"])
    assert shown.exit_code == 0
    assert "gateway.port = 8400" in shown.output
    assert "PLINTH_GATEWAY__PORT" in shown.output
    assert "hush" not in shown.output


def test_a_long_home_gets_a_short_private_socket_folder(tmp_path: Path) -> None:
    deep = Home(tmp_path / ("d" * 100)).create()
    assert len(str(deep.api_socket)) <= SOCKET_PATH_BYTES
    assert deep.run.stat().st_mode & 0o777 == 0o700
