/** What the API says about files and datasets, under shorter names. */
import type { Wire } from "../../api";

export type FileObject = Wire<"plinth__data__schemas__FileObject">;
export type UploadObject = Wire<"UploadObject">;
export type PartObject = Wire<"PartObject">;
export type Dataset = Wire<"DatasetObject">;
export type Version = Wire<"plinth__data__schemas__VersionObject">;
export type DryRun = Wire<"DryRunObject">;
export type RowProblem = Wire<"RowProblem">;
export type DataRow = Wire<"RowObject">;
export type DatasetRequest = Wire<"DatasetRequest">;

/** Keys of the queries; everything below them is fetched again when the platform reports a change. */
export const FILES = ["files"];
export const DATASETS = ["datasets"];

export const PURPOSES = ["fine-tune", "evals", "batch", "user_data", "assistants", "vision"] as const;
export type Purpose = (typeof PURPOSES)[number];

export const FORMATS = ["chat", "prompt_completion", "classification"] as const;
export type Format = (typeof FORMATS)[number];
