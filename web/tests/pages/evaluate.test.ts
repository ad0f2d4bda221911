import { describe, expect, it } from "vitest";
import { flippedBy, outcomeOf, pointsText, probabilityText, type Verdict } from "../../src/pages/evaluate/comparison";
import { criterionOf, fieldsOf, itemOf, type Draft } from "../../src/pages/evaluate/create";
import { itemsOf, labelsOf, linesOf, referenceOf } from "../../src/pages/evaluate/items";
import { keyOf, lockstep, paired } from "../../src/pages/evaluate/pairs";
import { inputOf, ownSource, sourceOfRun } from "../../src/pages/evaluate/source";
import type { Eval, Item, Run } from "../../src/pages/evaluate/types";

const item = (id: string, row: Record<string, unknown>) => ({ id, datasource_item: row }) as unknown as Item;
const chat = (...contents: string[]) =>
  JSON.stringify({ messages: contents.map((content, index) => ({ role: index === contents.length - 1 ? "assistant" : "user", content })) });

describe("items of a dataset", () => {
  it("take the last answer as the expected one and count rows without", () => {
    const lines = [chat("hi", "hello"), "", JSON.stringify({ messages: [{ role: "user", content: "alone" }] }), chat("only")].join("\n");
    const { items, skipped } = itemsOf(lines);
    expect(items).toEqual([{ messages: [{ role: "user", content: "hi" }], reference: "hello" }]);
    expect(skipped).toBe(2);
    expect(linesOf(items)).toBe(`${JSON.stringify({ item: items[0] })}\n`);
  });

  it("are labels only when there are few different ones", () => {
    const rows = (answers: string[]) => answers.map((reference) => ({ messages: [], reference }));
    expect(labelsOf(rows(["b", "a", "b", "a", "b", "a"]))).toEqual(["a", "b"]);
    expect(labelsOf(rows(["one", "two", "three"]))).toEqual([]);
    expect(labelsOf(rows(["a", "a", "a"]))).toEqual([]);
  });

  it("show what the check expected", () => {
    const row = item("i", { reference: "yes", nested: { answer: 5 } });
    expect(referenceOf(row, [{ reference: "{{item.reference}}" }])).toBe("yes");
    expect(referenceOf(row, [{ reference: "fixed" }, { reference: "{{ item.nested.answer }}" }])).toBe("5");
    expect(referenceOf(row, [{ source: "def grade" }])).toBe("");
  });

  it("read the first line of a file", () => {
    expect(itemOf('{"item": {"question": "q", "bad name": 1}}')).toEqual({ question: "q", "bad name": 1 });
    expect(fieldsOf({ question: "q", "bad name": 1 })).toEqual(["question"]);
    for (const line of ["", "not json", "[1]", '{"item": [1]}', '{"question": "q"}']) expect(itemOf(line)).toBeNull();
  });
});

describe("checks", () => {
  const draft: Draft = { name: "n", from: "dataset", check: "label_match" };
  it("use typed labels before those that were found", () => {
    expect(criterionOf(draft, "{{item.reference}}", ["a", "b"])["labels"]).toEqual(["a", "b"]);
    expect(criterionOf({ ...draft, labels: ["x", "y"] }, "r", ["a", "b"])["labels"]).toEqual(["x", "y"]);
    expect(criterionOf({ ...draft, check: "string_check", operation: "ilike" }, "r", [])).toMatchObject({ type: "string_check", operation: "ilike" });
  });
});

