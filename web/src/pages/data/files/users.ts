/** Jobs at work that read a file: the API refuses nothing, so a person should know before deleting it. */
import { allOf, api } from "../../../api";

const ENDED = new Set(["succeeded", "failed", "cancelled", "completed", "expired"]);
// lists are newest first; jobs further back have long ended
const MOST = 300;

export async function jobsOf(fileId: string, may: (...needs: string[]) => boolean, signal: AbortSignal): Promise<string[]> {
  const [tuning, batches] = await Promise.all([
    may("tuning:read") ? allOf((page) => api.get("/v1/fine_tuning/jobs", asked(page)), signal, MOST) : [],
    may("data:read") ? allOf((page) => api.get("/v1/batches", asked(page)), signal, MOST) : [],
  ]);
  return [
    ...tuning.filter((job) => job.training_file === fileId || job.validation_file === fileId),
    ...batches.filter((batch) => batch.input_file_id === fileId),
  ]
    .filter((job) => !ENDED.has(job.status))
    .map((job) => job.id);
}

function asked({ after, limit, signal }: { after: string | undefined; limit: number; signal: AbortSignal }) {
  return { query: { after: after ?? null, limit }, signal };
}
