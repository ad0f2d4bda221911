/** What an address says, read with care: it may come from anywhere. */

/** A path inside the console, from `?next=`; the home page when it is anything else. */
export function nextPath(search: URLSearchParams): string {
  const next = search.get("next") ?? "/";
  return /^\/(?![/\\])/.test(next) ? next : "/";
}

/** A one-time token: after `#`, so that it is in no server's log, or as `?token=`. */
export function tokenOf(hash: string, search: URLSearchParams): string {
  return hash.replace(/^#/, "") || (search.get("token") ?? "");
}
