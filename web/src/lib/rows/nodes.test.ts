// @vitest-environment happy-dom
import { beforeEach, expect, test } from "vitest";
import { RowNodes, type Drawing } from "./nodes";

const COLUMNS = ["timestamp", "level", "source", "message"];
let box: HTMLElement;
let nodes: RowNodes;
beforeEach(() => {
  box = document.createElement("div");
  document.body.replaceChildren(box);
  nodes = new RowNodes(box, { id: "g", columns: COLUMNS, text: (record, column) => String(record[column] ?? "") });
});

const LEVELS = ["info", "warn", "error", "odd"];
const record = (number: number) => ({
  id: `r${number}`,
  timestamp: `2026-01-04T12:04:${String(number % 60).padStart(2, "0")}.221Z`,
  level: LEVELS[number % 4]!,
  source: number % 3 === 0 ? null : "figma",
  message: `m${number}`,
});
const drawing = (first: number, end: number, more: Partial<Drawing> = {}): Drawing => {
  const records = new Map<number, ReturnType<typeof record>>();
  for (let place = first; place < end; place += 1) records.set(place, record(place));
  return { first, end, at: (place) => records.get(place), needles: [], active: null, open: null, ...more };
};

/** What stands in the document. */
const seen = () =>
  [...box.children].map((row) => ({
    id: row.id,
    index: row.getAttribute("aria-rowindex"),
    name: row.className,
    isSelected: row.getAttribute("aria-selected"),
    texts: [...row.children].map((cell) => cell.textContent),
  }));
const expected = (first: number, end: number, active: number | null = null, open: string | null = null) =>
  Array.from({ length: end - first }, (_, at) => first + at).map((place) => {
    const { id, level, source, message } = record(place);
    const known = level === "odd" ? "" : ` ${level}`;
    return {
      id: `g-${place}`,
      index: String(place + 2),
      name: `row${known}${place === active ? " active" : ""}${id === open ? " open" : ""}`,
      isSelected: String(place === active),
      texts: [expect.stringMatching(new RegExp(`^\\d\\d:04:${String(place % 60).padStart(2, "0")}\\.221$`)), level.toUpperCase(), source ?? "", message],
    };
  });

test("whatever was drawn before, the rows are those of the drawing, in order", () => {
  let seed = 11;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  const made = new Set<Element>();
  let first = 0;
  for (let round = 0; round < 400; round += 1) {
    // Near moves mostly, a jump now and then, lists that shrink to nothing.
    first = random(10) === 0 ? random(5_000) : Math.max(0, first + random(21) - 10);
    const end = first + (random(20) === 0 ? 0 : 20 + random(12));
    const active = random(2) === 0 ? first + random(5) : null;
    const open = random(3) === 0 ? `r${first + 1}` : null;
    nodes.draw(drawing(first, end, { active, open }));
    expect(seen()).toEqual(expected(first, end, active, open));
    for (const row of box.children) {
      made.add(row);
      expect(nodes.placeOf(row)).toBe(Number(row.getAttribute("aria-rowindex")) - 2);
    }
  }
  // As many as stood in the document at once.
  expect(made.size).toBeLessThanOrEqual(31);
});

test("rows that stay are not moved, and keep what is selected in them", () => {
  nodes.draw(drawing(0, 10));
  const [, , third] = box.children;
  nodes.draw(drawing(2, 12));
  expect(box.children[0]).toBe(third);
});

test("records that come in front move the rows with them", () => {
  nodes.draw(drawing(0, 5));
  const before = [...box.children];
  nodes.shift(3);
  nodes.draw({ ...drawing(3, 8), at: (place) => record(place - 3) });
  expect([...box.children]).toEqual(before);
  expect(seen().map(({ index, texts }) => [index, texts[3]])).toEqual([0, 1, 2, 3, 4].map((at) => [String(at + 5), `m${at}`]));
});

test("marks and hidden characters are drawn, and go with their record", () => {
  const one = (message: string, needles: string[] = []) =>
    nodes.draw({ ...drawing(0, 1), at: () => ({ ...record(0), message }), needles });
  const cell = () => box.querySelector(".message")!;
  one("find me", ["me"]);
  expect([cell().textContent, cell().querySelector("mark")?.textContent]).toEqual(["find me", "me"]);
  one("a\u0007b");
  expect([cell().textContent, cell().querySelectorAll(".control").length]).toEqual(["a\u2407b", 1]);
  one("<b>plain</b>");
  expect([cell().textContent, cell().children.length]).toEqual(["<b>plain</b>", 0]);
  one("");
  expect(cell().textContent).toBe("");
  nodes.clear();
  expect(box.children).toHaveLength(0);
});
