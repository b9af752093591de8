// Short messages at the edge of the page. At most a handful, each goes by itself unless it is an
// error, and nothing that a person must know is told here alone.

export interface Toast {
  id: number;
  kind: "info" | "ok" | "error";
  text: string;
  action?: { label: string; run: () => void };
}

const TOASTS_MAX = 4;
const SHOWN_MS = 5_000;

class Toasts {
  list = $state<Toast[]>([]);
  #next = 1;

  show(text: string, kind: Toast["kind"] = "info", action?: Toast["action"]): void {
    const toast: Toast = { id: this.#next++, kind, text, ...(action ? { action } : {}) };
    this.list = [...this.list, toast].slice(-TOASTS_MAX);
    if (kind !== "error" && !action) setTimeout(() => this.close(toast.id), SHOWN_MS);
  }

  close(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
