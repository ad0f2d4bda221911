import { describe, expect, it } from "vitest";
import { ApiError } from "../../src/api";
import { curlCode, pythonCode } from "../../src/pages/playground/code";
import { pieceOf } from "../../src/pages/playground/completion";
import { costOf, priceOf, type Price } from "../../src/pages/playground/prices";
import { saved, VERSIONS_KEPT, without, type Prompt } from "../../src/pages/playground/prompts";
import { requestOf, settingsOf, FRESH } from "../../src/pages/playground/settings";
import { dataOf } from "../../src/pages/playground/sse";
import { answering, messagesOf, speedOf, turnsOf } from "../../src/pages/playground/turns";

async function read(chunks: Uint8Array[]): Promise<string[]> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  const found: string[] = [];
  for await (const data of dataOf(body)) found.push(data);
  return found;
}

describe("server-sent events", () => {
  const text = 'data: {"a":"你好"}\r\n\r\n: a comment\n\ndata:{"b":1}\n\nevent: x\ndata: [DONE]\n\n';
  const wanted = ['{"a":"你好"}', '{"b":1}', "[DONE]"];

  it("are the same however the bytes are cut", async () => {
    const bytes = new TextEncoder().encode(text);
    for (let size = 1; size <= bytes.length; size += 1) {
      const chunks = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
      expect(await read(chunks)).toEqual(wanted);
    }
  });

  it("may lack the last line end", async () => {
    expect(await read([new TextEncoder().encode("data: end")])).toEqual(["end"]);
  });
});

describe("pieces of an answer", () => {
  it("carry text, the end and usage", () => {
    expect(pieceOf({ choices: [{ delta: { content: "Hi" }, finish_reason: null }] })).toEqual({ text: "Hi" });
    expect(pieceOf({ choices: [{ delta: {}, finish_reason: "stop" }] })).toEqual({ finish: "stop" });
    const usage = { prompt_tokens: 3, completion_tokens: 2 };
    expect(pieceOf({ choices: [], usage })).toEqual({ usage });
  });

  it("fail with the API's sentence", () => {
    expect(() => pieceOf({ error: { message: "too long", code: "context", param: "messages" } })).toThrow(
      new ApiError("too long", 500, "context", "messages", null, null),
    );
  });
});

describe("requests", () => {
  it("leave out what is not set", () => {
    const turns = [{ role: "user" as const, content: "Hi" }];
    expect(requestOf(FRESH, "m", turns)).toEqual({ model: "m", messages: turns });
    expect(requestOf({ ...FRESH, system: "S", temperature: 0, max_tokens: 5 }, "m", turns)).toEqual({
      model: "m",
      temperature: 0,
      max_tokens: 5,
      messages: [{ role: "system", content: "S" }, ...turns],
    });
  });

  it("leave out answers that never began", () => {
    const turns = [
      { role: "user" as const, content: "a" },
      { role: "assistant" as const, content: "" },
      { role: "user" as const, content: "b" },
    ];
    expect(messagesOf(turns).map(({ content }) => content)).toEqual(["a", "b"]);
  });

  it("are taken up after a reload, and a running answer is a stopped one", () => {
    expect(settingsOf({ system: "S" })).toEqual({ ...FRESH, system: "S" });
    expect(settingsOf({ models: [] })).toBeNull();
    expect(settingsOf(null)).toBeNull();
    const readout = { state: "running" as const, model: "m", firstMs: null, totalMs: null, usage: null, finish: null, at: 0 };
    expect(turnsOf([{ role: "assistant", content: "x", readout }])[0]?.readout?.state).toBe("stopped");
    expect(turnsOf("x")).toEqual([]);
  });

  it("become code that keeps every character and holds no key", () => {
    const request = requestOf({ ...FRESH, system: 'It\'s "fine"\n', seed: 7 }, "base/x", [{ role: "user", content: "O'Neil \\ 你好" }]);
    const python = pythonCode(request, "http://h:1");
    expect(python).toContain('{"role": "system", "content": "It\'s \\"fine\\"\\n"},');
    expect(python).toContain('{"role": "user", "content": "O\'Neil \\\\ 你好"},');
    expect(python).toContain('base_url="http://h:1/v1", api_key=os.environ["PLINTH_API_KEY"]');
    expect(python).toContain("    seed=7,");
    const curl = curlCode(request, "http://h:1");
    const quoted = /-d '([\s\S]*)'\n$/.exec(curl)?.[1] ?? "";
    expect(JSON.parse(quoted.replaceAll("'\\''", "'"))).toEqual(request);
    expect(quoted.replaceAll("'\\''", "")).not.toContain("'");
    expect(curl).toContain("$PLINTH_API_KEY");
  });
});

