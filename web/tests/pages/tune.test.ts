import { describe, expect, it } from "vitest";
import type { PageRequest } from "../../src/api";
import { forecast } from "../../src/pages/tune/forecast";
import { curvesOf, eventsSince, messagesOf } from "../../src/pages/tune/metrics";
import { orderOf } from "../../src/pages/tune/order";
import type { JobEvent } from "../../src/pages/tune/types";

const signal = new AbortController().signal;
const idOf = (n: number) => `ftevent-${String(n).padStart(6, "0")}`;

function event(n: number, data?: Record<string, unknown>): JobEvent {
  return { id: idOf(n), object: "fine_tuning.job.event", created_at: n, level: "info", message: `event ${n}`, type: data ? "metrics" : "message", data: data ?? null };
}

/** The API's list: newest first, continued by the last id. Counts what it was asked. */
function listOf(events: JobEvent[]) {
  const asked: (string | undefined)[] = [];
  const fetchPage = ({ after, limit }: PageRequest) => {
    asked.push(after);
    const sorted = [...events].sort((a, b) => (a.id < b.id ? 1 : -1));
    const rest = after === undefined ? sorted : sorted.filter(({ id }) => id < after);
    const data = rest.slice(0, limit);
    return Promise.resolve({ data, last_id: data.at(-1)?.id ?? null, has_more: rest.length > limit });
  };
  return { asked, fetchPage };
}

describe("events of a job", () => {
  const all = Array.from({ length: 250 }, (_, index) => event(index + 1));

  it("reads every page once at first", async () => {
    const { asked, fetchPage } = listOf(all);
    const found = await eventsSince([], fetchPage, signal);
    expect(found.map(({ id }) => id)).toEqual(all.map(({ id }) => id).reverse());
    expect(asked).toEqual([undefined, idOf(151), idOf(51)]);
  });

  it("then asks only for what is new, and misses nothing in between", async () => {
    const known = await eventsSince([], listOf(all.slice(0, 100)).fetchPage, signal);
    const { asked, fetchPage } = listOf(all);
    const found = await eventsSince(known, fetchPage, signal);
    expect(found).toHaveLength(250);
    expect(asked).toEqual([undefined, idOf(151)]);
  });

  it("keeps the same list when there is nothing new, so that nothing is drawn again", async () => {
    const { fetchPage } = listOf(all);
    const known = await eventsSince([], fetchPage, signal);
    expect(await eventsSince(known, fetchPage, signal)).toBe(known);
  });

  it("finds an event that was stored a moment after a younger one", async () => {
    const known = await eventsSince([], listOf(all.filter(({ id }) => id !== idOf(249))).fetchPage, signal);
    const found = await eventsSince(known, listOf(all).fetchPage, signal);
    expect(found.map(({ id }) => id)).toContain(idOf(249));
    expect(new Set(found.map(({ id }) => id)).size).toBe(250);
  });

  it("stops at the ceiling", async () => {
    expect((await eventsSince([], listOf(all).fetchPage, signal, 150)).length).toBe(200);
  });
});

describe("curves", () => {
  it("are sorted by step, leave out what is missing and take the newest telling of a step", () => {
    const events = [event(4, { step: 2, train_loss: 0.7 }), event(3, { step: 3, train_loss: 0.5, valid_loss: 0.6 }), event(2, { step: 2, train_loss: 0.9 }), event(1)];
    const curves = curvesOf(events, "loss", (measure) => measure);
    expect(curves.map(({ key, points }) => [key, points])).toEqual([
      ["train_loss", [{ x: 2, y: 0.7 }, { x: 3, y: 0.5 }]],
      ["valid_loss", [{ x: 3, y: 0.6 }]],
    ]);
    expect(curvesOf(events, "accuracy", String)).toEqual([]);
    expect(messagesOf(events).map(({ id }) => id)).toEqual([idOf(1)]);
  });
});

describe("how long a job may take", () => {
  const job = (seconds: number, rows = 100, epochs = 2) => ({ seconds, rows, epochs });

  it("says nothing with fewer than three earlier jobs or without rows", () => {
    expect(forecast([job(10), job(12)], 100, 2)).toBeNull();
    expect(forecast([job(10), job(12), job(11)], 0, 2)).toBeNull();
    expect(forecast([job(10), job(12), job(0)], 100, 2)).toBeNull();
  });

  it("grows with rows and epochs, and its interval holds the likely value", () => {
    const jobs = [job(100), job(110), job(95), job(104)];
    const once = forecast(jobs, 100, 2);
    const more = forecast(jobs, 200, 4);
    expect(once?.seconds).toBeCloseTo(102.1, 0);
    expect((more?.seconds ?? 0) / (once?.seconds ?? 1)).toBeCloseTo(4);
    expect(once?.low).toBeLessThan(once?.seconds ?? 0);
    expect(once?.high).toBeGreaterThan(once?.seconds ?? 0);
    expect(once?.n).toBe(4);
  });

  it("is less sure the more the jobs differed, and never certain", () => {
    const width = (jobs: ReturnType<typeof job>[]) => {
      const found = forecast(jobs, 100, 2);
      return found ? found.high / found.low : 0;
    };
    expect(width([job(50), job(100), job(200)])).toBeGreaterThan(width([job(100), job(100), job(100)]));
    expect(width([job(100), job(100), job(100)])).toBeGreaterThan(1.5);
  });

  it("does not use epochs that are left to the platform", () => {
    expect(forecast([job(100, 100, 1), job(100, 100, 5), job(100, 100, 9)], 100, null)?.seconds).toBeCloseTo(100);
  });
});

describe("the order", () => {
  it("leaves out what was left empty", () => {
    const draft = { model: "m", training_file: "f", recipe: "good", validation_file: null, suffix: "  ", seed: null, n_epochs: null };
    expect(orderOf(draft)).toEqual({
      model: "m",
      training_file: "f",
      recipe: "good",
      hyperparameters: { n_epochs: "auto", batch_size: "auto", learning_rate_multiplier: "auto" },
    });
    expect(orderOf({ ...draft, seed: 0, n_epochs: 3, suffix: " a " })).toMatchObject({ seed: 0, suffix: "a", hyperparameters: { n_epochs: 3 } });
  });
});
