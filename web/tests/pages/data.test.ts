import { describe, expect, it } from "vitest";
import { ApiError } from "../../src/api";
import { differences } from "../../src/pages/data/datasets/differences";
import { bodyOf, EMPTY, fromDraft, isSameRequest, type Values } from "../../src/pages/data/datasets/request";
import { asListPage } from "../../src/pages/data/datasets/Rows";
import { messagesOf } from "../../src/pages/data/datasets/RowView";
import { datasetNameOf, fromVersion, problemOf, statisticsOf, toRequest, totalPercent } from "../../src/pages/data/datasets/shares";
import { nameIn } from "../../src/pages/data/files/download";
import { isPassing, pauseFor } from "../../src/pages/data/files/network";
import { OtherFile, sendInParts, slicesOf, type Part, type PartsPort, type Stand, type Upload } from "../../src/pages/data/files/parts";
import { isSame, restored, toStore, type Transfer } from "../../src/pages/data/files/transfers";

/** A server that keeps parts, and breaks when told so. */
class Server {
  uploads = new Map<string, Upload & { parts: (Part & { text: string })[]; content?: string }>();
  breakAt: number | null = null;
  private made = 0;

  constructor(private readonly content: Blob) {}

  port(hashes = true): PartsPort {
    const of = (id: string) => {
      const upload = this.uploads.get(id);
      if (!upload) throw new Error("no such upload");
      return upload;
    };
    return {
      create: () => {
        const upload = { id: `upload_${++this.made}`, status: "pending", parts: [] };
        this.uploads.set(upload.id, upload);
        return Promise.resolve(upload);
      },
      retrieve: (id) => Promise.resolve(this.uploads.get(id) ?? null),
      parts: (id) => Promise.resolve(of(id).parts),
      add: async (id, content, onProgress) => {
        if (this.breakAt === of(id).parts.length) throw new Error("broken off");
        onProgress(0.5);
        const text = await content.text();
        const part = { id: `part_${++this.made}`, bytes: content.size, sha256: `hash of ${text}`, text };
        of(id).parts.push(part);
        return part;
      },
      complete: (id, partIds) => {
        const upload = of(id);
        const chosen = partIds.map((partId) => upload.parts.find((part) => part.id === partId)?.text);
        upload.content = chosen.join("");
        if (upload.content.length !== this.content.size) throw new Error("wrong size");
        Object.assign(upload, { status: "completed", file: { id: `file_of_${id}` } });
        return Promise.resolve(upload);
      },
      hash: async (content) => (hashes ? `hash of ${await content.text()}` : null),
    };
  }

  only() {
    const [upload] = this.uploads.values();
    if (!upload) throw new Error("none");
    return upload;
  }
}

const text = "The quick brown fox jumps";
const content = new Blob([text]);

function report() {
  const seen = { sent: [] as number[], stand: null as Stand | null };
  const keep = (stand: Stand) => {
    seen.stand = JSON.parse(JSON.stringify(stand)) as Stand;
  };
  return { seen, sent: (bytes: number) => void seen.sent.push(bytes), keep };
}