describe("cost", () => {
  const price = (change: Partial<Price>): Price => ({
    model: "m",
    currency: "USD",
    input: 2.5,
    cached_input: 1.25,
    output: 10,
    effective_from: 100,
    created_at: 1,
    shared: true,
    ...change,
  });

  it("takes the own price before the shared one, the newest in force, the later entered of two", () => {
    const later = price({ effective_from: 200, input: 3 });
    const own = price({ shared: false, input: 1 });
    expect(priceOf([price({}), later], "m", 150)?.input).toBe(2.5);
    expect(priceOf([price({}), later], "m", 200)?.input).toBe(3);
    expect(priceOf([later, own], "m", 250)?.input).toBe(1);
    expect(priceOf([price({}), price({ created_at: 2, input: 4 })], "m", 150)?.input).toBe(4);
    expect(priceOf([price({})], "m", 99)).toBeNull();
    expect(priceOf([price({})], "other", 150)).toBeNull();
  });

  it("is exact and rounds ties to even", () => {
    const usage = { prompt_tokens: 1000, completion_tokens: 100, prompt_tokens_details: { cached_tokens: 400 } };
    // 600 * 2.5 + 400 * 1.25 + 100 * 10, each by a million
    expect(costOf(price({}), usage)).toEqual({ nanos: 3_000_000n, currency: "USD" });
    const tiny = price({ input: 0.0005, output: 0, cached_input: 0 });
    expect(costOf(tiny, { prompt_tokens: 1, completion_tokens: 0 }).nanos).toBe(0n); // 0.5 nanos
    expect(costOf(tiny, { prompt_tokens: 3, completion_tokens: 0 }).nanos).toBe(2n); // 1.5 nanos
  });

  it("is unknown behind a route that leads to several models", () => {
    const models = [{ id: "name", target: "m" }, { id: "m", target: "m" }];
    const route = (targets: string[]) => [{ name: "r", targets: targets.map((model) => ({ model, weight: 1 })) }] as never[];
    expect(answering("name", models, [])).toBe("m");
    expect(answering("r", models, route(["name"]))).toBe("m");
    expect(answering("r", models, route(["name", "other"]))).toBeNull();
  });

  it("is told with the speed after the first word", () => {
    const facts = { state: "done" as const, model: "m", finish: null, at: 0, firstMs: 500, totalMs: 2500, usage: { prompt_tokens: 1, completion_tokens: 21 } };
    expect(speedOf(facts)).toBe(10);
    expect(speedOf({ ...facts, usage: { prompt_tokens: 1, completion_tokens: 1 } })).toBeNull();
    expect(speedOf({ ...facts, firstMs: null })).toBeNull();
  });
});

describe("saved prompts", () => {
  it("count up, keep the newest, and say nothing twice", () => {
    let prompts: Prompt[] = saved([], "bank", "one", 10.7);
    prompts = saved(prompts, "bank", "one", 20);
    expect(prompts[0]?.versions).toEqual([{ number: 1, text: "one", savedAt: 10 }]);
    for (let number = 2; number <= VERSIONS_KEPT + 5; number += 1) prompts = saved(prompts, "bank", `text ${number}`, number);
    expect(prompts[0]?.versions).toHaveLength(VERSIONS_KEPT);
    expect(prompts[0]?.versions[0]?.number).toBe(VERSIONS_KEPT + 5);
    expect(saved(prompts, "a first", "x", 1).map(({ name }) => name)).toEqual(["a first", "bank"]);
    expect(without(prompts, "bank")).toEqual([]);
  });
});
