/** What is typed to add a model, the request it makes, and which field an error of the API belongs to. */
import { ApiError, type Wire } from "../../../api";
import type { Capability } from "../model";

export type Kind = "local" | "hub" | "remote";

export interface Values {
  source: {
    kind: Kind;
    path?: string;
    hub?: "huggingface" | "modelscope";
    repository?: string;
    revision?: string;
    file?: string;
    base_url?: string;
    model?: string;
    api_key?: string;
    egress_allowed?: boolean;
  };
  name?: string;
  display_name?: { en?: string; zh?: string };
  licence?: string;
  capabilities?: Capability[];
  context_tokens?: number | null;
  shutdown_date?: string;
  scope?: "project" | "organization";
  /** Of a remote model: add it only when the provider answers and has it. */
  verify?: boolean;
}

export const EMPTY: Values = {
  source: { kind: "hub", hub: "huggingface", egress_allowed: false },
  scope: "project",
  verify: true,
};

type Body = Wire<"BaseModelCreate">;

/** Fields left empty are left out: the API reads them from the files. */
export function bodyOf(values: Values): Body {
  const body: Body = { name: trimmed(values.name), source: sourceBody(values.source) };
  const [en, zh] = [trimmed(values.display_name?.en), trimmed(values.display_name?.zh)];
  if (en || zh) body.display_name = { en: en || zh, zh: zh || en };
  if (trimmed(values.licence)) body.licence = trimmed(values.licence);
  if (values.capabilities?.length) body.capabilities = values.capabilities;
  if (values.context_tokens) body.context_tokens = values.context_tokens;
  if (values.shutdown_date) body.shutdown_date = values.shutdown_date;
  return body;
}

function sourceBody(source: Values["source"]): Body["source"] {
  if (source.kind === "local") return { kind: "local", path: trimmed(source.path) };
  if (source.kind === "hub") {
    const [revision, file] = [trimmed(source.revision), trimmed(source.file)];
    return {
      kind: "hub",
      hub: source.hub ?? "huggingface",
      repository: trimmed(source.repository),
      ...(revision && { revision }),
      ...(file && { file }),
    };
  }
  return {
    kind: "remote",
    base_url: trimmed(source.base_url),
    model: trimmed(source.model),
    egress_allowed: source.egress_allowed ?? false,
    ...(source.api_key && { api_key: source.api_key }),
  };
}

const trimmed = (text: string | undefined) => text?.trim() ?? "";

/** The API's names of fields inside a source: `source.remote.base_url` is our `source.base_url`. */
export const NAMES: Record<string, string> = Object.fromEntries(
  Object.entries({
    local: ["path"],
    hub: ["hub", "repository", "revision", "file"],
    remote: ["base_url", "model", "api_key", "egress_allowed"],
  }).flatMap(([kind, fields]) => fields.map((field) => [`source.${kind}.${field}`, `source.${field}`])),
);

const MAIN_FIELD: Record<Kind, string> = { local: "source.path", hub: "source.repository", remote: "source.base_url" };

/** Errors about files, hubs and providers name no field, but there is one that a person has to change. */
const FIELD_OF_CODE: Record<string, (kind: Kind) => string> = {
  base_model_files_refused: (kind) => MAIN_FIELD[kind],
  base_model_source_refused: (kind) => MAIN_FIELD[kind],
  hub_unreachable: () => "source.repository",
  remote_unreachable: () => "source.base_url",
  remote_model_missing: () => "source.model",
  egress_denied: () => "source.egress_allowed",
};

export function fieldOf(code: string | null, kind: Kind): string | null {
  return FIELD_OF_CODE[code ?? ""]?.(kind) ?? null;
}

/** The same error, naming the field it is about where that is known. */
export function withField(error: unknown, kind: Kind): unknown {
  if (!(error instanceof ApiError) || error.param) return error;
  const field = fieldOf(error.code, kind);
  if (!field) return error;
  return new ApiError(error.message, error.status, error.code, field, error.requestId, error.retryAfterSeconds);
}

/** The last part of a path, repository or model name, as far as a name may have it. */
export function suggestedName(source: Values["source"]): string {
  const from = { local: source.path, hub: source.repository, remote: source.model }[source.kind] ?? "";
  const last = from.split("/").filter(Boolean).at(-1) ?? "";
  return last
    .replace(/\.gguf$/i, "")
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, "-")
    .replace(/^[.-]+/, "")
    .slice(0, 48);
}

/** Everything but the key: nothing secret stays in the browser. */
export function toDraft(values: Values): Values {
  const source = { ...values.source };
  delete source.api_key;
  return { ...values, source };
}

export function fromDraft(stored: unknown): Values | null {
  if (typeof stored !== "object" || stored === null || !("source" in stored)) return null;
  const draft = stored as Values;
  return { ...EMPTY, ...draft, source: { ...EMPTY.source, ...draft.source } };
}
