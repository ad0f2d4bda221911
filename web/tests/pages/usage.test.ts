import { describe, expect, it } from "vitest";
import { entriesOf, idlePoolOf, modelOf } from "../../src/pages/usage/entries";
import { csvOf } from "../../src/pages/usage/csv";
import { left, nanosOf, ratio } from "../../src/pages/usage/nanos";
import { between, dateText, DAY, daysOf, lastDays, widthOf } from "../../src/pages/usage/period";
import type { CostRow, UsageRow } from "../../src/pages/usage/reports";
import { costTotals, OTHERS, seriesOf, ticksOf, unpriced } from "../../src/pages/usage/totals";

const used = (group: string, start: number, requests: number): UsageRow => ({ group, start, requests, input: 10, cached: 4, output: 5 });
const paid = (group: string, nanos: bigint | null, currency = "USD"): CostRow => ({ group, start: 0, currency, nanos, requests: 3 });

describe("days", () => {
  const now = Date.UTC(2026, 10, 25, 2, 30) / 1000;

  it("are whole UTC days, today included", () => {
    const week = lastDays(7, now);
    expect([dateText(week.start), dateText(week.end)]).toEqual(["2026-11-19", "2026-11-26"]);
    expect(daysOf(week)).toBe(7);
    expect(widthOf(week)).toBe("1d");
    expect(widthOf(lastDays(1, now))).toBe("1h");
  });

  it("are read from two dates, both included", () => {
    expect(between("2026-11-01", "2026-11-01")).toEqual({ start: Date.UTC(2026, 10, 1) / 1000, end: Date.UTC(2026, 10, 1) / 1000 + DAY });
    expect(between("2026-11-02", "2026-11-01")).toBeNull();
    expect(between("", "2026-11-01")).toBeNull();
    expect(between("2020-01-01", "2026-11-01")).toBeNull();
  });
});

describe("money", () => {
  it("keeps every digit of an amount", () => {
    expect(nanosOf("0.000000001")).toBe(1n);
    expect(nanosOf(0.1 + 0.2)).toBe(300_000_000n);
    expect(nanosOf("12")).toBe(12_000_000_000n);
    expect(nanosOf(-1.5)).toBe(-1_500_000_000n);
    expect(nanosOf("123456789.123456789")).toBe(123_456_789_123_456_789n);
    expect(nanosOf(1e-9)).toBe(1n);
  });

  it("is never added across currencies, and what has no price is said", () => {
    const rows = [paid("a", 5n), paid("b", 7n), paid("a", 100n, "CNY"), paid("c", null, "")];
    expect([...costTotals(rows)]).toEqual([["CNY", 100n], ["USD", 12n]]);
    expect(unpriced(rows)).toBe(3);
  });

  it("says what is left, never less than nothing", () => {
    expect(left(10n, 3n)).toBe(7n);
    expect(left(10n, 30n)).toBe(0n);
    expect(ratio(1n, 4n)).toBe(0.25);
    expect(ratio(5n, 4n)).toBe(1.25);
    expect(ratio(0n, 0n)).toBe(1);
  });
});

describe("groups", () => {
  it("find the model of a line item, with colons in its name", () => {
    expect(modelOf("remote: base:gpt-x")).toBe("base:gpt-x");
    expect(modelOf("local: base/nano")).toBe("base/nano");
    expect(modelOf("idle: local")).toBe("idle: local");
    expect(idlePoolOf("idle: local")).toBe("local");
    expect(idlePoolOf("base:idle")).toBeNull();
  });

  it("put usage and costs of a model together, the dearest first", () => {
    const entries = entriesOf(
      [used("a", 0, 2), used("a", 1, 3), used("b", 0, 1)],
      [paid("local: b", 9n), paid("remote: a", 4n), paid("local: a", 1n), { ...paid("idle: local", 100n), requests: 0 }],
      "model",
    );
    expect(entries.map(({ group, requests }) => [group, requests])).toEqual([["idle: local", 0], ["b", 1], ["a", 5]]);
    expect(entries[2]?.costs.get("USD")).toBe(5n);
    expect(entries[2]?.cached).toBe(8);
  });

  it("become series; the small ones are added up", () => {
    const rows = [used("a", 0, 5), used("a", 60, 5), used("b", 0, 3), used("c", 60, 2), used("d", 0, 1), used("d", 999, 50)];
    const series = seriesOf(rows, [0, 60], (row) => row.requests, 3);
    expect(series).toEqual([
      { group: "a", values: [5, 5] },
      { group: "b", values: [3, 0] },
      { group: OTHERS, values: [1, 2] },
    ]);
    expect(seriesOf([], [0, 60], () => 1, 3)).toEqual([]);
  });
});

describe("axis", () => {
  it("has round numbers and covers the largest value", () => {
    expect(ticksOf(0)).toEqual([0, 1]);
    expect(ticksOf(100)).toEqual([0, 50, 100]);
    expect(ticksOf(7)).toEqual([0, 2, 4, 6, 8]);
    for (const most of [0.0003, 0.9, 1, 13, 99, 12_345, 7e9]) {
      const ticks = ticksOf(most);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(most * (1 - 1e-9));
      expect(ticks.length).toBeLessThanOrEqual(6);
    }
  });
});

describe("files", () => {
  it("quote what needs it and defuse formulas", () => {
    expect(csvOf([["a", 1, null], ['say "hi", you', 2n, "=1+1"]])).toBe('a,1,\r\n"say ""hi"", you",2,\'=1+1\r\n');
  });
});
