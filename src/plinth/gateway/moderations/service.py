"""Which moderator looks at a request's texts."""

from __future__ import annotations

from collections.abc import Sequence

from plinth.evaluation import Completer
from plinth.gateway.moderations.errors import NothingToModerate, TextTooLong
from plinth.gateway.moderations.judge import ModelModerator
from plinth.gateway.moderations.lexicon import LexiconModerator
from plinth.gateway.moderations.model import Moderated
from plinth.gateway.moderations.ports import Moderator
from plinth.gateway.moderations.settings import ModerationSettings
from plinth.identity import Actor
from plinth.kit.errors import BadInput
from plinth.kit.ids import new_id

HOSTED_PREFIXES = ("omni-moderation-", "text-moderation-")


class ModerationService:
    """Keeps nothing: neither texts nor results. Args: `completer` asks chat models through the public port."""

    def __init__(self, completer: Completer, settings: ModerationSettings, lists: Moderator | None = None) -> None:
        self._completer, self._settings = completer, settings
        self._lists: Moderator = lists or LexiconModerator()

    def moderate(self, actor: Actor, texts: Sequence[str], model: str | None) -> Moderated:
        """Look at every text.

        Args: `model` is None or a hosted name for the installation's own choice, the name of the word
            lists, or a chat model or route of the project.
        Raises: `NothingToModerate`, `TextTooLong`, and what the moderator raises.
        """
        if not actor.project_id:
            raise BadInput(reason="Moderations belong to a project: use a project key (sk-proj-…).")
        if not 1 <= len(texts) <= self._settings.max_texts:
            raise NothingToModerate(limit=self._settings.max_texts, param="input")
        for number, text in enumerate(texts, 1):
            if len(text) > self._settings.max_characters:
                limit = self._settings.max_characters
                raise TextTooLong(number=number, characters=len(text), limit=limit, param="input")
        moderator = self.choose(model)
        verdicts = moderator.moderate(actor.project_id, texts)
        return Moderated(new_id("modr-"), moderator.model, moderator.method, verdicts)

    def choose(self, model: str | None) -> Moderator:
        wanted = model or ""
        if wanted.startswith(HOSTED_PREFIXES) or not wanted:
            wanted = self._settings.model
        if wanted in ("", self._lists.model):
            return self._lists
        return ModelModerator(self._completer, wanted, self._settings.threshold, self._settings.concurrency)
