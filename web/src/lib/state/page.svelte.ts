// What all screens share through the address: the time range and the scope. And the clock that
// tells panels to ask again.
import { router } from "./router.svelte";
import { DEFAULT_RANGE, isLive, type TimeRange } from "./time";
import { parseRangeOf } from "./url";

/** Parameters that go along from one screen to the next. */
const SHARED = ["from", "to", "scope"];

class Page {
  range = $derived(parseRangeOf(new URLSearchParams(router.search)));
  /** Streams or prefixes with `*`; empty: all. */
  streams = $derived((new URLSearchParams(router.search).get("scope") ?? "").split(",").filter(Boolean));
  /** Rises whenever panels are to ask again: at "refresh" and by the clock. Part of a snapshot's key. */
  refreshes = $state(0);
  /** Seconds between automatic refreshes; 0: off. */
  refreshSeconds = $state(0);
  #timer: ReturnType<typeof setInterval> | undefined;

  setRange(range: TimeRange): void {
    router.change({
      from: range.from === DEFAULT_RANGE.from ? null : range.from,
      to: range.to === DEFAULT_RANGE.to ? null : range.to,
    });
  }

  setStreams(streams: string[]): void {
    router.change({ scope: streams.length > 0 ? streams.join(",") : null });
  }

  refresh(): void {
    this.refreshes += 1;
  }

  setRefresh(seconds: number): void {
    clearInterval(this.#timer);
    this.refreshSeconds = seconds;
    if (seconds === 0) return;
    this.#timer = setInterval(() => {
      // A hidden page, and a range that does not follow the clock, have nothing new to show.
      if (!document.hidden && isLive(this.range)) this.refresh();
    }, seconds * 1_000);
  }

  /** The address of another screen with the range and scope of this one. */
  link(path: string): string {
    const here = router.parameters;
    const kept = new URLSearchParams();
    for (const name of SHARED) {
      const value = here.get(name);
      if (value !== null) kept.set(name, value);
    }
    const text = kept.toString();
    return text ? `${path}?${text}` : path;
  }
}

export const page = new Page();
