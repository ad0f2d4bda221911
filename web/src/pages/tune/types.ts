import type { paths, Wire } from "../../api";

export type Job = Wire<"JobObject">;
export type JobEvent = Wire<"EventObject">;
export type Checkpoint = Wire<"CheckpointObject">;
export type Base = Wire<"BaseModelObject">;
export type DataVersion =
  paths["/api/dataset_versions/{version_id}"]["get"]["responses"][200]["content"]["application/json"];

export const JOBS_KEY = ["tuning-jobs"];
