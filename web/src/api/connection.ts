/** Whether the server can be reached. One watcher asks until it answers; everybody else waits for it. */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 4000;
// the gateway answers so while the control plane is away
const AWAY = new Set([502, 503, 504]);

type Listener = () => void;

class Connection {
  private lost = false;
  private readonly listeners = new Set<Listener>();

  readonly isLost = () => this.lost;

  readonly subscribe = (listener: Listener) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Says that a call did not get through, and starts to watch for the server. */
  lose(): void {
    if (this.lost) return;
    this.set(true);
    void this.watch();
  }

  /** Resolves when the server answers again; rejects when the caller has lost interest. */
  restored(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.lost) {
        resolve();
        return;
      }
      const stop = this.subscribe(() => {
        if (this.lost) return;
        stop();
        resolve();
      });
      signal?.addEventListener("abort", () => {
        stop();
        reject(new DOMException("aborted", "AbortError"));
      });
    });
  }

  private async watch(): Promise<void> {
    for (let wait = FIRST_WAIT_MS; this.lost; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      try {
        const response = await fetch("/api/session", { cache: "no-store" });
        if (!isAway(response.status)) this.set(false);
      } catch {
        // still away
      }
    }
  }

  private set(lost: boolean): void {
    this.lost = lost;
    for (const listener of [...this.listeners]) listener();
  }
}

export const connection = new Connection();

export function isAway(status: number): boolean {
  return AWAY.has(status);
}
