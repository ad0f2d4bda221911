import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { addressOf, api, ApiError, call, connection, ConnectionLost, onRefusal, setCallContext } from "../src/api";

type Answer = Response | Error;
let answers: Answer[] = [];
let asked: { url: string; init: RequestInit }[] = [];

function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });
}

const header = (name: string) => new Headers(asked.at(-1)?.init.headers).get(name);

beforeEach(() => {
  vi.useFakeTimers();
  answers = [];
  asked = [];
  setCallContext({ projectId: "proj_a", csrfToken: "token", language: "zh" });
  vi.stubGlobal("fetch", (url: string, init: RequestInit = {}) => {
    if (url !== "/api/session") asked.push({ url, init });
    const next = answers.shift() ?? json(200, {});
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("headers", () => {
  it("names the project, the language and, for changes, the CSRF token", async () => {
    await api.get("/v1/files");
    expect([header("x-plinth-project"), header("accept-language"), header("x-csrf-token")]).toEqual(["proj_a", "zh", null]);
    await call("post", "/v1/evals", { body: {} });
    expect(header("x-csrf-token")).toBe("token");
  });

  it("speaks for the organization where the endpoint is the organization's", async () => {
    await api.get("/v1/organization/users");
    expect(header("x-plinth-project")).toBeNull();
    await api.get("/v1/organization/costs", { query: { start_time: 0 }, scope: "project" });
    expect(header("x-plinth-project")).toBe("proj_a");
  });
});

it("fills in addresses safely and leaves out what is not given", () => {
  expect(addressOf("/api/aliases/{name}", { path: { name: "a/b?c" } })).toBe("/api/aliases/a%2Fb%3Fc");
  expect(addressOf("/x", { query: { after: undefined, "ids[]": ["a", "b"], limit: 20, to: null } })).toBe(
    "/x?ids%5B%5D=a&ids%5B%5D=b&limit=20",
  );
});

describe("refusals", () => {
  it("carry the API's own sentence and the field it is about", async () => {
    answers = [json(400, { error: { message: "邮箱不对。", code: "bad_input", param: "email" } }, { "x-request-id": "req_1" })];
    const error = await call("post", "/api/users", { body: {} }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ message: "邮箱不对。", param: "email", status: 400, requestId: "req_1" });
  });

  it("fetch a new CSRF token once and try again", async () => {
    const staleToken = vi.fn(() => setCallContext({ csrfToken: "new" }));
    onRefusal({ staleToken, signedOut: vi.fn() });
    const stale = () => json(403, { error: { message: "no", code: "csrf_failed" } });
    answers = [stale(), json(200, { id: "x" })];
    await expect(call("post", "/api/users", { body: {} })).resolves.toEqual({ id: "x" });
    expect(header("x-csrf-token")).toBe("new");
    answers = [stale(), stale()];
    await expect(call("post", "/api/users", { body: {} })).rejects.toMatchObject({ code: "csrf_failed" });
    expect(staleToken).toHaveBeenCalledTimes(2);
  });

  it("tell when the session has ended, and not when a password was wrong", async () => {
    const signedOut = vi.fn();
    onRefusal({ staleToken: vi.fn(), signedOut });
    answers = [json(401, { error: { code: "wrong_credentials", message: "no" } })];
    await expect(call("post", "/api/session", { body: {} })).rejects.toBeInstanceOf(ApiError);
    expect(signedOut).not.toHaveBeenCalled();
    answers = [json(401, { error: { code: "session_ended", message: "no" } })];
    await expect(api.get("/v1/files")).rejects.toBeInstanceOf(ApiError);
    expect(signedOut).toHaveBeenCalledOnce();
  });
});

describe("a lost connection", () => {
  it("is waited for by GETs, which then succeed", async () => {
    answers = [new TypeError("failed to fetch"), new TypeError("still"), json(200, {}), json(200, { data: ["a"] })];
    const waiting = api.get("/v1/files");
    await vi.advanceTimersByTimeAsync(100);
    expect(connection.isLost()).toBe(true);
    await vi.advanceTimersByTimeAsync(5000);
    await expect(waiting).resolves.toEqual({ data: ["a"] });
    expect(connection.isLost()).toBe(false);
  });

  it("fails a change at once, which is not sent twice", async () => {
    answers = [new TypeError("failed to fetch")];
    await expect(call("post", "/v1/evals", { body: {} })).rejects.toBeInstanceOf(ConnectionLost);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toHaveLength(1);
    expect(connection.isLost()).toBe(false);
  });

  it("is also when the gateway is alone, but not when a provider fails", async () => {
    answers = [json(503, { error: { code: "api_unavailable" } }), json(200, {}), json(200, { id: 1 })];
    const waiting = api.get("/v1/files");
    await vi.advanceTimersByTimeAsync(1000);
    await expect(waiting).resolves.toEqual({ id: 1 });
    answers = [json(503, { error: { code: "provider_busy", message: "busy" } })];
    await expect(api.get("/v1/files")).rejects.toMatchObject({ code: "provider_busy" });
    expect(connection.isLost()).toBe(false);
  });

  it("is no longer waited for by who has lost interest", async () => {
    const abort = new AbortController();
    answers = [new TypeError("failed to fetch")];
    const waiting = api.get("/v1/files", { signal: abort.signal });
    const caught = expect(waiting).rejects.toMatchObject({ name: "AbortError" });
    await vi.advanceTimersByTimeAsync(10);
    abort.abort();
    await caught;
    await vi.advanceTimersByTimeAsync(1000);
  });
});
