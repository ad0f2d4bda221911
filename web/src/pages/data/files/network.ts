/** How parts get to the server: with progress, again when the connection was lost, and over an ended session. */
import { api, ApiError, connection, ConnectionLost, send, upload, type CallOptions } from "../../../api";
import type { FileObject, PartObject, Purpose, UploadObject } from "../types";
import type { PartsPort } from "./parts";

const TRIES = 6;
const FIRST_PAUSE_MS = 1000;

export interface Wanted {
  file: File;
  purpose: Purpose;
  projectId: string;
  signal: AbortSignal;
  /** Called when the connection is lost (true) and back (false). */
  onLost: (lost: boolean) => void;
}

/** A file in one request. Not tried again by itself: nobody knows whether a lost one arrived. */
export function sendWhole(wanted: Wanted, onProgress: (share: number) => void): Promise<FileObject> {
  const form = new FormData();
  form.append("purpose", wanted.purpose); // before the content: the server reads in order
  form.append("file", wanted.file, wanted.file.name);
  return sendForm("/v1/files", form, onProgress, { projectId: wanted.projectId, signal: wanted.signal });
}

export function partsPort(wanted: Wanted): PartsPort {
  const { file, purpose, projectId, signal } = wanted;
  const options = { projectId, signal };
  const again = <T>(action: () => Promise<T>) => persistently(action, wanted);
  const address = (uploadId: string) => ({ ...options, path: { upload_id: uploadId } });
  return {
    create: () =>
      again(() => {
        const mime = file.type || "application/octet-stream";
        const body = { bytes: file.size, filename: file.name, mime_type: mime, purpose };
        return api.post("/v1/uploads", { ...options, body });
      }),
    retrieve: (uploadId) => again(() => unlessGone(api.get("/v1/uploads/{upload_id}", address(uploadId)))),
    parts: async (uploadId) => {
      const query = { limit: 10_000 };
      const page = await again(() => api.get("/v1/uploads/{upload_id}/parts", { ...address(uploadId), query }));
      return page.data;
    },
    add: (uploadId, content, onProgress) =>
      again(() => {
        const form = new FormData();
        form.append("data", content, "part");
        return sendForm<PartObject>(`/v1/uploads/${encodeURIComponent(uploadId)}/parts`, form, onProgress, options);
      }),
    // completing twice with the same parts gives the same answer
    complete: (uploadId, partIds) =>
      again(() => api.post("/v1/uploads/{upload_id}/complete", { ...address(uploadId), body: { part_ids: partIds } })),
    hash: sha256,
  };
}

export async function cancelUpload(uploadId: string, projectId: string): Promise<UploadObject | null> {
  return unlessGone(api.post("/v1/uploads/{upload_id}/cancel", { projectId, path: { upload_id: uploadId } }));
}

async function sendForm<Answer>(
  url: string,
  form: FormData,
  onProgress: (share: number) => void,
  options: CallOptions & { signal: AbortSignal },
): Promise<Answer> {
  options.signal.throwIfAborted();
  try {
    return await upload<Answer>(url, form, onProgress, options);
  } catch (error) {
    // `send` renews a stale token and asks for the password when the session has ended
    const refused = error instanceof ApiError && (error.status === 401 || error.code === "csrf_failed");
    if (!refused) throw error;
    return (await (await send("POST", url, { ...options, body: form })).json()) as Answer;
  }
}

/** Waits for a lost connection however long it takes, and a few times for a server that is busy or restarting. */
async function persistently<T>(action: () => Promise<T>, { signal, onLost }: Wanted): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await action();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ConnectionLost) {
        onLost(true);
        await connection.restored(signal);
        onLost(false);
        continue;
      }
      failures += 1;
      if (!isPassing(error) || failures >= TRIES) throw error;
      await pause(pauseFor(error, failures), signal);
    }
  }
}

export function isPassing(error: unknown): error is ApiError {
  return error instanceof ApiError && (error.status === 429 || (error.status >= 502 && error.status <= 504));
}

export function pauseFor(error: ApiError, failures: number): number {
  if (error.retryAfterSeconds !== null) return Math.min(error.retryAfterSeconds, 60) * 1000;
  return FIRST_PAUSE_MS * 2 ** (failures - 1);
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}

async function unlessGone<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

async function sha256(content: Blob): Promise<string | null> {
  // browsers have it on https and localhost only
  const { subtle } = crypto as { subtle?: SubtleCrypto };
  if (!subtle) return null;
  const digest = await subtle.digest("SHA-256", await content.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
