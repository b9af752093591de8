// What the query editor offers: fields with how many records have them, values with their counts.
import { ask, client } from "$api/client";
import { queryClient } from "$api/queries";
import type { Completing } from "$lib/query/completion";
import { equals } from "$lib/query/terms";
import { shortCount } from "$lib/text/numbers";
import { LEVELS } from "$lib/ui/levels";
import { common, type Question } from "./question";

/** One offer. */
export interface Suggestion {
  label: string;
  /** What takes the place of what was typed. */
  apply: string;
  detail: string;
  kind: "field" | "value";
}

/** Values of a field that are looked through. */
const VALUES = 200;
/** Everything in the range counts, whatever the query says: it is being changed. */
const everything = (question: Question) => ({ ...common(question), query: "" });

export async function suggestions(
  question: Question | null,
  completing: Completing,
  signal: AbortSignal,
): Promise<Suggestion[]> {
  if (question === null || completing.kind === "nothing") return [];
  if (completing.kind === "field") {
    const found = await queryClient.fetchQuery({
      queryKey: ["fields", everything(question)],
      queryFn: () => ask(client.POST("/api/v1/fields", { body: everything(question), signal })),
    });
    return found.fields.map((field) => ({
      label: field.name,
      apply: `${field.name.replace(/[\s:()[\]{}"\\/<>=|]/g, "\\$&")}:`,
      detail: `${field.kinds.join(", ")} · ${shortCount(field.count)}`,
      kind: "field",
    }));
  }
  const { field } = completing;
  const found = await queryClient.fetchQuery({
    queryKey: ["facet-values", everything(question), field],
    queryFn: () =>
      ask(client.POST("/api/v1/facets", { body: { ...everything(question), fields: [field], limit: VALUES }, signal })),
  });
  const values = found.facets[0]?.values ?? [];
  const offered: Suggestion[] = values.map((entry) => {
    const term = equals(field, entry.value);
    const bare = field === "level" || typeof entry.value === "number";
    const quoted = term.slice(term.indexOf('"'));
    return { label: String(entry.value), apply: bare ? String(entry.value) : quoted, detail: shortCount(entry.count), kind: "value" };
  });
  if (field !== "level") return offered;
  const missing = LEVELS.filter((level) => !offered.some((offer) => offer.label === level));
  return [...offered, ...missing.map((level) => ({ label: level, apply: level, detail: "0", kind: "value" as const }))];
}
