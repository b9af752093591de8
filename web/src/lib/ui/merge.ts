// Properties of one element from two sides, such as a tooltip and a menu that share a trigger.

type Properties = Record<string, unknown>;
type Handler = (event: Event) => void;

/** The later value holds; handlers of the same event are both called, the earlier side's first. */
export function mergeProperties(first: Properties, second: Properties): Properties {
  const merged: Properties = { ...first, ...second };
  for (const name of Object.keys(second)) {
    const [before, after] = [first[name], second[name]];
    if (!name.startsWith("on") || typeof before !== "function" || typeof after !== "function") continue;
    merged[name] = (event: Event) => {
      (before as Handler)(event);
      (after as Handler)(event);
    };
  }
  return merged;
}
