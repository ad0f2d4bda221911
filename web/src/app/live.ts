/**
 * What changed in the chosen project, as the platform tells it (`GET /api/events`, server-sent events). Read with
 * fetch, since EventSource cannot name a project. Hidden tabs do not listen: a browser has few connections a host.
 */
import { useEffect } from "react";
import { connection, send } from "../api";

export interface Change {
  /** Such as "tuning.job.succeeded". */
  kind: string;
  created_at: number;
  ids: Record<string, string>;
}

type Listener = (change: Change) => void;

const AGAIN_MS = 1000;
const LATER_MS = 30_000;

class Live {
  private readonly listeners = new Set<Listener>();
  private stopping: AbortController | null = null;
  private lastId = "";

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.start();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.stop();
    };
  }

  /** After a switch of the project: its changes are others. */
  restart(): void {
    this.lastId = "";
    if (this.stopping === null) return;
    this.stop();
    this.start();
  }

  private readonly follow = () => {
    if (document.hidden) this.halt();
    else if (this.stopping === null) void this.run();
  };

  private start(): void {
    document.addEventListener("visibilitychange", this.follow);
    this.follow();
  }

  private stop(): void {
    document.removeEventListener("visibilitychange", this.follow);
    this.halt();
  }

  private halt(): void {
    this.stopping?.abort();
    this.stopping = null;
  }

  private async run(): Promise<void> {
    const stopping = new AbortController();
    this.stopping = stopping;
    const stopped = () => stopping.signal.aborted;
    while (!stopped()) {
      let pause = AGAIN_MS;
      try {
        await this.read(stopping.signal);
      } catch {
        // refused (an older server, an ended session) or broken off: pages go on asking by themselves meanwhile
        if (!stopped() && !connection.isLost()) pause = LATER_MS;
      }
      if (!stopped()) await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  private async read(signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (this.lastId) headers["last-event-id"] = this.lastId;
    const response = await send("GET", "/api/events", { signal, headers, scope: "project" });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let buffer = ""; reader; ) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (buffer + value).split("\n\n");
      buffer = blocks.pop() ?? "";
      for (const block of blocks) this.take(block);
    }
  }

  private take(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart());
    }
    this.lastId = fields.get("id") ?? this.lastId;
    const data = fields.get("data");
    if (!data || fields.get("event") === "ready") return;
    const change = JSON.parse(data) as Partial<Change>;
    if (typeof change.kind !== "string") return;
    for (const listener of this.listeners) listener(change as Change);
  }
}

export const live = new Live();

const TOGETHER_MS = 300;

/** Calls back, once for changes close together, when the project had one of these kinds ("tuning.", "registry."). */
export function useChanges(prefixes: readonly string[], onChange: () => void): void {
  const wanted = prefixes.join(" ");
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = live.listen(({ kind }) => {
      if (timer !== undefined || !wanted.split(" ").some((prefix) => kind.startsWith(prefix))) return;
      timer = setTimeout(() => {
        timer = undefined;
        onChange();
      }, TOGETHER_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [wanted, onChange]);
}