describe("uploads in parts", () => {
  it("cuts without losing a byte", async () => {
    const parts = slicesOf(content, 10);
    expect(parts.map((part) => part.size)).toEqual([10, 10, 5]);
    expect((await Promise.all(parts.map((part) => part.text()))).join("")).toBe(text);
    expect(slicesOf(new Blob(["0123456789"]), 10)).toHaveLength(1);
  });

  it("sends every part once and says how far it is", async () => {
    const server = new Server(content);
    const { seen, ...told } = report();
    expect(await sendInParts(server.port(), content, null, told, 10)).toBe("file_of_upload_1");
    expect(server.only().content).toBe(text);
    expect(seen.sent).toEqual([0, 5, 10, 15, 20, 22.5, 25]);
  });

  it("goes on after a break and sends again only what did not arrive", async () => {
    const server = new Server(content);
    server.breakAt = 2;
    const first = report();
    await expect(sendInParts(server.port(), content, null, first, 10)).rejects.toThrow("broken off");
    server.breakAt = null;
    const second = report();
    await sendInParts(server.port(), new Blob([text]), first.seen.stand, second, 10);
    expect(server.only().content).toBe(text);
    expect(server.only().parts).toHaveLength(3);
    expect(second.seen.sent[0]).toBe(20);
  });

  it("refuses another file of the same size", async () => {
    const server = new Server(content);
    server.breakAt = 1;
    const first = report();
    await expect(sendInParts(server.port(), content, null, first, 10)).rejects.toThrow();
    server.breakAt = null;
    const other = new Blob([text.toUpperCase()]);
    await expect(sendInParts(server.port(), other, first.seen.stand, report(), 10)).rejects.toBeInstanceOf(OtherFile);
    expect(server.only().status).toBe("pending");
  });

  it("goes on by the sizes where the browser cannot hash", async () => {
    const server = new Server(content);
    server.breakAt = 1;
    const first = report();
    await expect(sendInParts(server.port(false), content, null, first, 10)).rejects.toThrow();
    server.breakAt = null;
    await sendInParts(server.port(false), content, first.seen.stand, report(), 10);
    expect(server.only().parts).toHaveLength(3);
  });

  it("begins anew when the upload is gone or expired, and sends parts again that the server lost", async () => {
    const server = new Server(content);
    const gone = { uploadId: "upload_gone", partIds: ["part_1", null, null] };
    expect(await sendInParts(server.port(), content, gone, report(), 10)).toBe("file_of_upload_1");
    server.uploads.set("upload_old", { id: "upload_old", status: "expired", parts: [] });
    const expired = { uploadId: "upload_old", partIds: ["part_1", null, null] };
    expect(await sendInParts(server.port(), content, expired, report(), 10)).not.toContain("upload_old");
    server.uploads.set("upload_lost", { id: "upload_lost", status: "pending", parts: [] });
    const lost = { uploadId: "upload_lost", partIds: ["part_1", null, null] };
    expect(await sendInParts(server.port(), content, lost, report(), 10)).toBe("file_of_upload_lost");
  });

  it("takes the file of an upload that was completed before the answer was lost", async () => {
    const server = new Server(content);
    const { seen, ...told } = report();
    await sendInParts(server.port(), content, null, told, 10);
    server.breakAt = 3; // nothing may be sent again
    expect(await sendInParts(server.port(), content, seen.stand, report(), 10)).toBe("file_of_upload_1");
    expect(server.uploads.size).toBe(1);
  });
});

describe("what is remembered of uploads", () => {
  const transfer: Transfer = {
    id: "1-2", projectId: "proj_a", name: "a.csv", bytes: 5, modified: 7, purpose: "fine-tune",
    state: "sending", sentBytes: 2, stand: { uploadId: "upload_1", partIds: ["part_1", null] }, error: null, fileId: null,
  };

  it("asks for the file after a reload and keeps nothing that cannot go on", () => {
    const again = restored(JSON.parse(JSON.stringify(toStore([transfer, { ...transfer, id: "3-4", stand: null }]))));
    expect(again).toHaveLength(1);
    expect(again[0]).toMatchObject({ id: "1-2", state: "needs_file", stand: transfer.stand });
    expect(toStore([{ ...transfer, state: "done" }])).toBeNull();
  });

  it("is not upset by what another console stored", () => {
    for (const odd of [null, 3, {}, [{}], [{ id: "x" }], [{ id: "x", stand: {} }]]) expect(restored(odd)).toEqual([]);
  });

  it("knows a file by name, size and time", () => {
    const file = (name: string, body: string, lastModified: number) => new File([body], name, { lastModified });
    expect(isSame(transfer, file("a.csv", "12345", 7))).toBe(true);
    expect(isSame(transfer, file("a.csv", "12345", 8))).toBe(false);
    expect(isSame(transfer, file("a.csv", "1234", 7))).toBe(false);
    expect(isSame(transfer, file("b.csv", "12345", 7))).toBe(false);
  });

  it("waits for busy servers and not for refusals", () => {
    const error = (status: number, retryAfter: number | null = null) => new ApiError("", status, "x", null, null, retryAfter);
    expect([429, 502, 503, 504].map((status) => isPassing(error(status)))).toEqual([true, true, true, true]);
    expect([400, 401, 404, 413, 500, 507].some((status) => isPassing(error(status)))).toBe(false);
    expect([1, 2, 3].map((failures) => pauseFor(error(503), failures))).toEqual([1000, 2000, 4000]);
    expect(pauseFor(error(429, 5), 1)).toBe(5000);
  });
});