describe("the source of a run", () => {
  it("is a reference for a path and a question for a text", () => {
    expect(inputOf("item.messages")).toEqual({ type: "item_reference", item_reference: "item.messages" });
    expect(inputOf("{{item.question}}")).toMatchObject({ type: "template", template: [{ role: "user", content: "{{item.question}}" }] });
  });

  it("is what the evaluation was made for, or the same as another run's", () => {
    expect(ownSource({ metadata: null } as Eval)).toBeNull();
    expect(ownSource({ metadata: { plinth_file: "file-1", plinth_input: "item.messages" } } as unknown as Eval)).toMatchObject({ source: { type: "file_id", id: "file-1" } });
    const source = { type: "completions", source: { type: "file_id", id: "f" }, input_messages: {}, sampling_params: { seed: 1 } };
    expect(sourceOfRun({ data_source: { ...source, model: "m" } } as unknown as Run)).toEqual(source);
    expect(sourceOfRun({ data_source: { type: "jsonl" } } as unknown as Run)).toBeNull();
  });
});

describe("comparing two runs", () => {
  const verdict = (low: number, high: number) => ({ n: 10, difference: { value: (low + high) / 2, interval: { low, high }, n: 10 } }) as Verdict;

  it("calls one better only when the whole interval says so", () => {
    expect(outcomeOf(verdict(0.01, 0.2))).toBe("better");
    expect(outcomeOf(verdict(-0.2, -0.01))).toBe("worse");
    expect(outcomeOf(verdict(-0.01, 0.2))).toBe("unclear");
    expect(outcomeOf(verdict(0, 0.2))).toBe("unclear");
    expect(outcomeOf({ ...verdict(0.1, 0.2), n: 0 })).toBe("nothing");
  });

  it("never says that something is impossible", () => {
    expect(probabilityText(0, "en")).toBe("< 0.001");
    expect(probabilityText(0.0421, "en")).toBe("= 0.042");
    expect(pointsText(0.0213, "en")).toBe("+2.1");
    expect(pointsText(0, "en")).toBe("0");
  });

  it("filters what changed", () => {
    const flips = [{ run_a_item_id: "1", run_b_item_id: "2", now: "pass" }, { run_a_item_id: "3", run_b_item_id: "4", now: "fail" }];
    const found = { flipped: flips } as Verdict;
    expect(flippedBy(found, "disagree")).toHaveLength(2);
    expect(flippedBy(found, "fail").map(({ run_a_item_id: id }) => id)).toEqual(["3"]);
  });
});

describe("pairs", () => {
  it("meet by content, in whatever order its fields are, and one by one when it repeats", () => {
    const a = [item("a1", { x: 1, y: [2] }), item("a2", { x: 1, y: [2] }), item("a3", { z: null })];
    const b = [item("b1", { y: [2], x: 1 }), item("b2", { w: 0 }), item("b3", { x: 1, y: [2] })];
    expect(paired(a, b).map((pair) => [pair.a.id, pair.b?.id])).toEqual([["a1", "b1"], ["a2", "b3"], ["a3", undefined]]);
    expect(keyOf({ b: 1, a: { d: [1, { f: 0, e: 1 }] } })).toBe(keyOf({ a: { d: [1, { e: 1, f: 0 }] }, b: 1 }));
    expect(keyOf([1, 2])).not.toBe(keyOf([2, 1]));
  });

  it("are walked through page by page in both runs", async () => {
    const pages: Record<string, Item[]> = { a: [item("a1", { n: 1 }), item("a2", { n: 2 })], b: [item("b1", { n: 1 }), item("b2", { n: 2 })] };
    const fetchPage = (run: string, after: string | undefined) => {
      const rows = pages[run] ?? [];
      const start = after === undefined ? 0 : rows.findIndex(({ id }) => id === after) + 1;
      const data = rows.slice(start, start + 1);
      return Promise.resolve({ data, last_id: data.at(-1)?.id ?? null, has_more: rows.length > start + 1 });
    };
    const first = await lockstep(fetchPage, "a", "b", { a: undefined, b: undefined });
    expect(first.next).toEqual({ a: "a1", b: "b1" });
    const second = await lockstep(fetchPage, "a", "b", first.next ?? { a: undefined, b: undefined });
    expect(second.pairs.map((pair) => [pair.a.id, pair.b?.id])).toEqual([["a2", "b2"]]);
    expect(second.next).toBeNull();
  });
});
