// Instances as the list shows them.
import type { Schemas } from "$api/client";

export type Instance = Schemas["Mcp"];

/** Records of each instance, from a facet of their ids. */
export function countsOf(facets: Schemas["FacetsData"] | undefined): Map<string, number> {
  const values = facets?.facets[0]?.values ?? [];
  return new Map(values.map((entry) => [entry.value, entry.count]));
}

/** Those whose id, service or owner holds every typed word; active ones first, then the newest. */
export function matching(instances: Instance[], typed: string): Instance[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (instance: Instance) => `${instance.id} ${instance.service ?? ""} ${instance.user_id}`.toLowerCase();
  const rank = (instance: Instance) => (instance.status === "active" ? 0 : 1);
  return instances
    .filter((instance) => words.every((word) => text(instance).includes(word)))
    .sort((a, b) => rank(a) - rank(b) || b.number - a.number);
}
