import { describe, expect, it } from "vitest";
import { domainOf, thinned, ticksOf, valueAt, within } from "../../src/pages/lab/scale";
import { differenceOf, wordsOf } from "../../src/pages/lab/words";

describe("axes", () => {
  it("marks round numbers without the errors of adding up", () => {
    expect(ticksOf([0, 1], 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticksOf([0.05, 0.34], 3)).toEqual([0.1, 0.2, 0.3]);
    expect(ticksOf([-12, 31], 4)).toEqual([0, 20]);
  });

  it("gives one value, and none, a span that can be drawn", () => {
    for (const values of [[], [3], [0], [2, 2]]) {
      const [low, high] = domainOf(values);
      expect(high).toBeGreaterThan(low);
    }
    expect(domainOf([0, Number.NaN, 10], 0.1)).toEqual([-1, 11]);
    expect(within([-0.2, 1.3], 0, 1)).toEqual([0, 1]);
  });

  it("reads a curve at a step it has no value for", () => {
    const points = [{ x: 2, y: 20 }, { x: 5, y: 50 }];
    const at = (x: number) => valueAt({ key: "k", name: "n", points }, x)?.y;
    expect([at(1), at(2), at(4), at(5), at(9)]).toEqual([undefined, 20, 20, 50, 50]);
  });

  it("thins a long table but keeps its ends and the rare rows", () => {
    const positions = Array.from({ length: 1000 }, (_, index) => index + 1);
    const shown = thinned(positions, new Set([333, 777]), 50);
    expect(shown.length).toBeLessThanOrEqual(50);
    expect(shown).toEqual([...shown].sort((a, b) => a - b));
    expect(shown).toEqual(expect.arrayContaining([1, 333, 777, 1000]));
  });
});

describe("differences of texts", () => {
  const before = (pieces: ReturnType<typeof differenceOf>) => pieces.filter(({ kind }) => kind !== "new").map(({ text }) => text).join("");
  const after = (pieces: ReturnType<typeof differenceOf>) => pieces.filter(({ kind }) => kind !== "gone").map(({ text }) => text).join("");

  it.each([
    ["card arrival", "card delivery estimate"],
    ["您的卡片已寄出，请等待。", "您的卡已于昨天寄出。"],
    ["", "new"],
    ["gone", ""],
    ["same", "same"],
    ["a\n b  c", "a b\nc"],
    ["word ".repeat(700), "other ".repeat(10)],
  ])("can be put together again: %s", (a, b) => {
    const pieces = differenceOf(a, b);
    expect(before(pieces)).toBe(a);
    expect(after(pieces)).toBe(b);
  });

  it("keeps what stayed", () => {
    expect(differenceOf("lost card today", "stolen card today")).toEqual([
      { text: "lost", kind: "gone" },
      { text: "stolen", kind: "new" },
      { text: " card today", kind: "same" },
    ]);
    expect(differenceOf("退款已到账", "退款未到账").filter(({ kind }) => kind !== "same")).toEqual([
      { text: "已", kind: "gone" },
      { text: "未", kind: "new" },
    ]);
  });

  it("loses no character when it splits", () => {
    const text = "Ünïcode 汉字 123 😀!\t\n";
    expect(wordsOf(text).join("")).toBe(text);
  });
});
