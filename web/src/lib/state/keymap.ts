// The keyboard map: one table for what is listened to, the help dialog and the palette.

export interface Command {
  id: string;
  /** What is pressed: `/`, `Shift+Enter`, `Mod+K` (Ctrl or ⌘), or one after the other: `g l`. */
  keys: string;
  label: string;
  group: "Anywhere" | "Time" | "Records" | "Go to";
}

const table = (group: Command["group"], rows: [id: string, keys: string, label: string][]): Command[] =>
  rows.map(([id, keys, label]) => ({ id, keys, label, group }));

export const COMMANDS: Command[] = [
  ...table("Anywhere", [
    ["palette", "Mod+K", "Command palette"],
    ["query", "/", "Edit the query"],
    ["close", "Escape", "Close"],
    ["theme", "t", "Light or dark"],
    ["help", "?", "Keyboard shortcuts"],
  ]),
  ...table("Records", [
    ["row.next", "j", "Next record"],
    ["row.previous", "k", "Previous record"],
    ["row.open", "Enter", "Open the record"],
    ["row.open.full", "Shift+Enter", "Open the record over the page"],
    ["error.next", "e", "Next error"],
    ["error.previous", "E", "Previous error"],
    ["warn.next", "w", "Next warning"],
    ["warn.previous", "W", "Previous warning"],
    ["include", "i", "Include the value"],
    ["exclude", "x", "Exclude the value"],
    ["context", "c", "Records around"],
    ["copy.link", "y", "Copy a link"],
    ["find", "Mod+F", "Find in the list"],
    ["jump", "g t", "Jump to a time"],
    ["pause", "Space", "Pause or resume the live tail"],
  ]),
  ...table("Time", [
    ["time.back", "[", "Earlier by half"],
    ["time.forward", "]", "Later by half"],
    ["time.in", "+", "Zoom in"],
    ["time.out", "-", "Zoom out"],
  ]),
  ...table("Go to", [
    ["go.logs", "g l", "Logs"],
    ["go.instances", "g i", "My instances"],
    ["go.settings", "g s", "Settings"],
  ]),
];

/** What an event pressed, in the words of the table. */
export function pressed(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">): string {
  if (event.altKey) return "";
  const key = event.key === " " ? "Space" : event.key;
  if (event.ctrlKey || event.metaKey) return `Mod+${key.length === 1 ? key.toUpperCase() : key}`;
  // A shifted letter or sign is a key of its own: `E`, `?`.
  return event.shiftKey && key.length > 1 ? `Shift+${key}` : key;
}

/** Follows what is pressed, one key or one after the other. */
export class KeyReader {
  #first = "";
  #at = 0;

  constructor(
    private readonly commands: Pick<Command, "id" | "keys">[],
    /** A second key that comes later than this begins anew. */
    private readonly waitMs = 1_000,
  ) {}

  /** The command that this key completes. */
  read(key: string, nowMs: number): string | null {
    const isSecond = this.#first !== "" && nowMs - this.#at <= this.waitMs;
    const whole = isSecond ? `${this.#first} ${key}` : key;
    this.#first = "";
    const found = this.commands.find((command) => command.keys === whole);
    if (found) return found.id;
    if (!isSecond && this.commands.some((command) => command.keys.startsWith(`${key} `))) {
      this.#first = key;
      this.#at = nowMs;
    }
    return null;
  }
}

const NAMES: Record<string, string> = { Escape: "Esc", Space: "␣", Enter: "↵", Shift: "⇧" };

/** Each key of a command as it is drawn: `["Ctrl", "K"]`. */
export function drawnKeys(keys: string, isMac: boolean): string[] {
  return keys
    .split(" ")
    .flatMap((part) => (part.length > 1 ? part.split("+") : [part]))
    .map((part) => (part === "Mod" ? (isMac ? "⌘" : "Ctrl") : (NAMES[part] ?? part)));
}
