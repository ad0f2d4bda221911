"""Every setting of the platform, composed from the slices' sections.

Precedence: flag (`--set section.field=value`) > environment (`PLINTH_SECTION__FIELD`) >
file (`<home>/plinth.toml`) > default.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from plinth.bootstrap.home import Home
from plinth.catalog.settings import CatalogSettings
from plinth.data.settings import DataSettings
from plinth.evaluation.settings import EvaluationSettings
from plinth.gateway.batches.settings import BatchSettings
from plinth.gateway.completions.settings import CompletionSettings
from plinth.gateway.costs.settings import CostSettings
from plinth.gateway.decisions.settings import DecisionSettings
from plinth.gateway.moderations.settings import ModerationSettings
from plinth.gateway.responses.settings import ResponsesSettings
from plinth.gateway.settings import GatewaySettings
from plinth.gateway.webhooks.settings import WebhookSettings
from plinth.identity.signin.settings import OidcSettings, SessionSettings
from plinth.kit.errors import BadInput
from plinth.kit.settings import Section
from plinth.privacy.settings import PrivacySettings
from plinth.serving.settings import ServingSettings
from plinth.tuning.settings import TuningSettings


class DatabaseSettings(Section):
    url: SecretStr = SecretStr("")
    """SQLAlchemy URL. Empty: SQLite in the home folder. Example: postgresql://user@host/plinth"""


class BlobSettings(Section):
    kind: Literal["folder", "s3"] = "folder"
    """Where files live: a folder in the home, or S3-compatible object storage."""
    s3_endpoint: str = ""
    """Endpoint of the object store, empty for the vendor's default."""
    s3_bucket: str = ""
    """Bucket; it must exist."""
    s3_prefix: str = "blobs/"
    """Put before every key."""


class WorkerSettings(Section):
    name: str = "local"
    """Stable name of this worker; after a restart it goes on with what it had begun."""
    tuning_concurrency: int = Field(1, ge=1)
    """Fine-tuning jobs that may run at once."""
    evaluation_concurrency: int = Field(1, ge=1)
    """Evaluation runs that may run at once."""
    batch_concurrency: int = Field(2, ge=1)
    """Batches that may run at once."""


class LogSettings(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much is logged."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="PLINTH_", env_nested_delimiter="__", extra="forbid", frozen=True, use_attribute_docstrings=True
    )
    toml: ClassVar[Path | None] = None

    database: DatabaseSettings = DatabaseSettings()
    blobs: BlobSettings = BlobSettings()
    worker: WorkerSettings = WorkerSettings()
    log: LogSettings = LogSettings()
    sessions: SessionSettings = SessionSettings()
    oidc: OidcSettings = OidcSettings()
    privacy: PrivacySettings = PrivacySettings()
    gateway: GatewaySettings = GatewaySettings()
    costs: CostSettings = CostSettings()
    webhooks: WebhookSettings = WebhookSettings()
    responses: ResponsesSettings = ResponsesSettings()
    batches: BatchSettings = BatchSettings()
    completions: CompletionSettings = CompletionSettings()
    moderations: ModerationSettings = ModerationSettings()
    decisions: DecisionSettings = DecisionSettings()
    catalog: CatalogSettings = CatalogSettings()
    data: DataSettings = DataSettings()
    tuning: TuningSettings = TuningSettings()
    serving: ServingSettings = ServingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=cls.toml)

    def database_url(self, home: Home) -> str:
        return self.database.url.get_secret_value() or f"sqlite:///{home.database}"


class BadSettings(BadInput):
    """The settings are wrong: {reason}. Look at the flag, the PLINTH_… variable or {path} that sets it."""

    code = "bad_settings"


def load(home: Home, overrides: tuple[str, ...] = ()) -> Settings:
    """Read the settings of a home. `overrides` are flags of the form `section.field=value`.

    Raises:
        BadSettings: one sentence naming the wrong field.
    """
    reserved = {"PLINTH_HOME", "PLINTH_LANG", "PLINTH_INSTANCE_KEY"} & set(os.environ)
    hidden = {name: os.environ.pop(name) for name in reserved}
    try:
        source: type[Settings] = type("Settings", (Settings,), {"toml": home.config, "__module__": __name__})
        return source(**_nested(overrides, home))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadSettings(reason=f"{where}: {first['msg']}", path=home.config) from None
    finally:
        os.environ.update(hidden)


def _nested(overrides: tuple[str, ...], home: Home) -> dict[str, Any]:
    result: dict[str, dict[str, str]] = {}
    for override in overrides:
        name, equals, value = override.partition("=")
        section, dot, field = name.partition(".")
        if not equals or not dot:
            raise BadSettings(reason=f"'{override}' is not section.field=value", path=home.config)
        result.setdefault(section, {})[field] = value
    return result
