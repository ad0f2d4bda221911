/** What pages may use of the shell. */
export { useJobs } from "./jobs/useJobs";
export { JobList } from "./jobs/JobTray";
export { useChanges } from "./live";
export { useMay, useProject, useSignedIn } from "./session";
