// Whether the server answers, and when it last did.
//
// Nothing is asked while all is well: the client tells. Once a request got no answer, /livez is
// asked at growing distances, and at the first answer the panels that failed ask again.
import { onReached } from "$api/client";
import { queryClient } from "$api/queries";
import { page } from "./page.svelte";

const RETRY_MS = [1_000, 2_000, 5_000, 10_000, 30_000];

class Network {
  isOffline = $state(false);
  /** When the server last answered; `null` before the first answer. */
  lastAnswer = $state<Date | null>(null);
  #tries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  start(): () => void {
    onReached((isReached) => this.#heard(isReached));
    const again = () => this.isOffline && void this.#try();
    addEventListener("online", again);
    return () => {
      removeEventListener("online", again);
      clearTimeout(this.#timer);
    };
  }

  /** Asks now rather than when it is due. */
  async retry(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#try();
  }

  #heard(isReached: boolean): void {
    if (isReached) {
      this.lastAnswer = new Date();
      if (!this.isOffline) return;
      this.isOffline = false;
      this.#tries = 0;
      clearTimeout(this.#timer);
      // Something failed, or nobody would know of the outage: screens ask anew, and so do reads
      // that do not follow the refresh.
      page.refresh();
      void queryClient.refetchQueries({ type: "active", predicate: (query) => query.state.status === "error" });
    } else if (!this.isOffline) {
      this.isOffline = true;
      this.#plan();
    }
  }

  #plan(): void {
    clearTimeout(this.#timer);
    const wait = RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)]!;
    this.#timer = setTimeout(() => void this.#try(), wait);
  }

  async #try(): Promise<void> {
    try {
      const response = await fetch("/livez", { cache: "no-store" });
      if (response.ok) return this.#heard(true);
    } catch {
      // Still away.
    }
    this.#plan();
  }
}

export const network = new Network();
