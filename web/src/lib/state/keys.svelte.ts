// Who listens to which command of the keyboard map.
//
// Inert where text is typed, in open dialogs and menus, and when switched off; a command with
// Ctrl or ⌘ and Escape work everywhere but in a dialog, which has keys of its own.
import { COMMANDS, KeyReader, pressed } from "./keymap";
import { preferences } from "./preferences.svelte";

type Handler = (event: KeyboardEvent) => boolean | void;

const handlers = new Map<string, Handler[]>();

/**
 * Listens to commands until the returned function is called; the listener that came last is asked
 * first. One that returns `false` passes the key on to the one before it, then to the browser.
 */
export function onCommands(wanted: Record<string, Handler>): () => void {
  for (const [id, handler] of Object.entries(wanted)) {
    handlers.set(id, [handler, ...(handlers.get(id) ?? [])]);
  }
  return () => {
    for (const [id, handler] of Object.entries(wanted)) {
      handlers.set(id, (handlers.get(id) ?? []).filter((other) => other !== handler));
    }
  };
}

/** Runs a command as if its keys had been pressed. */
export function runCommand(id: string, event = new KeyboardEvent("keydown")): boolean {
  return (handlers.get(id) ?? []).some((handler) => handler(event) !== false);
}

/** Whether somebody listens to the command now. */
export function hasCommand(id: string): boolean {
  return (handlers.get(id) ?? []).length > 0;
}

const TYPED = "input:not([type=checkbox],[type=radio],[type=range]),textarea,select,[contenteditable=true],.cm-editor";
const OVERLAYS = "[role=dialog],[role=menu],[role=listbox],[role=alertdialog]";
/** Keys that a focused control uses itself. */
const OF_CONTROLS = ["Enter", "Space"];

function isHeard(event: KeyboardEvent, key: string): boolean {
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest(OVERLAYS)) return false;
  if (key.startsWith("Mod+")) return true;
  if (target?.closest(TYPED)) return key === "Escape";
  if (OF_CONTROLS.includes(key) && target?.closest("button,a,summary,[role=tab],[role=switch],label")) return false;
  return preferences.values.areKeysOn || key === "Escape";
}

/** Listens to the keyboard; returns how to stop. */
export function startKeys(): () => void {
  const reader = new KeyReader(COMMANDS);
  const listen = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing) return;
    const key = pressed(event);
    if (key === "" || !isHeard(event, key)) return;
    const id = reader.read(key, event.timeStamp);
    if (id !== null && runCommand(id, event)) event.preventDefault();
  };
  addEventListener("keydown", listen);
  return () => removeEventListener("keydown", listen);
}
