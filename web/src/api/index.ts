export { addressOf, api, call, headersOf, onRefusal, send, setCallContext, upload } from "./client";
export type { CallOptions, Scope } from "./client";
export { connection } from "./connection";
export { ApiError, ConnectionLost } from "./errors";
export { allOf } from "./pages";
export type { ListPage, PageFetcher, PageRequest } from "./pages";
export { sessionApi } from "./session";
export type * from "./session";
export type { components, paths } from "./schema";

import type { components } from "./schema";

/** A body by the name it has in our OpenAPI document: `Wire<"JobObject">`. */
export type Wire<Name extends keyof components["schemas"]> = components["schemas"][Name];
