// The rows of a list that are in the document.
//
// Invariants
// - They stand in the document in the order of their places, so that a screen reader and a selection
//   go through them as they are seen.
// - A row that goes is used again for one that comes: while a list scrolls nothing is made and
//   nothing is left to be collected, which is what frames waited for.
// - Texts become text nodes. What has colours, marks or hidden characters is drawn by LogText.
//
// This is no component: one for every cell of every row costs a frame a third of its time.
import { mount, unmount } from "svelte";
import { hasHidden } from "$lib/text/hidden";
import { rowTime } from "$lib/text/time";
import { isLevel, levelWord } from "$lib/ui/levels";
import LogText from "./LogText.svelte";

type RecordData = Record<string, unknown>;

/** What is drawn: places, from the first up to the last, and what is known of them. */
export interface Drawing {
  first: number;
  end: number;
  at(place: number): RecordData | undefined;
  needles: readonly string[];
  active: number | null;
  /** Id of the record that is open. */
  open: string | null;
}

/** What the rows of one list have in common. */
export interface RowShape {
  /** Begins the id of each row. */
  id: string;
  columns: readonly string[];
  /** The text of a cell. */
  text(record: RecordData, column: string): string;
}

interface Cell {
  element: HTMLElement;
  text: Text;
  /** What LogText has drawn in place of the text. */
  drawn: ReturnType<typeof mount> | null;
  shown: string;
}

interface Row {
  element: HTMLElement;
  cells: Cell[];
  place: number;
  record: RecordData | null;
  needles: readonly string[];
}

export class RowNodes {
  /** Rows in the document, without a gap. */
  #rows: Row[] = [];
  /** Rows that are out of the document, to be used again. */
  #spare: Row[] = [];
  #places = new WeakMap<Element, Row>();

  constructor(
    private readonly box: HTMLElement,
    private readonly shape: RowShape,
  ) {}

  /** The rows in the document, in order, with their places. */
  *shown(): Iterable<[place: number, element: HTMLElement]> {
    for (const { place, element } of this.#rows) yield [place, element];
  }

  /** Place of a row by its element. */
  placeOf(element: Element): number | undefined {
    return this.#places.get(element)?.place;
  }

  /** Records came in front, or went (negative): the same rows have other places. */
  shift(by: number): void {
    for (const row of this.#rows) row.place += by;
  }

  draw(drawing: Drawing): void {
    const { first, end } = drawing;
    const isKept = ({ place }: Row) => place >= first && place < end;
    const kept = this.#rows.filter(isKept);
    const gone = this.#rows.filter((row) => !isKept(row));
    // A jump: every row gets another record where it stands.
    if (kept.length === 0) kept.push(...gone.splice(0, end - first));
    if (!kept.some(isKept)) for (const [at, row] of kept.entries()) row.place = first + at;
    const begin = kept[0]?.place ?? first;
    const front = range(first, begin).map((place) => this.#take(gone, place));
    const back = range(begin + kept.length, end).map((place) => this.#take(gone, place));
    if (front.length > 0) this.box.prepend(...front.map(({ element }) => element));
    if (back.length > 0) this.box.append(...back.map(({ element }) => element));
    for (const row of gone) row.element.remove();
    this.#spare.push(...gone);
    this.#rows = [...front, ...kept, ...back];
    for (const row of this.#rows) this.#fill(row, drawing);
  }

  /** Takes all rows away. */
  clear(): void {
    for (const row of [...this.#rows, ...this.#spare]) {
      for (const cell of row.cells) this.#plain(cell);
      row.element.remove();
    }
    this.#rows = [];
    this.#spare = [];
  }

  #take(gone: Row[], place: number): Row {
    const row = gone.pop() ?? this.#spare.pop() ?? this.#make();
    row.place = place;
    return row;
  }

  #make(): Row {
    const element = document.createElement("div");
    element.setAttribute("role", "row");
    const cells = this.shape.columns.map((column, at) => {
      const cell = document.createElement("div");
      cell.setAttribute("role", "gridcell");
      cell.setAttribute("aria-colindex", String(at + 1));
      cell.className = KINDS[column] ?? "cell";
      const text = document.createTextNode("");
      cell.append(text);
      return { element: cell, text, drawn: null, shown: "" };
    });
    element.append(...cells.map((cell) => cell.element));
    const row = { element, cells, place: -1, record: null, needles: [] };
    this.#places.set(element, row);
    return row;
  }

  #fill(row: Row, { at, needles, active, open }: Drawing): void {
    const { element, place } = row;
    const record = at(place) ?? {};
    const id = `${this.shape.id}-${place}`;
    if (element.id !== id) {
      element.id = id;
      element.setAttribute("aria-rowindex", String(place + 2));
    }
    const level = String(record["level"] ?? "");
    const isOpen = open !== null && record["id"] === open;
    const name = `row${isLevel(level) ? ` ${level}` : ""}${place === active ? " active" : ""}${isOpen ? " open" : ""}`;
    if (element.className !== name) {
      element.className = name;
      element.setAttribute("aria-selected", String(place === active));
    }
    if (row.record === record && row.needles === needles) return;
    row.record = record;
    row.needles = needles;
    for (const [at, column] of this.shape.columns.entries()) this.#write(row.cells[at]!, record, column, needles);
  }

  #write(cell: Cell, record: RecordData, column: string, needles: readonly string[]): void {
    if (column === "timestamp") return this.#set(cell, rowTime(String(record["timestamp"]), "local"));
    if (column === "level") {
      const level = String(record["level"] ?? "");
      const kind = `cell word ${isLevel(level) ? level : "trace"}`;
      if (cell.element.className !== kind) cell.element.className = kind;
      return this.#set(cell, levelWord(level));
    }
    const text = this.shape.text(record, column);
    if (text === "" || (needles.length === 0 && !hasHidden(text))) return this.#set(cell, text);
    this.#plain(cell);
    this.#set(cell, "");
    cell.drawn = mount(LogText, { target: cell.element, props: { text, needles } });
  }

  #set(cell: Cell, text: string): void {
    this.#plain(cell);
    if (cell.shown !== text) cell.text.data = cell.shown = text;
  }

  #plain(cell: Cell): void {
    if (cell.drawn) void unmount(cell.drawn);
    cell.drawn = null;
  }
}

/** Classes of cells by their column. */
const KINDS: Record<string, string> = { timestamp: "cell time", level: "cell word", message: "cell message" };

const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
