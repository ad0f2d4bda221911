import { describe, expect, it } from "vitest";
import type { Wire } from "../src/api";
import { stateOf, type Job } from "../src/app/jobs/source";
import { nextPath, tokenOf } from "../src/app/address";
import { measuredNames } from "../src/pages/home/measured";
import { hasUnpriced, spentIn, startOfToday } from "../src/pages/home/sums";
import { todos } from "../src/pages/home/todo";

const NOW = 1_000_000;

function job(part: Partial<Job>): Job {
  const base = { id: "j", kind: "tuning" as const, name: "m:v1", state: "succeeded" as const, progress: null };
  return { ...base, remainingSeconds: null, createdAt: NOW - 60, finishedAt: NOW, error: null, link: "/tune/j", cancel: null, ...part };
}

const nothing = { deployments: [], jobs: [], routes: [], invites: [] };
const deployment = (part: object) => ({ id: "d", status: "ready", model: "m:v1", reason: null, ...part }) as Wire<"DeploymentObject">;

describe("what waits for a person", () => {
  it("is a trained model until it is deployed", () => {
    expect(todos({ ...nothing, jobs: [job({})] }, NOW).map((item) => item.kind)).toEqual(["versionUnused"]);
    expect(todos({ ...nothing, jobs: [job({})], deployments: [deployment({})] }, NOW)).toEqual([]);
    const stopped = deployment({ status: "stopped" });
    expect(todos({ ...nothing, jobs: [job({})], deployments: [stopped] }, NOW)).toHaveLength(1);
  });

  it("begins with what is broken, and forgets old failures", () => {
    const jobs = [job({ state: "failed", id: "new" }), job({ state: "failed", id: "old", finishedAt: NOW - 8 * 86_400 })];
    const found = todos({ ...nothing, jobs, deployments: [deployment({ status: "failed", reason: "no memory" })] }, NOW);
    expect(found.map((item) => [item.kind, item.id])).toEqual([
      ["deploymentFailed", "d"],
      ["jobFailed", "new"],
    ]);
  });
});

describe("cost", () => {
  const page = (amounts: ({ value: number; currency: string } | null)[]) =>
    ({ data: [{ results: amounts.map((amount) => ({ amount })) }] }) as Wire<"CostPage">;

  it("adds without fractions and apart for each currency", () => {
    const spent = spentIn(page([{ value: 0.1, currency: "cny" }, { value: 0.2, currency: "cny" }, { value: 1, currency: "usd" }]));
    expect(spent).toEqual([
      { currency: "usd", nanos: 1_000_000_000n },
      { currency: "cny", nanos: 300_000_000n },
    ]);
  });

  it("says when something has no price", () => {
    expect(hasUnpriced(page([null]))).toBe(true);
    expect(hasUnpriced(page([]))).toBe(false);
  });

  it("begins today on a full hour", () => {
    expect(startOfToday(new Date()) % 3600).toBe(0);
  });
});

it("takes the newest finished run of each evaluation for a name or its target", () => {
  const run = (id: string, eval_id: string, model: string, created_at: number, status = "completed") => ({
    evalName: eval_id,
    run: { id, eval_id, model, created_at, status, pass_rate: { value: 0.5, interval: null, n: 2 } } as unknown as Wire<"RunObject">,
  });
  const alias = { name: "helper", target: "m:v2" } as Wire<"AliasObject">;
  const runs = [
    run("a", "e1", "helper", 1),
    run("b", "e1", "m:v2", 2),
    run("c", "e1", "m:v1", 3),
    run("d", "e2", "m:v2", 4, "failed"),
    run("e", "e3", "helper", 5),
  ];
  expect(measuredNames([alias], runs)[0]?.results.map((result) => result.run.id)).toEqual(["e", "b"]);
});

it("knows every end of a job and takes the rest as under way", () => {
  expect(["completed", "canceled", "expired", "finalizing", "validating_files"].map(stateOf)).toEqual([
    "succeeded",
    "cancelled",
    "failed",
    "active",
    "active",
  ]);
});

it("never leads away from the console after signing in", () => {
  const next = (value: string) => nextPath(new URLSearchParams({ next: value }));
  expect(next("/people/keys?a=1")).toBe("/people/keys?a=1");
  for (const bad of ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""]) {
    expect(next(bad)).toBe("/");
  }
  expect(tokenOf("#abc", new URLSearchParams("token=def"))).toBe("abc");
  expect(tokenOf("", new URLSearchParams("token=def"))).toBe("def");
});
