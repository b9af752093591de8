// The clipboard. Pages that came over plain HTTP from another machine have no `navigator.clipboard`;
// there the old command is used.
import { toasts } from "$lib/state/toasts.svelte";

/** Whether it was copied; otherwise a toast has said why not. */
export async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else if (!copyBySelection(text)) throw new Error("the browser refused");
    return true;
  } catch (fault) {
    toasts.show(`Not copied: ${fault instanceof Error ? fault.message : "the browser refused"}`, "error");
    return false;
  }
}

function copyBySelection(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return isDone;
}
