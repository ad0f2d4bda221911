/**
 * What is going on in the background, from any part of the platform, as one list. The only place that knows how it
 * is found out: today by asking the lists that exist; an event stream can take its place here.
 */
import { api, type Wire } from "../../api";

export type JobState = "active" | "paused" | "succeeded" | "failed" | "cancelled";

export interface Job {
  id: string;
  kind: "tuning" | "batch" | "evaluation" | "calibration";
  name: string;
  state: JobState;
  /** 0 to 1; null while unknown. */
  progress: number | null;
  remainingSeconds: number | null;
  createdAt: number;
  finishedAt: number | null;
  error: string | null;
  /** Path inside the console. */
  link: string;
  cancel: (() => Promise<unknown>) | null;
}

type May = (...permissions: string[]) => boolean;

const NEWEST = 20;
const EVALS = 5;

/** The newest jobs of the chosen project that this person may see, newest first. */
export async function fetchJobs(may: May, signal: AbortSignal): Promise<Job[]> {
  const lists = await Promise.all([
    may("tuning:read") ? tuningJobs(may("tuning:write"), signal) : [],
    may("data:read") ? batches(may("data:write"), signal) : [],
    may("evals:read") ? evaluationRuns(may("evals:write"), signal) : [],
    may("evals:read") ? calibrations(signal) : [],
  ]);
  return lists.flat().sort((a, b) => b.createdAt - a.createdAt);
}

async function tuningJobs(mayCancel: boolean, signal: AbortSignal): Promise<Job[]> {
  const page = await api.get("/v1/fine_tuning/jobs", { query: { limit: NEWEST }, signal });
  return page.data.map((job) => tuningJob(job, mayCancel));
}

export function tuningJob(job: Wire<"JobObject">, mayCancel: boolean): Job {
  const state = stateOf(job.status);
  return {
    id: job.id,
    kind: "tuning",
    name: job.fine_tuned_model ?? job.model,
    state,
    progress: job.progress && job.progress.total_steps > 0 ? job.progress.step / job.progress.total_steps : null,
    remainingSeconds: job.estimated_finish ? Math.max(0, job.estimated_finish - Date.now() / 1000) : null,
    createdAt: job.created_at,
    finishedAt: job.finished_at ?? null,
    error: job.error?.message ?? null,
    link: `/tune/${job.id}`,
    cancel:
      mayCancel && state === "active"
        ? () => api.post("/v1/fine_tuning/jobs/{job_id}/cancel", { path: { job_id: job.id } })
        : null,
  };
}

async function batches(mayCancel: boolean, signal: AbortSignal): Promise<Job[]> {
  const page = await api.get("/v1/batches", { query: { limit: NEWEST }, signal });
  return page.data.map((batch) => {
    const state = stateOf(batch.status);
    const { total, completed, failed } = batch.request_counts;
    return {
      id: batch.id,
      kind: "batch",
      name: batch.model ?? batch.endpoint,
      state,
      progress: total > 0 ? (completed + failed) / total : null,
      remainingSeconds: null,
      createdAt: batch.created_at,
      finishedAt: batch.completed_at ?? batch.failed_at ?? batch.cancelled_at ?? batch.expired_at,
      error: batch.errors?.data[0]?.message ?? null,
      link: `/playground/batches/${batch.id}`,
      cancel:
        mayCancel && state === "active"
          ? () => api.post("/v1/batches/{batch_id}/cancel", { path: { batch_id: batch.id } })
          : null,
    };
  });
}

async function evaluationRuns(mayCancel: boolean, signal: AbortSignal): Promise<Job[]> {
  const evals = await api.get("/v1/evals", { query: { limit: EVALS, order: "desc", order_by: "updated_at" }, signal });
  const runs = await Promise.all(
    evals.data.map(async (parent) => {
      const query = { limit: EVALS, order: "desc" as const };
      const page = await api.get("/v1/evals/{eval_id}/runs", { path: { eval_id: parent.id }, query, signal });
      return page.data.map((run) => evaluationRun(run, parent.name, mayCancel));
    }),
  );
  return runs.flat();
}

function evaluationRun(run: Wire<"RunObject">, evalName: string, mayCancel: boolean): Job {
  const state = stateOf(run.status);
  const total = run.progress["total"] ?? 0;
  const path = { eval_id: run.eval_id, run_id: run.id };
  return {
    id: run.id,
    kind: "evaluation",
    name: `${evalName} · ${run.model}`,
    state,
    progress: total > 0 ? (run.progress["finished"] ?? 0) / total : null,
    remainingSeconds: null,
    createdAt: run.created_at,
    finishedAt: run.finished_at,
    error: run.error?.message ?? null,
    link: `/evaluate/${run.eval_id}/runs/${run.id}`,
    cancel:
      mayCancel && state === "active" ? () => api.post("/v1/evals/{eval_id}/runs/{run_id}/cancel", { path }) : null,
  };
}

async function calibrations(signal: AbortSignal): Promise<Job[]> {
  const page = await api.get("/api/calibrations", { query: { limit: EVALS }, signal });
  return page.data.map((item) => ({
    id: item.id,
    kind: "calibration",
    name: `${item.name} · ${item.model}`,
    state: stateOf(item.status),
    progress: null,
    remainingSeconds: null,
    createdAt: item.created_at,
    finishedAt: item.finished_at,
    error: item.error?.message ?? null,
    link: `/evaluate/calibrations/${item.id}`,
    cancel: null,
  }));
}

const STATES: Record<string, JobState> = {
  paused: "paused",
  succeeded: "succeeded",
  completed: "succeeded",
  ready: "succeeded",
  failed: "failed",
  expired: "failed",
  cancelled: "cancelled",
  canceled: "cancelled",
};

/** Everything that is not an end and not a pause is under way: validating, queued, running, finalizing, … */
export function stateOf(status: string): JobState {
  return STATES[status] ?? "active";
}
