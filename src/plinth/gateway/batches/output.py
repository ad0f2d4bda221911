"""The files of a batch that has ended: one line for every input line, in the input's order.

Answers go to the output file. Refusals go to the error file, and so do the lines that were never
asked because the batch was cancelled or expired: output and error file together name each custom
id exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from plinth.gateway.batches.asking import left_over
from plinth.gateway.batches.model import Ending, Line, LineProblem
from plinth.gateway.batches.spool import Spool
from plinth.kit.blobs import BlobRef, Blobs, BlobWriter, writing

_LEFT = {
    Ending.cancelled: ("batch_cancelled", "The batch was cancelled before this request was answered."),
    Ending.expired: ("batch_expired", "The completion window closed before this request was answered."),
}


@dataclass(frozen=True)
class Made:
    """The blobs; None where there is nothing to write."""

    answers: BlobRef | None
    errors: BlobRef | None


def write(spool: Spool, lines: Iterable[Line | LineProblem], ending: Ending, blobs: Blobs) -> Made:
    """Never more than one line in memory."""
    with writing(blobs) as answers, writing(blobs) as errors:
        good, bad = _Target(answers), _Target(errors)
        for line in lines:
            if isinstance(line, LineProblem):  # the check refused such files, so the file is another one now
                raise TypeError(f"line {line.line} of the input is no request any more: {line.code}")
            record = spool.get(line.number)
            if record is None:  # never when `ending` is done: the caller has seen that all are there
                bad.write(left_over(line, *_LEFT[ending]))
            else:
                (good if record.good else bad).write(record.content)
        return Made(good.commit(), bad.commit())


class _Target:
    def __init__(self, writer: BlobWriter) -> None:
        self._writer, self._empty = writer, True

    def write(self, content: bytes) -> None:
        self._writer.write(content + b"\n")
        self._empty = False

    def commit(self) -> BlobRef | None:
        return None if self._empty else self._writer.commit()
