import { describe, expect, it } from "vitest";
import { ApiError } from "../../src/api";
import { bodyOf, EMPTY, fieldOf, fromDraft, NAMES, suggestedName, toDraft, withField, type Values } from "../../src/pages/models/add/request";
import { mentions } from "../../src/pages/models/dependants";
import { endingOf, matches, parametersText, priceOf, servesHere, tunesHere, type BaseModel, type Price } from "../../src/pages/models/model";

const GB = 2 ** 30;

function base(part: Partial<BaseModel> = {}): BaseModel {
  return {
    id: "tiny-1", object: "base_model", created: 0, owned_by: "acme", scope: "project",
    display_name: { en: "Tiny", zh: "小模型" }, licence: "MIT", licence_note: {}, parameters: 1, context_tokens: 512,
    dimensions: null, capabilities: ["generate", "tune"], languages: ["en"], source: { kind: "local", path: "/x", format: "gguf" },
    sha256: "", weight_bytes: 1, chat_template: null, shutdown_date: null,
    fit: { serve: true, tune: false, serve_bytes: GB, tune_bytes: 3 * GB, available_bytes: 2 * GB, total_bytes: 4 * GB },
    ...part,
  };
}

function price(part: Partial<Price>): Price {
  return {
    id: "p", object: "price", model: "tiny-1", currency: "CNY", input: 1, cached_input: 1, output: 2, batch_discount: 0,
    effective_from: 0, created_at: 0, shared: false, ...part,
  };
}

describe("where a model fits", () => {
  it("tells what fits now, later and never", () => {
    expect(servesHere(base())).toBe("yes");
    expect(tunesHere(base())).toBe("later");
    const huge = base({ fit: { ...base().fit, serve: false, serve_bytes: 5 * GB } });
    expect(servesHere(huge)).toBe("never");
    expect(tunesHere(base({ capabilities: ["generate"] }))).toBeNull();
    expect(servesHere(base({ source: { kind: "remote", base_url: "", model: "", egress_allowed: false } }))).toBe("remote");
  });
});

describe("prices", () => {
  it("takes the one in force, an own one before a shared one", () => {
    const prices = [
      price({ id: "old", effective_from: 10 }),
      price({ id: "now", effective_from: 20 }),
      price({ id: "next", effective_from: 1000 }),
      price({ id: "shared", effective_from: 50, shared: true }),
      price({ id: "other", model: "tiny-2", effective_from: 60 }),
    ];
    expect(priceOf(prices, "tiny-1", 100)?.id).toBe("now");
    expect(priceOf(prices.slice(2), "tiny-1", 100)?.id).toBe("shared");
    expect(priceOf(prices, "tiny-3", 100)).toBeNull();
  });
});

describe("shutdown dates", () => {
  const noon = Date.parse("2026-11-25T12:00:00Z");
  it("counts the last day as a day of service", () => {
    expect(endingOf("2026-11-25", noon)).toBe("soon");
    expect(endingOf("2026-11-24", noon)).toBe("over");
    expect(endingOf("2027-11-25", noon)).toBe("announced");
    expect(endingOf(null, noon)).toBe("none");
  });
});

describe("the catalogue", () => {
  it("finds by either language's name, owner, licence and capability", () => {
    for (const text of ["TINY", "小模型", "acme", "mit", " "]) expect(matches(base(), { text, capability: null })).toBe(true);
    expect(matches(base(), { text: "gpl", capability: null })).toBe(false);
    expect(matches(base(), { text: "", capability: "embed" })).toBe(false);
  });

  it("writes parameters as the field does", () => {
    expect(parametersText(134_515_008, "en")).toBe("135M");
    expect(parametersText(7_241_732_096, "en")).toBe("7.24B");
    expect(parametersText(134_515_008, "zh")).toBe("1.35亿");
  });
});

describe("what uses a model", () => {
  it("finds it anywhere in a plan, but not by the plan's own name", () => {
    const plan = { name: "tiny-1", id: "tiny-1", targets: [{ model: "a", weight: 1 }], fallbacks: ["b"], cascade: { first: "c" } };
    for (const model of ["a", "b", "c"]) expect(mentions(plan, model)).toBe(true);
    expect(mentions(plan, "tiny-1")).toBe(false);
    expect(mentions(null, "a")).toBe(false);
  });
});

describe("adding a model", () => {
  const remote: Values = {
    ...EMPTY,
    name: "gpt ",
    source: { kind: "remote", base_url: " https://api.example.com/v1 ", model: "m", api_key: "sk-secret", egress_allowed: true },
  };

  it("sends only what was typed", () => {
    expect(bodyOf(remote)).toEqual({
      name: "gpt",
      source: { kind: "remote", base_url: "https://api.example.com/v1", model: "m", egress_allowed: true, api_key: "sk-secret" },
    });
    const hub: Values = { ...EMPTY, name: "x", source: { kind: "hub", repository: "a/b", revision: " ", path: "/left/over" } };
    expect(bodyOf(hub).source).toEqual({ kind: "hub", hub: "huggingface", repository: "a/b" });
    const named: Values = { ...hub, display_name: { zh: "名", en: "" } };
    expect(bodyOf(named).display_name).toEqual({ en: "名", zh: "名" });
  });

  it("keeps no key in the browser", () => {
    const kept = JSON.stringify(toDraft(remote));
    expect(kept).not.toContain("sk-secret");
    expect(fromDraft(JSON.parse(kept))?.source.base_url).toBe(remote.source.base_url);
    for (const odd of [null, 1, "x", {}]) expect(fromDraft(odd)).toBeNull();
  });

  it("puts every error beside the field that a person has to change", () => {
    const error = (code: string, param: string | null = null) => new ApiError("no", 400, code, param, null, null);
    expect(withField(error("base_model_files_refused"), "local")).toMatchObject({ param: "source.path", message: "no" });
    expect(withField(error("base_model_source_refused"), "hub")).toMatchObject({ param: "source.repository" });
    expect(withField(error("invalid_request", "name"), "local")).toMatchObject({ param: "name" });
    expect(withField(error("storage_full"), "local")).toMatchObject({ param: null });
    expect(fieldOf("remote_model_missing", "remote")).toBe("source.model");
    expect(NAMES["source.remote.base_url"]).toBe("source.base_url");
  });

  it("suggests a name that the API takes", () => {
    expect(suggestedName({ kind: "hub", repository: "Qwen/Qwen3-0.6B" })).toBe("qwen3-0.6b");
    expect(suggestedName({ kind: "local", path: "/srv/models/My Model_q4.GGUF" })).toBe("my-model-q4");
    expect(suggestedName({ kind: "remote", model: "deepseek-chat" })).toBe("deepseek-chat");
    expect(suggestedName({ kind: "remote" })).toBe("");
  });
});
