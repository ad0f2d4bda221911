import { describe, expect, it } from "vitest";
import { differencesOf, linesOf } from "../../src/pages/deploy/changes";
import { draftOf, emptyPlan, isPlan, modelsOf, planOf, type Plan } from "../../src/pages/deploy/plan";
import { added, LEAST, moved, removed, sharesOf, WHOLE } from "../../src/pages/deploy/shares";
import { versionsOf } from "../../src/pages/deploy/versions";

const sum = (parts: readonly number[]) => parts.reduce((before, part) => before + part, 0);

/** Numbers that look random and are the same in every run. */
function* noise(seed: number): Generator<number, never, undefined> {
  for (let state = seed; ; ) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    yield state / 2_147_483_648;
  }
}

describe("shares", () => {
  it("shows relative weights as parts of a whole", () => {
    expect(sharesOf([1, 2])).toEqual([333, 667]);
    expect(sharesOf([90, 10])).toEqual([900, 100]);
    expect(sharesOf([5])).toEqual([WHOLE]);
    expect(sharesOf([])).toEqual([]);
  });

  it("always adds up, whatever is moved, added and removed", () => {
    const random = noise(7);
    const next = () => random.next().value;
    for (let round = 0; round < 500; round += 1) {
      let shares = sharesOf(Array.from({ length: 1 + Math.floor(next() * 31) }, () => 0.001 + next() ** 8 * 1_000_000));
      for (let step = 0; step < 5; step += 1) {
        const index = Math.floor(next() * shares.length);
        const kind = next();
        if (kind < 0.7) shares = moved(shares, index, next() * 1200 - 100);
        else if (kind < 0.85 && shares.length < 32) shares = added(shares);
        else if (shares.length > 1) shares = removed(shares, index);
        expect(sum(shares)).toBe(WHOLE);
        expect(Math.min(...shares)).toBeGreaterThanOrEqual(LEAST);
        expect(shares.every(Number.isInteger)).toBe(true);
      }
    }
  });

  it("gives what was asked, and the others keep their proportions", () => {
    expect(moved([500, 300, 200], 0, 700)).toEqual([700, 180, 120]);
    expect(moved([500, 500], 1, 2000)).toEqual([LEAST, WHOLE - LEAST]);
    expect(moved([WHOLE], 0, 10)).toEqual([WHOLE]);
    expect(added([500, 500])).toEqual([334, 333, 333].toSorted((a, b) => b - a));
    expect(removed([500, 300, 200], 0)).toEqual([600, 400]);
  });
});

describe("plans", () => {
  const plan: Plan = {
    ...emptyPlan(),
    targets: [
      { model: "a", weight: 7 },
      { model: "b", weight: 3 },
    ],
    fallbacks: ["c"],
    canary: { model: "d", percent: 5, sticky: "user" },
    schedule: [{ targets: [{ model: "e", weight: 1 }], days: ["mon", "tue"], start: "08:00", end: "18:00", timezone: "UTC" }],
  };

  it("takes the API's defaults for what is left out", () => {
    expect(planOf({ targets: [{ model: "a" }] })).toMatchObject({
      targets: [{ model: "a", weight: 1 }],
      retries: 2,
      queue: 100,
      queue_seconds: 30,
      canary: null,
    });
  });

  it("names every model once", () => {
    expect(modelsOf(plan)).toEqual(["a", "b", "c", "d", "e"]);
    expect(modelsOf(emptyPlan())).toEqual([]);
  });

  it("says what a change means, and nothing when only the weights' scale changed", () => {
    const scaled = { ...plan, targets: [{ model: "a", weight: 70 }, { model: "b", weight: 30 }] };
    expect(differencesOf(plan, scaled)).toEqual([]);
    const changed = { ...plan, fallbacks: [], canary: { model: "d", percent: 20, sticky: "user" as const } };
    expect(differencesOf(plan, changed)).toEqual([
      { field: "canary", of: "", before: "d · 5 % · user", after: "d · 20 % · user" },
      { field: "fallbacks", of: "", before: "c", after: null },
    ]);
    const other = { ...plan, targets: [{ model: "a", weight: 1 }] };
    expect(differencesOf(plan, other)).toEqual([
      { field: "targets", of: "a", before: "70 %", after: "100 %" },
      { field: "targets", of: "b", before: "30 %", after: null },
    ]);
  });

  it("shows a new route as all of its lines, and a deleted one as all gone", () => {
    expect(differencesOf(null, plan)).toHaveLength(linesOf(plan).length);
    expect(differencesOf(plan, null).every(({ after }) => after === null)).toBe(true);
  });

  it("gives each version of a page the plan before it, also across pages and deletions", () => {
    const row = (version: number, model: string | null) => ({
      id: `v${version}`,
      object: "route.version" as const,
      version,
      action: model ? "changed" : "deleted",
      restored_version: null,
      changed_by: "user:u1",
      created_at: version,
      plan: model ? planOf({ targets: [{ model }] }) : null,
    });
    const [third, second] = versionsOf([row(3, "c"), row(2, null)], row(1, "a"));
    expect(third?.before).toBeNull();
    expect(third?.plan?.targets[0]?.model).toBe("c");
    expect(second?.plan).toBeNull();
    expect(second?.before?.targets[0]?.model).toBe("a");
    expect(versionsOf([row(1, "a")], undefined)[0]?.before).toBeNull();
  });

  it("takes up a draft only when it can be edited", () => {
    expect(draftOf({ version: 3, plan })).toEqual({ version: 3, plan });
    expect(draftOf({ version: 3, plan: { targets: [] } })).toBeNull();
    expect(draftOf("x")).toBeNull();
    expect(isPlan(null)).toBe(false);
  });
});
