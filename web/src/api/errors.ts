/** What can go wrong with a call, as values that a page can show. */

/** The API said no. `message` is its own sentence, in the chosen language; `param` names the field it is about. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly param: string | null,
    readonly requestId: string | null,
    readonly retryAfterSeconds: number | null,
  ) {
    super(message);
  }
}

/** The server could not be reached. A call that changes something may or may not have arrived. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";

  constructor() {
    super("connection lost");
  }
}

interface Body {
  error?: { message?: unknown; code?: unknown; param?: unknown };
}

export async function errorOf(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => ({}))) as Body;
  const text = (value: unknown) => (typeof value === "string" ? value : null);
  const retryAfter = Number(response.headers.get("retry-after"));
  return new ApiError(
    text(body.error?.message) ?? `${response.status} ${response.statusText}`,
    response.status,
    text(body.error?.code) ?? "unknown",
    text(body.error?.param),
    response.headers.get("x-request-id"),
    retryAfter > 0 ? retryAfter : null,
  );
}
