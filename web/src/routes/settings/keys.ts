// API keys as they are shown.
import type { Schemas } from "$api/client";

export type Key = Schemas["Key"];
export type Scope = Schemas["ScopeEntry"];

/** What a key may be used for, in a few words. */
export function scopeText(scope: Scope): string {
  if (scope.scope === "full") return "Everything that its account may";
  if (scope.scope === "instance") return `Sends what instance ${scope.instance} logs`;
  return `${scope.scope === "read" ? "Reads" : "Sends to"} ${scope.streams.join(", ")}`;
}

export type KeyState = "revoked" | "expired" | "active";

export function stateOf(key: Pick<Key, "revoked_at" | "expires_at">, now: number): KeyState {
  if (key.revoked_at) return "revoked";
  return key.expires_at && Date.parse(key.expires_at) <= now ? "expired" : "active";
}

/** `2 min ago`, `3 d ago`; `never` for no time. */
export function agoText(time: string | null | undefined, now: number): string {
  if (!time) return "never";
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1_000));
  if (seconds < 60) return "just now";
  const [size, unit] = seconds < 3_600 ? [60, "min"] : seconds < 86_400 ? [3_600, "h"] : [86_400, "d"];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}
