import { describe, expect, it } from "vitest";
import { parityOf } from "../../src/pages/versions/parity";
import type { Alias, Deployment, Route, Version } from "../../src/pages/versions/types";
import { modelsOf, shortName, usesOf } from "../../src/pages/versions/uses";

const version = (id: string, more: Partial<Version> = {}) => ({ id, parent: null, job_id: "job-1", ...more }) as Version;
const alias = (name: string, target: string) => ({ name, target }) as Alias;
const route = (name: string, plan: Partial<Route>) => ({ name, targets: [], ...plan }) as unknown as Route;

describe("what uses a version", () => {
  const here = version("ft:b:o:s:11111111");

  it("finds routes that use one of its names, and not the stopped deployments", () => {
    const uses = usesOf(here, {
      aliases: [alias("prod", here.id), alias("other", "ft:b:o:s:22222222")],
      routes: [route("by-name", { fallbacks: ["prod"] }), route("by-id", { targets: [{ model: here.id, weight: 1 }] }), route("no", { fallbacks: ["other"] })],
      deployments: [{ id: "d1", model: here.id, status: "ready" }, { id: "d2", model: here.id, status: "stopped" }, { id: "d3", model: "x", status: "ready" }] as Deployment[],
      versions: [here, version("ft:b:o:s:33333333", { parent: here.id, job_id: "job-2" }), version("ft:b:o:s:44444444"), version("ft:x", { job_id: null })],
    });
    expect(uses.aliases.map(({ name }) => name)).toEqual(["prod"]);
    expect(uses.routes.map(({ name }) => name)).toEqual(["by-name", "by-id"]);
    expect(uses.deployments.map(({ id }) => id)).toEqual(["d1"]);
    expect(uses.children.map(({ id }) => id)).toEqual(["ft:b:o:s:33333333"]);
    expect(uses.siblings.map(({ id }) => id)).toEqual(["ft:b:o:s:44444444"]);
  });

  it("does not take versions without a job for siblings", () => {
    const alone = version("ft:a", { job_id: null });
    expect(usesOf(alone, { aliases: [], routes: [], deployments: [], versions: [alone, version("ft:c", { job_id: null })] }).siblings).toEqual([]);
  });

  it("looks at every place of a route", () => {
    const plan = {
      targets: [{ model: "a", weight: 1 }],
      fallbacks: ["b"],
      canary: { model: "c", percent: 5, sticky: "none" },
      mirror: { model: "d", percent: 5 },
      cascade: { first: "e", threshold: 0.5, signal: "mean_token_probability" },
      schedule: [{ targets: [{ model: "f", weight: 1 }] }],
    };
    expect(modelsOf(route("r", plan as unknown as Partial<Route>)).sort()).toEqual(["a", "b", "c", "d", "e", "f"]);
  });

  it("names a version by what people gave it", () => {
    expect(shortName("ft:qwen:acme:intent-v2:ab12cd34")).toBe("intent-v2 · ab12cd34");
    expect(shortName("ft:qwen:acme::ab12cd34:ckpt-step-40")).toBe("qwen · ab12cd34 · ckpt-step-40");
    expect(shortName("qwen2.5-0.5b")).toBe("qwen2.5-0.5b");
  });
});

describe("parity reports", () => {
  it("are read as the API writes them", () => {
    const report = parityOf({
      agreement: { value: 0.95, interval: { low: 0.8, high: 0.99, method: "wilson", level: 0.95 }, n: 20 },
      prompts: 21,
      errored: 1,
      differing: [{ index: 3, prompt: [{ role: "user", content: "hi" }], expected: "a", actual: "b" }],
      differing_total: 1,
    });
    expect(report).toMatchObject({ agreement: { value: 0.95, n: 20 }, errored: 1, differing_total: 1 });
    expect(report?.differing[0]?.prompt).toBe("user: hi");
  });

  it("in another form are left to be shown as they are", () => {
    expect(parityOf({ agreement: 0.9 })).toBeNull();
    expect(parityOf({})).toBeNull();
  });
});
