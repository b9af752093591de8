// The address of the page as state, and the only way to change it.
//
// Plain history, no framework: a screen reads `router.path` and `router.search`, links are ordinary
// anchors (`followLinks` keeps the page when they are ours), and what changes the address calls
// `router.go`.

/** What the server answers with something else than the page. */
const NOT_OURS = /^\/(api|assets|docs|ws|metrics|healthz|readyz|livez)(\/|$)/;

class Router {
  path = $state(globalThis.location?.pathname ?? "/");
  search = $state(globalThis.location?.search ?? "");

  /** Parameters of the address; a new object whenever the address changes. */
  get parameters(): URLSearchParams {
    return new URLSearchParams(this.search);
  }

  /** Goes to an address of ours. `isReplaced` makes no entry in the history. */
  go(href: string, isReplaced = false): void {
    const url = new URL(href, location.href);
    const isSame = url.pathname === location.pathname && url.search === location.search;
    if (!isSame) {
      if (isReplaced) history.replaceState(null, "", url);
      else history.pushState(null, "", url);
    }
    this.#read();
  }

  /** Sets or, with `null`, drops parameters of this page's address. */
  change(parameters: Record<string, string | null>, isReplaced = false): void {
    const next = this.parameters;
    for (const [name, value] of Object.entries(parameters)) {
      if (value === null) next.delete(name);
      else next.set(name, value);
    }
    const text = next.toString();
    this.go(text ? `${this.path}?${text}` : this.path, isReplaced);
  }

  /** Listens to back, forward and clicks; returns how to stop. */
  start(): () => void {
    const read = () => this.#read();
    const click = (event: MouseEvent) => this.#click(event);
    addEventListener("popstate", read);
    document.addEventListener("click", click);
    return () => {
      removeEventListener("popstate", read);
      document.removeEventListener("click", click);
    };
  }

  #read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }

  #click(event: MouseEvent): void {
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!isPlain || event.defaultPrevented || !(event.target instanceof Element)) return;
    const link = event.target.closest("a[href]");
    if (!(link instanceof HTMLAnchorElement)) return;
    if (link.target !== "" || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || NOT_OURS.test(url.pathname)) return;
    // A jump inside the page, such as the skip link.
    if (url.hash !== "" && url.pathname === location.pathname && url.search === location.search) return;
    event.preventDefault();
    this.go(url.href);
  }
}

export const router = new Router();
