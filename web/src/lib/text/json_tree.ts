// A JSON value as the lines of a tree.
//
// Invariants
// - At most LINES_MAX lines come out; a last line says how many children were left out.
// - Nothing is recursive: a value nested as deep as the server takes is no danger to the stack.

/** Lines of one tree: past it nobody reads, and the document suffers. */
export const LINES_MAX = 5000;

/** One line. */
export interface TreeLine {
  /** Where it is, as a JSON Pointer (RFC 6901): the key of what is open. */
  pointer: string;
  depth: number;
  /** Name or index in its parent; `null` for the root. */
  name: string | null;
  kind: "object" | "array" | "string" | "number" | "boolean" | "null" | "more";
  /** Text of a scalar; number of children of an object or array; how many were left out. */
  value: string;
  open: boolean;
}

/** `{"a":1}` with the pointers of what is open. */
export function treeLines(root: unknown, isOpen: (pointer: string, depth: number) => boolean): TreeLine[] {
  const lines: TreeLine[] = [];
  const stack: { value: unknown; name: string | null; pointer: string; depth: number }[] = [
    { value: root, name: null, pointer: "", depth: 0 },
  ];
  while (stack.length > 0) {
    const { value, name, pointer, depth } = stack.pop()!;
    if (lines.length >= LINES_MAX) {
      lines.push({ pointer, depth, name: null, kind: "more", value: String(stack.length + 1), open: false });
      break;
    }
    const children = childrenOf(value);
    if (children === null) {
      lines.push({ pointer, depth, name, kind: scalarKind(value), value: scalarText(value), open: false });
      continue;
    }
    const open = children.length > 0 && isOpen(pointer, depth);
    const kind = Array.isArray(value) ? "array" : "object";
    lines.push({ pointer, depth, name, kind, value: String(children.length), open });
    if (!open) continue;
    for (let at = children.length - 1; at >= 0; at -= 1) {
      const [key, child] = children[at]!;
      const step = key.replaceAll("~", "~0").replaceAll("/", "~1");
      stack.push({ value: child, name: key, pointer: `${pointer}/${step}`, depth: depth + 1 });
    }
  }
  return lines;
}

function childrenOf(value: unknown): [string, unknown][] | null {
  if (Array.isArray(value)) return value.map((child, index) => [String(index), child]);
  if (value !== null && typeof value === "object") return Object.entries(value);
  return null;
}

function scalarKind(value: unknown): TreeLine["kind"] {
  if (value === null || value === undefined) return "null";
  if (typeof value === "number" || typeof value === "bigint") return "number";
  return typeof value === "boolean" ? "boolean" : "string";
}

function scalarText(value: unknown): string {
  return value === null || value === undefined ? "null" : String(value);
}

/** Flattened names (`context.agent_id`) as the nested value that they stand for. */
export function nested(record: Record<string, unknown>): Record<string, unknown> {
  const root: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of Object.entries(record)) {
    const steps = name.split(".");
    let at = root;
    let taken = 0;
    for (; taken < steps.length - 1; taken += 1) {
      const step = steps[taken]!;
      const child = (at[step] ??= Object.create(null)) as unknown;
      // A scalar is in the way (`error` beside `error.type`): the rest of the name stays as it is.
      if (child === null || typeof child !== "object" || Array.isArray(child)) break;
      at = child as Record<string, unknown>;
    }
    const rest = steps.slice(taken).join(".");
    const there = at[rest];
    // `error.type` came first: `error` itself goes under the empty name.
    if (there !== null && typeof there === "object") (there as Record<string, unknown>)[""] = value;
    else at[rest] = value;
  }
  return root;
}
