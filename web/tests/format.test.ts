import { describe, expect, it } from "vitest";
import { bytesText, decimalOfNanos, durationText, moneyText, relativeText } from "../src/ui/format";

describe("money", () => {
  it("turns nanos into exact decimals", () => {
    expect(decimalOfNanos(1_500_000_000)).toBe("1.5");
    expect(decimalOfNanos(1n)).toBe("0.000000001");
    expect(decimalOfNanos(-2_000_000_000)).toBe("-2");
    expect(decimalOfNanos(0)).toBe("0");
    expect(decimalOfNanos(123_456_789_012_345_678_901n)).toBe("123456789012.345678901");
  });

  it("never shows a small sum as nothing", () => {
    expect(moneyText("0.000123", "cny", "zh")).toContain("0.000123");
    expect(moneyText("12.345", "cny", "zh")).toContain("12.35");
    expect(moneyText("0", "usd", "en")).toContain("0.00");
  });
});

it("says how long ago in the largest unit that fits", () => {
  expect(relativeText(0, 3 * 86_400, "en")).toBe("3 days ago");
  expect(relativeText(7200, 0, "en")).toBe("in 2 hours");
  expect(relativeText(100, 130, "en")).toBe("now");
});

it("writes durations and sizes", () => {
  expect(durationText(59, "en")).toBe("59 sec");
  expect(durationText(3 * 3600 + 120, "en")).toBe("3 hr 2 min");
  expect(bytesText(1536, "en")).toBe("2 KB");
  expect(bytesText(0, "en")).toBe("0 B");
  expect(bytesText(5 * 1024 ** 3, "en")).toBe("5 GB");
});
