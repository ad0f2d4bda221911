"""Wire types: the Moderations API's shapes (openai 3.54), plus `method`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from plinth.gateway.moderations.errors import OnlyTexts
from plinth.gateway.moderations.model import CATEGORIES, MAX_TEXTS, Moderated, Verdict
from plinth.kit.http import Wire


class Part(Wire):
    """A part of one input. Only `text` parts can be looked at."""

    type: str
    text: str | None = None


class ModerationRequest(Wire):
    """`input`: a text, a list of texts (a result for each), or a list of parts (one result for all)."""

    input: str | Annotated[list[str], Field(max_length=MAX_TEXTS)] | Annotated[list[Part], Field(max_length=MAX_TEXTS)]
    model: Annotated[str, Field(max_length=256)] | None = None

    def texts(self) -> list[str]:
        """Raises `OnlyTexts`."""
        if isinstance(self.input, str):
            return [self.input]
        parts = [part for part in self.input if isinstance(part, Part)]
        if not parts:
            return [text for text in self.input if isinstance(text, str)]
        for part in parts:
            if part.type != "text" or part.text is None:
                raise OnlyTexts(kind=part.type[:40], param="input")
        return ["\n".join(part.text or "" for part in parts)]


class Result(Wire):
    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[Literal["text"]]]

    @classmethod
    def of(cls, verdict: Verdict) -> Result:
        applied: dict[str, Any] = {category: ["text"] for category in CATEGORIES}
        return cls(
            flagged=verdict.flagged,
            categories={category: category in verdict.found for category in CATEGORIES},
            category_scores={category: verdict.scores[category] for category in CATEGORIES},
            category_applied_input_types=applied,
        )


class ModerationObject(Wire):
    id: str
    model: str = Field(description="names the method: `plinth-lexicon-1`, or `plinth-judge-1:` and the model asked")
    method: str = Field(description="what a score means here, and what the method cannot do")
    results: list[Result]

    @classmethod
    def of(cls, moderated: Moderated) -> ModerationObject:
        results = [Result.of(verdict) for verdict in moderated.verdicts]
        return cls(id=moderated.id, model=moderated.model, method=moderated.method, results=results)
