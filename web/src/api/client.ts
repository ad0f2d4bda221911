/**
 * The only place that talks to the server. `api.get("/v1/files/{file_id}", { path: { file_id } })` is checked
 * against our OpenAPI document (schema.ts, generated) and answers with the typed body.
 *
 * GETs wait and try again while the server is away. Everything else fails with `ConnectionLost`, so that nothing
 * is done twice. What the API refuses is an `ApiError` with the API's own sentence.
 */
import { connection, isAway } from "./connection";
import { ApiError, ConnectionLost, errorOf } from "./errors";
import type { paths } from "./schema";

/** In whose name a call is made: the chosen project's, or the organization's (owners and admins only). */
export type Scope = "project" | "organization";

export type Method = "get" | "post" | "put" | "patch" | "delete";

export interface CallOptions {
  /** Default: "organization" for `/v1/organization/…` and the like (see ORGANIZATION), else "project". */
  scope?: Scope;
  /** Another project than the chosen one. */
  projectId?: string;
  signal?: AbortSignal;
}

const ORGANIZATION =
  /^\/(v1\/organization|v1\/projects|api\/(session|sessions|setup|users|invitations|password_reset|admin_api_keys|pools|prices))(\/|$)/;

/** What every call carries; the session and the settings put it here. */
const context = { projectId: "", csrfToken: "", language: "en" };

export function setCallContext(change: Partial<typeof context>): void {
  Object.assign(context, change);
}

type Refusal = (error: ApiError) => void | Promise<void>;
const refused: { signedOut: Refusal; staleToken: Refusal } = { signedOut: () => {}, staleToken: () => {} };

/** `signedOut`: the session ended on the server. `staleToken`: fetch a new CSRF token; the call is tried once more. */
export function onRefusal(handlers: typeof refused): void {
  Object.assign(refused, handlers);
}

export interface RawOptions extends CallOptions {
  body?: BodyInit;
  contentType?: string;
  headers?: Record<string, string>;
}

/** Headers of a call; for those who cannot use `send` (uploads with progress). */
export function headersOf(method: string, url: string, options: RawOptions = {}): Headers {
  const headers = new Headers({ "accept-language": context.language });
  const scope = options.scope ?? (ORGANIZATION.test(url.split("?")[0] ?? "") ? "organization" : "project");
  const projectId = options.projectId ?? context.projectId;
  if (scope === "project" && projectId) headers.set("x-plinth-project", projectId);
  if (method !== "GET" && context.csrfToken) headers.set("x-csrf-token", context.csrfToken);
  if (options.contentType) headers.set("content-type", options.contentType);
  for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name, value);
  return headers;
}

/** One call. The response is good (2xx); its body has not been read, so that it can be streamed. */
export async function send(method: string, url: string, options: RawOptions = {}): Promise<Response> {
  for (let renewed = false; ; ) {
    const response = await attempt(method, url, options);
    if (response === null) {
      connection.lose();
      if (method !== "GET") throw new ConnectionLost();
      await connection.restored(options.signal);
      continue;
    }
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.code === "csrf_failed" && !renewed) {
      renewed = true; // the server did nothing yet
      await refused.staleToken(error);
      continue;
    }
    if (error.status === 401 && error.code !== "wrong_credentials") await refused.signedOut(error);
    throw error;
  }
}

/** Null when the server is away. */
async function attempt(method: string, url: string, options: RawOptions): Promise<Response | null> {
  try {
    const response = await fetch(url, {
      method,
      headers: headersOf(method, url, options),
      body: options.body ?? null,
      signal: options.signal ?? null,
      credentials: "same-origin",
      cache: "no-store",
    });
    return isAway(response.status) && (await isGatewayAlone(response)) ? null : response;
  } catch (error) {
    if (error instanceof TypeError) return null; // fetch: no connection
    throw error;
  }
}

/** Whether the control plane is away: so says our gateway, or a proxy before it that does not speak JSON. */
async function isGatewayAlone(response: Response): Promise<boolean> {
  if (!response.headers.get("content-type")?.includes("json")) return true;
  return (await errorOf(response.clone())).code === "api_unavailable";
}

