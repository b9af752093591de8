// Opens an overlay at its trigger, and loads the overlay's code when the first one is wanted.
//
// bits-ui makes overlays right (focus, dismissal, placement) at a third of the size of the first
// screen, which shows none. So a trigger is a plain element, and the code behind it is fetched on
// hover, focus or press, at the latest when the page has come to rest.
import type { Component } from "svelte";
import { atRest, fetching } from "./rest";

// Each body has properties of its own; the wrapper that renders it knows them.
type Body = Component<any, any, any>;

export class Opener {
  /** The overlay, once it is loaded and was wanted. */
  body = $state.raw<Body | null>(null);
  /** The trigger. */
  anchor = $state.raw<HTMLElement | null>(null);

  constructor(
    private readonly kind: "dialog" | "menu",
    private readonly isOpen: () => boolean,
    private readonly setOpen: (isOpen: boolean) => void,
    private readonly load: () => Promise<{ default: Body }>,
  ) {}

  /** Properties that the trigger spreads onto its element. */
  get trigger(): Record<string, unknown> {
    const isOpen = this.isOpen();
    return {
      "aria-haspopup": this.kind,
      "aria-expanded": isOpen,
      "data-state": isOpen ? "open" : "closed",
      onpointerenter: () => void this.#fetch(),
      onfocus: () => void this.#fetch(),
      onclick: (event: MouseEvent) => this.#toggle(event.currentTarget as HTMLElement),
      onkeydown: (event: KeyboardEvent) => {
        if (this.kind !== "menu" || event.key !== "ArrowDown") return;
        event.preventDefault();
        this.#toggle(event.currentTarget as HTMLElement);
      },
    };
  }

  #toggle(anchor: HTMLElement): void {
    this.anchor = anchor;
    const next = !this.isOpen();
    void this.#fetch().then((body) => {
      this.body = body;
      this.setOpen(next);
    });
  }

  /** The browser keeps what it has imported once. */
  async #fetch(): Promise<Body> {
    return (await this.load()).default;
  }
}

/** A page that has just begun has better to do, even while it waits for an answer. */
const FETCH_AFTER_MS = 2_000;

/** Fetches the code of overlays while nothing else is to be done. */
export function fetchOverlays(): void {
  const loads = [() => import("./MenuBody.svelte"), () => import("./PopoverBody.svelte"), () => import("./DialogBody.svelte")];
  atRest(FETCH_AFTER_MS, ...loads.map(fetching));
}
