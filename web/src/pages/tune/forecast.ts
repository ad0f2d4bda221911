/** How long a new job may take, from earlier jobs on this machine. Pure functions. */

/** One finished job: how many rows it learnt how often, and the seconds its trainer ran. */
export interface Precedent {
  rows: number;
  epochs: number;
  seconds: number;
}

export interface Forecast {
  seconds: number;
  low: number;
  high: number;
  /** How many jobs it rests on. */
  n: number;
}

/** Below this an interval would be a guess. */
export const FEWEST = 3;
// other work on the machine and longer texts alone make the time per row differ by so much
const LEAST_SPREAD = 0.15;
// 97.5 % points of Student's t for 2, 3, … degrees of freedom
const T = [4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093];

/**
 * The 95 % prediction interval of the next job's duration: the time per row (and epoch, when the number of epochs is
 * given) is taken as log-normal over the earlier jobs. Null with fewer than three of them.
 */
export function forecast(precedents: readonly Precedent[], rows: number, epochs: number | null): Forecast | null {
  const logs = precedents
    .filter((job) => job.rows > 0 && job.epochs > 0 && job.seconds > 0)
    .map((job) => Math.log(job.seconds / (job.rows * (epochs === null ? 1 : job.epochs))));
  const n = logs.length;
  if (n < FEWEST || rows <= 0) return null;
  const mean = logs.reduce((sum, value) => sum + value, 0) / n;
  const variance = logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const t = T[Math.min(n - 3, T.length - 1)] as number;
  const half = t * Math.max(LEAST_SPREAD, Math.sqrt(variance)) * Math.sqrt(1 + 1 / n);
  const seconds = Math.exp(mean) * rows * (epochs ?? 1);
  return { seconds, low: seconds * Math.exp(-half), high: seconds * Math.exp(half), n };
}
