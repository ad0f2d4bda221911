/**
 * Files on their way to the server, one after the other, whatever page is shown. What is sent in parts is remembered
 * in sessionStorage: after a reload it goes on as soon as the same file is chosen again (a page may not keep it).
 */
import { useSyncExternalStore } from "react";
import { readDraft, writeDraft } from "../../run/draft";
import type { Purpose } from "../types";
import { cancelUpload, partsPort, sendWhole } from "./network";
import { OtherFile, PART_BYTES, sendInParts, type Stand } from "./parts";

export type TransferState = "waiting" | "sending" | "lost" | "needs_file" | "failed" | "done";

export interface Transfer {
  id: string;
  projectId: string;
  name: string;
  bytes: number;
  modified: number;
  purpose: Purpose;
  state: TransferState;
  sentBytes: number;
  stand: Stand | null;
  error: unknown;
  fileId: string | null;
}

const STORED = "uploads";

class Transfers {
  private list: readonly Transfer[] = restored(readDraft(STORED));
  private readonly files = new Map<string, File>();
  private readonly stops = new Map<string, AbortController>();
  private readonly listeners = new Set<() => void>();
  private readonly onDone = new Set<() => void>();
  private busy = false;

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = () => this.list;

  /** Calls back whenever a file has arrived. */
  readonly whenDone = (listener: () => void) => {
    this.onDone.add(listener);
    return () => {
      this.onDone.delete(listener);
    };
  };

  add(file: File, purpose: Purpose, projectId: string): void {
    const transfer: Transfer = {
      id: crypto.getRandomValues(new Uint32Array(2)).join("-"),
      projectId,
      name: file.name,
      bytes: file.size,
      modified: file.lastModified,
      purpose,
      state: "waiting",
      sentBytes: 0,
      stand: null,
      error: null,
      fileId: null,
    };
    this.files.set(transfer.id, file);
    this.set([...this.list, transfer]);
    void this.pump();
  }

  /** Goes on, after a reload with the file that was chosen again. */
  resume(id: string, file?: File): void {
    const transfer = this.list.find((item) => item.id === id);
    if (!transfer) return;
    if (file && !isSame(transfer, file)) {
      this.change(id, { error: new OtherFile() });
      return;
    }
    if (file) this.files.set(id, file);
    this.change(id, { state: this.files.has(id) ? "waiting" : "needs_file", error: null });
    void this.pump();
  }

  /** Stops it and takes it off the list; what arrived of it is thrown away. */
  async remove(id: string): Promise<void> {
    const transfer = this.list.find((item) => item.id === id);
    this.stops.get(id)?.abort();
    this.files.delete(id);
    this.set(this.list.filter((item) => item.id !== id));
    if (!transfer?.stand || transfer.state === "done") return;
    // an upload that nobody completes is thrown away after an hour in any case
    await cancelUpload(transfer.stand.uploadId, transfer.projectId).catch(() => null);
  }

  private async pump(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    for (let next = this.next(); next; next = this.next()) await this.run(next);
    this.busy = false;
  }

  private next(): Transfer | undefined {
    return this.list.find((item) => item.state === "waiting" && this.files.has(item.id));
  }

  private async run(transfer: Transfer): Promise<void> {
    const { id } = transfer;
    const stop = new AbortController();
    this.stops.set(id, stop);
    this.change(id, { state: "sending" });
    try {
      const fileId = await this.send(transfer, stop.signal);
      this.change(id, { state: "done", sentBytes: transfer.bytes, fileId, stand: null });
      this.files.delete(id);
      for (const listener of [...this.onDone]) listener();
    } catch (error) {
      // the wrong file was chosen again: the right one can still be
      if (error instanceof OtherFile) this.files.delete(id);
      if (!stop.signal.aborted) this.change(id, { state: error instanceof OtherFile ? "needs_file" : "failed", error });
    } finally {
      this.stops.delete(id);
    }
  }

  private async send(transfer: Transfer, signal: AbortSignal): Promise<string> {
    const { id, bytes, purpose, projectId } = transfer;
    const file = this.files.get(id);
    if (!file) throw new OtherFile();
    const onLost = (lost: boolean) => this.change(id, { state: lost ? "lost" : "sending" });
    const wanted = { file, purpose, projectId, signal, onLost };
    if (bytes <= PART_BYTES) {
      const answer = await sendWhole(wanted, (share) => this.change(id, { sentBytes: share * bytes }));
      return answer.id;
    }
    return sendInParts(partsPort(wanted), file, transfer.stand, {
      sent: (sentBytes) => this.change(id, { sentBytes }),
      keep: (stand) => this.change(id, { stand: { ...stand, partIds: [...stand.partIds] } }),
    });
  }

  private change(id: string, part: Partial<Transfer>): void {
    this.set(this.list.map((item) => (item.id === id ? { ...item, ...part } : item)));
  }

  private set(list: readonly Transfer[]): void {
    const stands = this.list.map((item) => item.stand);
    this.list = list;
    const same = stands.length === list.length && list.every((item, index) => item.stand === stands[index]);
    if (!same) writeDraft(STORED, toStore(list));
    window.onbeforeunload = list.some(isMoving) ? (event) => event.preventDefault() : null;
    for (const listener of [...this.listeners]) listener();
  }
}

const isMoving = (item: Transfer) => item.state === "sending" || item.state === "waiting" || item.state === "lost";

/** Whether a file chosen again looks like the one that was interrupted; its bytes are compared later. */
export function isSame(transfer: Pick<Transfer, "name" | "bytes" | "modified">, file: File): boolean {
  return transfer.name === file.name && transfer.bytes === file.size && transfer.modified === file.lastModified;
}

/** Only what can go on: a small file is simply sent again. */
export function toStore(list: readonly Transfer[]): unknown {
  const kept = list.filter((item) => item.stand !== null && item.state !== "done");
  return kept.length > 0 ? kept.map((item) => ({ ...item, error: null })) : null;
}

export function restored(stored: unknown): Transfer[] {
  if (!Array.isArray(stored)) return [];
  const usable = (stored as Partial<Transfer>[]).filter(
    (item) => typeof item.id === "string" && Array.isArray(item.stand?.partIds),
  ) as Transfer[];
  return usable.map((item) => ({ ...item, state: "needs_file", error: null }));
}

export const transfers = new Transfers();

export function useTransfers(projectId: string): Transfer[] {
  const all = useSyncExternalStore(transfers.subscribe, transfers.snapshot);
  return all.filter((item) => item.projectId === projectId);
}
