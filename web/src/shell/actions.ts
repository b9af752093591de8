// What the palette offers, and which of it matches what was typed.

export interface Action {
  label: string;
  group: string;
  keys?: string | undefined;
  /** Made of what was typed: always matches. */
  isMade?: boolean;
  run: () => void;
}

/** How well a label matches: 0 not at all; beginnings of words before insides, short before long. */
export function score(label: string, typed: string): number {
  const text = label.toLowerCase();
  let total = 0;
  for (const word of typed.toLowerCase().split(/\s+/).filter(Boolean)) {
    const at = text.indexOf(word);
    if (at < 0) return 0;
    const isStart = text.split(/[^\p{L}\p{N}]+/u).some((part) => part.startsWith(word));
    total += at === 0 ? 4 : isStart ? 3 : 1;
  }
  return total + 1 / (1 + text.length);
}

/** Matching actions, the best first; those made of the text after real ones that match as well. */
export function ranked(actions: Action[], typed: string): Action[] {
  if (typed.trim() === "") return actions.filter((action) => !action.isMade);
  return actions
    .map((action) => ({ action, score: action.isMade ? 0.5 : score(`${action.label} ${action.group}`, typed) }))
    .filter((entry) => entry.score > 0)
    .sort((a, b) => b.score - a.score)
    .map((entry) => entry.action);
}