type Paths<M extends Method> = {
  [P in keyof paths]: paths[P][M] extends { responses: unknown } ? P : never;
}[keyof paths];

type Good = 200 | 201 | 202;
type JsonOf<T> = T extends { content: { "application/json": infer Body } } ? Body : unknown;
type AnswerOf<Operation> = Operation extends { responses: infer R } ? JsonOf<R[keyof R & Good]> : never;

type PathOf<Operation> = Operation extends { parameters: { path: infer Path } } ? { path: Path } : unknown;
/** What may be left out may also be undefined: it is left out then. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- asks whether the key is optional
type Lenient<T> = { [K in keyof T]: {} extends Pick<T, K> ? T[K] | undefined : T[K] };
type QueryOf<Operation> = Operation extends { parameters: { query: infer Query } }
  ? { query: Lenient<Query> }
  : Operation extends { parameters: { query?: infer Query } }
    ? { query?: Lenient<NonNullable<Query>> }
    : unknown;
type BodyOf<Operation> = Operation extends { requestBody: { content: { "application/json": infer Body } } }
  ? { body: Body }
  : Operation extends { requestBody?: { content: { "application/json": infer Body } } }
    ? { body?: Body }
    : unknown;
type OptionsOf<Operation> = CallOptions & PathOf<Operation> & QueryOf<Operation> & BodyOf<Operation>;
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- asks whether every option may be left out
type Rest<Operation> = {} extends OptionsOf<Operation>
  ? [options?: OptionsOf<Operation>]
  : [options: OptionsOf<Operation>];

type Call<M extends Method> = <P extends Paths<M>>(
  path: P,
  ...rest: Rest<paths[P][M]>
) => Promise<AnswerOf<paths[P][M]>>;

interface LooseOptions extends CallOptions {
  path?: Record<string, unknown>;
  query?: Record<string, unknown>;
  body?: unknown;
}

/** The address of a call with its parameters filled in. Arrays repeat; undefined and null are left out. */
export function addressOf(path: string, options: Pick<LooseOptions, "path" | "query"> = {}): string {
  const filled = path.replace(/{(\w+)}/g, (_, name: string) => encodeURIComponent(String(options.path?.[name])));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options.query ?? {})) {
    for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (item !== undefined && item !== null && item !== "") query.append(name, typeof item === "string" ? item : JSON.stringify(item));
    }
  }
  return query.size > 0 ? `${filled}?${query.toString()}` : filled;
}

/** A call outside the OpenAPI document; prefer `api`. */
export async function call<Answer>(method: Method, path: string, options: LooseOptions = {}): Promise<Answer> {
  const { body, ...rest } = options;
  const raw: RawOptions = { ...rest };
  if (body !== undefined) Object.assign(raw, { body: JSON.stringify(body), contentType: "application/json" });
  const response = await send(method.toUpperCase(), addressOf(path, options), raw);
  const text = await response.text();
  return (text && response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text) as Answer;
}

function typed<M extends Method>(method: M): Call<M> {
  return (path, ...rest) => call(method, path, rest[0] as LooseOptions | undefined);
}

export const api = {
  get: typed("get"),
  post: typed("post"),
  put: typed("put"),
  patch: typed("patch"),
  delete: typed("delete"),
};

/** A multipart upload that tells how far it is (0 to 1). */
export function upload<Answer>(
  url: string,
  form: FormData,
  onProgress: (part: number) => void,
  options: CallOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    headersOf("POST", url, options).forEach((value, name) => request.setRequestHeader(name, value));
    request.upload.onprogress = (event) => onProgress(event.total > 0 ? event.loaded / event.total : 0);
    request.onerror = () => {
      connection.lose();
      reject(new ConnectionLost());
    };
    request.onload = () => {
      const headers = { "x-request-id": request.getResponseHeader("x-request-id") ?? "" };
      const response = new Response(request.responseText, { status: request.status, headers });
      if (response.ok) resolve(JSON.parse(request.responseText) as Answer);
      else void errorOf(response).then(reject);
    };
    options.signal?.addEventListener("abort", () => {
      request.abort();
      reject(new DOMException("aborted", "AbortError"));
    });
    request.send(form);
  });
}
