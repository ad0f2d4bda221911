/** The jobs of the chosen project, kept current while the tab is visible. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { useMay } from "../session";
import { fetchJobs, type Job } from "./source";

const BUSY_MS = 3000;
const CALM_MS = 20_000;

export const JOBS_KEY = ["jobs"];

export function useJobs() {
  const may = useMay();
  return useQuery({
    queryKey: JOBS_KEY,
    queryFn: ({ signal }) => fetchJobs(may, signal),
    // hidden tabs do not ask (TanStack's default)
    refetchInterval: (query) => (query.state.data?.some((job) => job.state === "active") ? BUSY_MS : CALM_MS),
  });
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