describe("splits", () => {
  it("adds percents exactly", () => {
    const thirds = [33.4, 33.3, 33.3].map((percent, index) => ({ name: `s${index}`, percent }));
    expect(totalPercent(thirds)).toBe(100);
    expect(problemOf(thirds)).toBeNull();
    const sum = Object.values(toRequest(thirds)).reduce((a, b) => a + b, 0);
    expect(Math.abs(sum - 1)).toBeLessThan(1e-6);
    expect(fromVersion(toRequest(thirds))).toEqual(thirds);
  });

  it("says what the API would refuse", () => {
    const train = { name: "train", percent: 80 };
    expect(problemOf([train, { name: "test", percent: 10 }])).toBe("total");
    expect(problemOf([train, { name: "train", percent: 20 }])).toBe("twice");
    expect(problemOf([train, { name: "a b", percent: 20 }])).toBe("name");
    expect(problemOf([{ name: "train", percent: 100 }, { name: "test", percent: null }])).toBe("share");
  });
});

describe("datasets", () => {
  it("names a dataset after its file", () => {
    expect(datasetNameOf("bank77 train.csv")).toBe("bank77 train");
    expect(datasetNameOf("聊天记录（六月）.jsonl.gz")).toBe("聊天记录-六月-");
    expect(datasetNameOf(".hidden.csv")).toBe("hidden");
    expect(datasetNameOf("x".repeat(100))).toHaveLength(64);
  });

  it("leaves out what is empty, and sees when the form has changed", () => {
    const values: Values = { ...EMPTY, name: " faq ", file_id: "file-1", instruction: "  " };
    expect(bodyOf(values)).toEqual({ name: "faq", file_id: "file-1", splits: { train: 1 }, split_seed: 0 });
    expect(isSameRequest(values, { ...values, label_column: undefined })).toBe(true);
    expect(isSameRequest(values, { ...values, label_column: "intent" })).toBe(false);
    expect(isSameRequest(values, { ...values, splits: [{ name: "all", percent: 100 }] })).toBe(false);
  });

  it("reads drafts of this form only", () => {
    expect(fromDraft({ name: "faq", splits: [] })).toMatchObject({ name: "faq", split_seed: 0 });
    for (const odd of [null, 1, "x", {}, { splits: 3 }]) expect(fromDraft(odd)).toBeNull();
  });

  it("continues rows by their own cursor", () => {
    expect(asListPage({ data: [], next: "20-4711" })).toEqual({ data: [], last_id: "20-4711", has_more: true });
    expect(asListPage({ data: [], next: null })).toMatchObject({ has_more: false });
  });

  it("shows every message, also without text", () => {
    const calls = [{ id: "call_1", function: { name: "look", arguments: "{}" } }];
    const shown = messagesOf([{ role: "user", content: "Hi" }, { role: "assistant", content: null, tool_calls: calls }, 5]);
    expect(shown.map((message) => message.role)).toEqual(["user", "assistant"]);
    expect(shown[1]?.text).toContain("call_1");
  });

  it("counts what the API counted, and nothing where it is silent", () => {
    const found = statisticsOf({ rows: 3, labels: { a: 1, b: 2 }, splits: { train: { rows: 3, labels: { a: 1, b: 2 } } } });
    expect(found.labels).toEqual([["b", 2], ["a", 1]]);
    expect(found.splits).toEqual([{ name: "train", rows: 3, labels: { a: 1, b: 2 } }]);
    expect(statisticsOf({})).toEqual({ rows: 0, labels: [], splits: [] });
  });

  it("compares versions, the greatest change first", () => {
    const before = { statistics: { rows: 5, labels: { a: 3, b: 2 }, splits: { train: { rows: 5 } } } };
    const after = { statistics: { rows: 9, labels: { a: 3, c: 6 }, splits: { train: { rows: 8 }, test: { rows: 1 } } } };
    expect(differences(before, after).map(({ kind, name, before: b, after: a }) => [kind, name, b, a])).toEqual([
      ["rows", "", 5, 9],
      ["split", "train", 5, 8],
      ["split", "test", 0, 1],
      ["label", "c", 0, 6],
      ["label", "b", 2, 0],
      ["label", "a", 3, 3],
    ]);
  });
});

describe("downloads", () => {
  it("takes the name that the server gives", () => {
    expect(nameIn("attachment; filename*=UTF-8''%E6%95%B0%E6%8D%AE.csv")).toBe("数据.csv");
    expect(nameIn("attachment")).toBeNull();
    expect(nameIn("attachment; filename*=UTF-8''%E6%95")).toBeNull();
    expect(nameIn(null)).toBeNull();
  });
});
