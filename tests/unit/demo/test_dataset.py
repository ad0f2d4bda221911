from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plinth.cli.demo.dataset import Row, load, majority_share, read, stratified
from plinth.cli.demo.errors import UnreadableTable
from support import SHARED_DATA


def table(count: int = 60, labels: int = 3) -> str:
    lines = [f"question number {i},label_{i % labels}" for i in range(count)]
    return "\n".join(["text,label", *lines]) + "\n"


def write(folder: Path, content: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("text,label", "where is my card,arrival"),
        ("Utterance,Intent", "where is my card,arrival"),
        ("id,category,question", "7,arrival,where is my card"),
        ("文本,标签", "where is my card,arrival"),
        ("a,b", "where is my card,arrival"),
        ("b,a", "arrival,where is my card"),
        ("body,label", "where is my card,arrival"),
    ],
)
def test_columns_are_found(tmp_path: Path, header: str, row: str) -> None:
    assert read(write(tmp_path, f"{header}\n{row}\n")) == [Row("where is my card", "arrival")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("x,y,z\n1,2,3\n", "its columns are x, y, z"),
        ("", "its columns are missing"),
        ("text,label\n,\n", "no row has both"),
        ("text,label\n" + "a,b\n" * 30, "it has 1 labels"),
        (table(8), "too few"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(UnreadableTable, match=reason):
        load(write(tmp_path, content))


def test_bytes_that_are_no_text_and_damaged_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x81\xff")
    (tmp_path / "b.csv.gz").write_bytes(b"\x1f\x8b damaged")
    for name in ("a.csv", "b.csv.gz"):
        with pytest.raises(UnreadableTable):
            load(tmp_path / name)


def test_chinese_spreadsheets_and_byte_order_marks(tmp_path: Path) -> None:
    content = "文本,标签\n卡丢了,挂失\n"
    (tmp_path / "gb.csv").write_bytes(content.encode("gb18030"))
    (tmp_path / "bom.csv").write_bytes(content.encode("utf-8-sig"))
    (tmp_path / "z.csv.gz").write_bytes(gzip.compress(content.encode()))
    for name in ("gb.csv", "bom.csv", "z.csv.gz"):
        assert read(tmp_path / name) == [Row("卡丢了", "挂失")]


def test_one_file_is_split_the_same_way_in_any_order(tmp_path: Path) -> None:
    content = table()
    first = load(write(tmp_path, content))
    head, *lines = content.splitlines()
    second = load(write(tmp_path, "\n".join([head, *reversed(lines)]), "rows2.csv"))
    assert (first.train, first.validation, first.test) == (second.train, second.validation, second.test)
    assert first.split == "made"
    assert Counter(row.label for row in first.test) == {"label_0": 4, "label_1": 4, "label_2": 4}
    texts = [row.text for part in (first.train, first.validation, first.test) for row in part]
    assert len(texts) == len(set(texts)) == 60


def test_a_folder_keeps_its_split_and_train_gives_up_what_test_holds(tmp_path: Path) -> None:
    write(tmp_path, table() + "question number 1000,label_0\n", "train.csv")
    test = [f"asked {i},label_{i % 3}" for i in range(12)] + ["question number 1000,label_0", "new,unknown"]
    write(tmp_path, "\n".join(["text,label", *test]), "test_a.csv")
    found = load(tmp_path)
    assert found.split == "given"
    assert len(found.test) == 13
    assert "question number 1000" not in {row.text for row in (*found.train, *found.validation)}
    assert found.skipped == 2


def test_banking77_as_it_comes() -> None:
    folder = SHARED_DATA / "banking77"
    if not folder.is_dir():
        pytest.skip(f"the public data is not there: {folder}")
    found = load(folder)
    assert len(found.labels) == 77
    assert len(found.test) + len(found.train) + len(found.validation) + found.skipped == 10003 + 1540
    assert len({row.label for row in stratified(found.train, 100)}) == 77


rows = st.lists(st.builds(Row, st.text("abc", min_size=1, max_size=4), st.sampled_from("xyz")), max_size=40)


@given(rows, st.integers(0, 50))
def test_stratified_takes_evenly(given_rows: list[Row], count: int) -> None:
    taken = stratified(given_rows, count)
    assert len(taken) == min(count, len(given_rows))
    assert not Counter(taken) - Counter(given_rows)
    left = Counter(row.label for row in given_rows) - Counter(row.label for row in taken)
    per_label = Counter(row.label for row in taken)
    for label in left:
        assert per_label[label] >= max(per_label.values(), default=0) - 1, "a label waited while another had two more"


def test_majority_share() -> None:
    assert majority_share([Row("a", "x"), Row("b", "x"), Row("c", "y"), Row("d", "z")]) == 0.5
