import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { setCallContext } from "../src/api";
import { live, type Change } from "../src/app/live";

let asked: Headers[] = [];
let streams: ReadableStreamDefaultController<Uint8Array>[] = [];

const bytes = (text: string) => new TextEncoder().encode(text);
const soon = () => new Promise((resolve) => setTimeout(resolve, 20));

beforeEach(() => {
  asked = [];
  streams = [];
  setCallContext({ projectId: "proj_a" });
  vi.stubGlobal("fetch", (_url: string, init: RequestInit) => {
    asked.push(new Headers(init.headers));
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        streams.push(controller);
        init.signal?.addEventListener("abort", () => controller.error(new DOMException("aborted", "AbortError")));
      },
    });
    return Promise.resolve(new Response(body, { headers: { "content-type": "text/event-stream" } }));
  });
});

afterEach(() => vi.unstubAllGlobals());

it("tells changes that arrive in pieces, and goes on where it was", async () => {
  const heard: Change[] = [];
  const stop = live.listen((change) => heard.push(change));
  await soon();
  expect(asked[0]?.get("x-plinth-project")).toBe("proj_a");
  streams[0]?.enqueue(bytes("retry: 1000\nid: 7\nevent: ready\ndata: {}\n\n: still here\n\nid: 8\ndata: {\"kind\":\"tuning.job"));
  streams[0]?.enqueue(bytes('.queued","created_at":1,"ids":{}}\n\n'));
  await soon();
  expect(heard.map((change) => change.kind)).toEqual(["tuning.job.queued"]);

  streams[0]?.close(); // the server ends a stream after a while
  await new Promise((resolve) => setTimeout(resolve, 1100));
  expect(asked[1]?.get("last-event-id")).toBe("8");

  live.restart(); // another project: its changes are others
  await soon();
  expect(asked[2]?.get("last-event-id")).toBeNull();
  stop();
  await soon();
  expect(asked).toHaveLength(3);
});
