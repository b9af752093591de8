// What can be done with a value of a group: the same as in a facet, on the query that made the table.
import { equals, exists, including, mention, only, without } from "$lib/query/terms";
import { plain } from "$lib/text/spans";
import { wholeText } from "$lib/table/answer";
import type { MenuEntry } from "$lib/ui";

/** Bytes of a query that the server reads (`QUERY_BYTES_MAX`). */
const QUERY_BYTES_MAX = 16_384;
/** Characters of a value in the heading of its menu. */
const HEADING_CHARS_MAX = 60;

/** A value of a group; `null` are the records without the field. */
export interface GroupValue {
  field: string;
  value: unknown;
}

/** The term of a query that finds the group, and whether it finds it by being excluded. */
function termOf({ field, value }: GroupValue): { term: string; isNegated: boolean } {
  const isNone = value === null || value === undefined;
  return isNone ? { term: exists(field), isNegated: true } : { term: equals(field, value), isNegated: false };
}

/** The query with the group demanded (or excluded), or without it if that is what it says. */
export function toggled(query: string, group: GroupValue, excluded: boolean): string {
  const { term, isNegated } = termOf(group);
  const isExcluded = excluded !== isNegated;
  return stateOf(query, group) === (excluded ? "excluded" : "included") ? without(query, term) : including(query, term, isExcluded);
}

/** What the query says of the group. */
export function stateOf(query: string, group: GroupValue): "included" | "excluded" | null {
  const { term, isNegated } = termOf(group);
  const said = mention(query, term);
  if (said === null || !isNegated) return said;
  return said === "included" ? "excluded" : "included";
}

/** The query that finds the records of the group alone, as far as its field goes. */
function onlyGroup(query: string, group: GroupValue): string {
  const { term, isNegated } = termOf(group);
  const alone = only(query, group.field, term);
  return isNegated ? including(alone, term, true) : alone;
}

/** Whether the server reads a query as long as this one. */
export const fits = (query: string) => new TextEncoder().encode(query).length <= QUERY_BYTES_MAX;

/** Entries of the menu of a group's value. */
export function groupEntries(query: string, group: GroupValue, onquery: (query: string) => void, oncopy: (text: string) => void): MenuEntry[] {
  const text = wholeText(group.value);
  const isNone = group.value === null || group.value === undefined;
  const shown = isNone ? "none" : plain(text.slice(0, HEADING_CHARS_MAX)) + (text.length > HEADING_CHARS_MAX ? "…" : "");
  const state = stateOf(query, group);
  const entry = (label: string, keys: string | undefined, next: string) => ({
    label,
    ...(keys && { keys }),
    ...(fits(next) ? {} : { isDisabled: true, note: "too long" }),
    run: () => onquery(next),
  });
  return [
    { heading: `${plain(group.field)}: ${shown || "(empty)"}` },
    entry(state === "included" ? "No longer include" : "Include", "i", toggled(query, group, false)),
    entry(state === "excluded" ? "No longer exclude" : "Exclude", "x", toggled(query, group, true)),
    entry(isNone ? "Only without the field" : "Only this value", undefined, onlyGroup(query, group)),
    ...(isNone ? [] : ["separator" as const, { label: "Copy the value", run: () => oncopy(text) }]),
  ];
}
