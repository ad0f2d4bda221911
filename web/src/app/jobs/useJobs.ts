/** The jobs of the chosen project, kept current while the tab is visible. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef } from "react";
import { useChanges } from "../live";
import { useMay } from "../session";
import { fetchJobs, type Job } from "./source";

// starts and ends are told by the platform (live.ts); progress is asked for, and is the safety net
const BUSY_MS = 4000;
const CALM_MS = 30_000;

export const JOBS_KEY = ["jobs"];
const KINDS = ["tuning.", "evaluation.", "gateway.batch.", "gateway.calibration."];

export function useJobs() {
  const may = useMay();
  return useQuery({
    queryKey: JOBS_KEY,
    queryFn: ({ signal }) => fetchJobs(may, signal),
    // hidden tabs do not ask (TanStack's default)
    refetchInterval: (query) => (query.state.data?.some((job) => job.state === "active") ? BUSY_MS : CALM_MS),
  });
}

/** Once in the shell: the list is fetched again when the platform says that a job changed. */
export function useLiveJobs(): void {
  const client = useQueryClient();
  const refetch = useCallback(() => void client.invalidateQueries({ queryKey: JOBS_KEY }), [client]);
  useChanges(KINDS, refetch);
}

/** Calls back once for each job that was seen at work and has ended since. */
export function useFinishedJobs(jobs: Job[] | undefined, onFinished: (job: Job) => void): void {
  const running = useRef(new Set<string>());
  useEffect(() => {
    for (const job of jobs ?? []) {
      const atWork = job.state === "active" || job.state === "paused";
      if (atWork) running.current.add(job.id);
      else if (running.current.delete(job.id)) onFinished(job);
    }
  }, [jobs, onFinished]);
}
