/**
 * Sends one file in parts and goes on where it stopped, also with a file that was chosen again after a reload.
 * Knows the protocol of `/v1/uploads`, nothing of browsers: the port is handed in.
 */

export const PART_BYTES = 8 * 1024 * 1024;

export interface Part {
  id: string;
  bytes: number;
  sha256: string;
}

export interface Upload {
  id: string;
  status: string;
  file?: { id: string } | null;
}

/** What must be remembered to go on: which upload, and the id of each part that arrived. */
export interface Stand {
  uploadId: string;
  partIds: (string | null)[];
}

export interface PartsPort {
  create: () => Promise<Upload>;
  /** Null when the server has no such upload (any more). */
  retrieve: (uploadId: string) => Promise<Upload | null>;
  parts: (uploadId: string) => Promise<Part[]>;
  add: (uploadId: string, content: Blob, onProgress: (share: number) => void) => Promise<Part>;
  complete: (uploadId: string, partIds: string[]) => Promise<Upload>;
  /** SHA-256 in hex; null where the browser has no such function (pages without https). */
  hash: (content: Blob) => Promise<string | null>;
}

export interface Report {
  sent: (bytes: number) => void;
  keep: (stand: Stand) => void;
}

/** The chosen file is not the one whose first parts are on the server. */
export class OtherFile extends Error {
  override readonly name = "OtherFile";
}

/** The id of the finished file. Raises what the port raises, and `OtherFile`. */
export async function sendInParts(
  port: PartsPort,
  content: Blob,
  before: Stand | null,
  report: Report,
  partBytes = PART_BYTES,
): Promise<string> {
  const earlier = before && (await port.retrieve(before.uploadId));
  if (earlier?.status === "completed" && earlier.file) return earlier.file.id;
  const slices = slicesOf(content, partBytes);
  const stand =
    before && earlier?.status === "pending"
      ? await arrived(port, slices, before)
      : { uploadId: (await port.create()).id, partIds: slices.map(() => null) };
  report.keep(stand);
  let sent = slices.reduce((sum, slice, index) => sum + (stand.partIds[index] ? slice.size : 0), 0);
  report.sent(sent);
  for (const [index, slice] of slices.entries()) {
    if (stand.partIds[index]) continue;
    const start = sent;
    const part = await port.add(stand.uploadId, slice, (share) => report.sent(start + share * slice.size));
    stand.partIds[index] = part.id;
    sent += slice.size;
    report.keep(stand);
    report.sent(sent);
  }
  const done = await port.complete(stand.uploadId, stand.partIds.filter((id) => id !== null));
  if (!done.file) throw new Error(`upload ${done.id} ended as ${done.status}`);
  return done.file.id;
}

export function slicesOf(content: Blob, partBytes: number): Blob[] {
  const count = Math.max(1, Math.ceil(content.size / partBytes));
  return Array.from({ length: count }, (_, index) => content.slice(index * partBytes, (index + 1) * partBytes));
}

/** The parts that need not be sent again: on the server, and the same bytes as in this file. */
async function arrived(port: PartsPort, slices: Blob[], before: Stand): Promise<Stand> {
  const known = new Map((await port.parts(before.uploadId)).map((part) => [part.id, part]));
  const partIds: (string | null)[] = [];
  for (const [index, slice] of slices.entries()) {
    const part = known.get(before.partIds[index] ?? "");
    if (part && part.bytes !== slice.size) throw new OtherFile();
    const hash = part ? await port.hash(slice) : null;
    if (part && hash !== null && hash !== part.sha256) throw new OtherFile();
    partIds.push(part?.id ?? null);
  }
  return { uploadId: before.uploadId, partIds };
}
