from __future__ import annotations

import json

import pytest

from plinth.cli.demo import prompts
from plinth.cli.demo.dataset import Row, load

LABELS = ("card_payment", "card_payment_fee", "lost_card", "Refund_not_showing_up", "挂失")


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("lost_card", "lost_card"),
        ("  Lost card. ", "lost_card"),
        ("`lost_card`", "lost_card"),
        ("The label is lost_card.", "lost_card"),
        ("card payment fee", "card_payment_fee"),
        ("It is: card_payment_fee!", "card_payment_fee"),
        ("refund_not_showing_up", "Refund_not_showing_up"),
        ("挂失", "挂失"),
        ("lost_card or card_payment", None),
        ("card_payment, card_payment_fee, lost_card", None),
        ("cardigan", None),
        ("", None),
    ],
)
def test_read_label(answer: str, label: str | None) -> None:
    assert prompts.read_label(answer, LABELS) == label


def test_training_rows_carry_the_prompt_that_is_served() -> None:
    line = json.loads(prompts.training_file([Row("卡丢了", "lost_card")]))
    assert line["messages"] == [
        *prompts.prefix("tuned", LABELS, [], 7),
        {"role": "user", "content": "卡丢了"},
        {"role": "assistant", "content": "lost_card"},
    ]


def test_base_is_told_every_label_and_few_shot_sees_every_label() -> None:
    table = load(None)
    base = prompts.prefix("base", table.labels, table.train, 7)
    assert len(base) == 1
    assert all(label in base[0]["content"] for label in table.labels)
    few_shot = prompts.prefix("few_shot", table.labels, table.train, 7)
    assert few_shot[0] == base[0]
    assert {m["content"] for m in few_shot if m["role"] == "assistant"} == set(table.labels)
    assert [m["role"] for m in few_shot[1:3]] == ["user", "assistant"]


def test_examples_keep_to_their_budget_and_hold_no_template() -> None:
    rows = [Row(f"{'word ' * 20}{i}", f"label_{i % 9}") for i in range(300)] + [Row("{{item.label}}", "label_1")]
    chosen = prompts.examples(rows, 7)
    spent = sum(prompts.estimate_tokens(row.text) + prompts.estimate_tokens(row.label) + 10 for row in chosen)
    assert 0 < spent <= prompts.texts()["example_tokens"]
    assert all("{{" not in row.text for row in chosen)
    assert chosen == prompts.examples(rows, 7) != prompts.examples(rows, 8)


def test_evaluation_items() -> None:
    assert json.loads(prompts.evaluation_file([Row("a", "b")])) == {"item": {"text": "a", "label": "b"}}


def test_answers_have_room_for_the_longest_label_and_no_more_than_the_limit() -> None:
    assert prompts.estimate_tokens("挂失") < prompts.answer_tokens(["挂失"]) < prompts.answer_tokens(LABELS)
    assert prompts.answer_tokens(["balance_not_updated_after_cheque_or_cash_deposit" * 2]) == 24
