"""The spool: whatever a crash leaves behind, every record comes back whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plinth.gateway.batches.spool import Record, Spool, SpoolBusy

RECORDS = st.lists(
    st.builds(
        Record,
        number=st.integers(1, 3000),
        good=st.booleans(),
        tokens=st.tuples(*[st.integers(0, 10**6)] * 4),
        content=st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b" ")),
    ),
    max_size=12,
    unique_by=lambda record: record.number,
)


def contents(spool: Spool, records: list[Record]) -> list[Record]:
    return [found for record in records if (found := spool.get(record.number)) is not None]


@settings(deadline=None, max_examples=60)
@given(records=RECORDS, cut=st.floats(0, 1), garbage=st.binary(max_size=20))
def test_any_torn_end_loses_at_most_what_was_torn(records: list[Record], cut: float, garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        ends = [0]
        with Spool(folder) as spool:
            for record in records:
                spool.append(record)
                ends.append((folder / "answers").stat().st_size)
        whole = (folder / "answers").read_bytes()
        kept = int(len(whole) * cut)
        (folder / "answers").write_bytes(whole[:kept] + garbage)
        survivors = [record for record, end in zip(records, ends[1:], strict=True) if end <= kept]
        with Spool(folder) as spool:
            found = contents(spool, records)
            assert found == survivors or (garbage.startswith(b"\n") and found == records[: len(survivors) + 1])
            assert spool.completed + spool.failed == len(found)
            for record in records:
                spool.append(record)
        with Spool(folder) as spool:
            assert contents(spool, records) == records
            assert spool.tokens == [sum(record.tokens[i] for record in records) for i in range(4)]
            assert spool.completed == sum(record.good for record in records)


def test_a_flipped_bit_makes_one_line_unanswered(tmp_path: Path) -> None:
    records = [Record(n, True, (0, 0, 0, 0), b'{"n":%d}' % n) for n in range(1, 4)]
    with Spool(tmp_path) as spool:
        for record in records:
            spool.append(record)
    damaged = (tmp_path / "answers").read_bytes().replace(b'{"n":2}', b'{"n":9}')
    (tmp_path / "answers").write_bytes(damaged)
    with Spool(tmp_path) as spool:
        assert [n for n in range(5) if n in spool] == [1, 3]
        assert spool.get(3) == records[2]


def test_the_first_answer_of_a_line_counts(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append(Record(1, True, (1, 0, 1, 0), b"first"))
        spool.append(Record(1, False, (1, 0, 1, 0), b"second"))
        found = spool.get(1)
        assert found is not None
        assert found.content == b"first"
        assert (spool.completed, spool.failed) == (1, 0)


def test_a_disk_that_fills_up_in_mid_record_leaves_the_spool_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, original = Record(1, True, (0, 0, 0, 0), b"x" * 100), os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 60:
            raise OSError(28, "No space left on device")
        return original(descriptor, data[:60])

    with Spool(tmp_path) as spool:
        spool.append(Record(2, True, (0, 0, 0, 0), b"before"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            with pytest.raises(OSError, match="No space"):
                spool.append(record)
        assert 1 not in spool
        spool.append(record)
        assert spool.get(1) == record
    with Spool(tmp_path) as spool:
        assert [n for n in range(4) if n in spool] == [1, 2]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Spool(tmp_path), pytest.raises(SpoolBusy), Spool(tmp_path, lock_seconds=0):
        pass
    with Spool(tmp_path, lock_seconds=0):
        pass
