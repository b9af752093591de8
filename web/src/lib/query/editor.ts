// The query editor: CodeMirror with one line, colours, an underlined fault and completion.
//
// It is loaded after the page has painted; nothing here knows the server. Styles carry the page's
// nonce, which the content security policy demands.
import { autocompletion, completionKeymap, startCompletion, type CompletionContext } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { linter, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { EditorState, Prec, RangeSetBuilder } from "@codemirror/state";
import {
  Decoration,
  EditorView,
  keymap,
  placeholder,
  ViewPlugin,
  type DecorationSet,
  type ViewUpdate,
} from "@codemirror/view";
import { completing, type Completing } from "./completion";
import { tokens } from "./tokens";

export interface QueryEditorOptions {
  parent: HTMLElement;
  text: string;
  nonce: string;
  label: string;
  placeholder: string;
  onchange: (text: string) => void;
  onsubmit: (text: string) => void;
  suggest: (
    completing: Completing,
    signal: AbortSignal,
  ) => Promise<{ label: string; apply: string; detail: string; kind: "field" | "value" }[]>;
}

export interface QueryEditorHandle {
  setText(text: string): void;
  setFault(fault: { start: number; end: number; text: string; hint: string | null } | null): void;
  focus(): void;
  destroy(): void;
}

/** Bytes of a query that the server takes. */
const QUERY_LENGTH_MAX = 16_384;

const theme = EditorView.theme({
  "&": { fontSize: "var(--size-12)", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--font-log)", fontFeatureSettings: "\"calt\" 0", lineHeight: "26px", overflowX: "auto" },
  ".cm-content": { padding: "0", caretColor: "var(--text)", color: "var(--text)" },
  ".cm-line": { padding: "0" },
  // Cut where it does not fit: an empty line has nothing to scroll to.
  ".cm-placeholder": {
    color: "var(--muted)",
    display: "inline-block",
    maxWidth: "100%",
    overflow: "hidden",
    textOverflow: "ellipsis",
    whiteSpace: "nowrap",
    verticalAlign: "top",
  },
  ".cm-tooltip": {
    marginTop: "5px",
    border: "1px solid var(--overlay-border)",
    borderRadius: "var(--radius)",
    backgroundColor: "var(--overlay)",
    color: "var(--text)",
    boxShadow: "var(--shadow)",
    overflow: "hidden",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--font-ui)", fontSize: "var(--size-12)", maxHeight: "300px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": {
    display: "flex",
    gap: "16px",
    justifyContent: "space-between",
    padding: "4px 10px",
    lineHeight: "18px",
  },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--selected)", color: "var(--text)" },
  ".cm-completionDetail": { color: "var(--muted)", fontStyle: "normal", marginLeft: "0" },
  ".cm-completionMatchedText": { color: "var(--accent)", fontWeight: "600", textDecoration: "none" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--level-error)",
    textUnderlineOffset: "3px",
  },
  ".q-field": { color: "var(--level-info)" },
  ".q-operator": { color: "var(--muted)" },
  ".q-phrase": { color: "var(--ok)" },
  ".q-regex": { color: "var(--level-critical)" },
  ".q-number": { color: "var(--level-warn)" },
  ".q-not": { color: "var(--level-error)", fontWeight: "600" },
});

/** Colours of what is seen. */
const colours = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = decorate(view.state.doc.toString());
    }
    update(update: ViewUpdate) {
      if (update.docChanged) this.decorations = decorate(update.state.doc.toString());
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

function decorate(text: string): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  for (const token of tokens(text)) {
    if (token.kind !== "word") builder.add(token.from, token.to, Decoration.mark({ class: `q-${token.kind}` }));
  }
  return builder.finish();
}

function completionSource(suggest: QueryEditorOptions["suggest"]) {
  return async (context: CompletionContext) => {
    const at = completing(context.state.doc.toString(), context.pos);
    if (at.kind === "nothing") return null;
    if (at.kind === "field" && at.prefix === "" && !context.explicit) return null;
    const aborted = new AbortController();
    context.addEventListener("abort", () => aborted.abort());
    try {
      const offers = await suggest(at, aborted.signal);
      return {
        from: at.from,
        to: Math.max(at.to, context.pos),
        // The typed text may begin with a quote, which the labels do not have.
        filter: !(at.kind === "value" && at.quoted),
        options: offers
          .filter((offer) => at.kind !== "value" || !at.quoted || offer.label.toLowerCase().includes(at.prefix.toLowerCase()))
          .map((offer, order) => ({
            label: offer.label,
            detail: offer.detail,
            boost: -order / 1_000,
            apply: (view: EditorView, _: unknown, from: number, to: number) => insert(view, offer, from, to),
          })),
      };
    } catch {
      // Completion is a help; what the server says of the query itself is shown elsewhere.
      return null;
    }
  };
}

function insert(view: EditorView, offer: { apply: string; kind: "field" | "value" }, from: number, to: number) {
  const hasColon = offer.kind === "field" && view.state.sliceDoc(to, to + 1) === ":";
  // What was counted is the whole value: a quoted one behind a plain colon is asked for exactly.
  const isExact = offer.kind === "value" && offer.apply.startsWith('"') && view.state.sliceDoc(from - 1, from) === ":";
  const value = `${isExact ? "=" : ""}${offer.apply} `;
  const text = hasColon ? offer.apply.slice(0, -1) : offer.kind === "value" ? value : offer.apply;
  view.dispatch({ changes: { from, to, insert: text }, selection: { anchor: from + text.length + (hasColon ? 1 : 0) } });
  if (offer.kind === "field") startCompletion(view);
}

export function makeEditor(options: QueryEditorOptions): QueryEditorHandle {
  const submit = (view: EditorView) => {
    options.onsubmit(view.state.doc.toString());
    return true;
  };
  const view = new EditorView({
    parent: options.parent,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        EditorView.cspNonce.of(options.nonce),
        history(),
        keymap.of([...completionKeymap, { key: "Enter", run: submit }, ...historyKeymap, ...defaultKeymap]),
        Prec.highest(
          keymap.of([
            {
              key: "Escape",
              run: (editor) => {
                // Completion takes its own; without one the box gives up the focus.
                if (editor.dom.querySelector(".cm-tooltip-autocomplete")) return false;
                editor.contentDOM.blur();
                return true;
              },
            },
          ]),
        ),
        // What is typed over a selection the browser would give the look of what was there, by a
        // style attribute, which the content security policy refuses.
        EditorView.domEventHandlers({
          beforeinput(event, editor) {
            const { data, inputType } = event;
            if (inputType !== "insertText" || !data || editor.composing || editor.state.selection.main.empty) return false;
            editor.dispatch(editor.state.replaceSelection(data), { userEvent: "input.type" });
            return true;
          },
        }),
        // One line: what is pasted with line ends becomes one.
        EditorState.transactionFilter.of((transaction) =>
          transaction.newDoc.lines > 1 || transaction.newDoc.length > QUERY_LENGTH_MAX
            ? {
                changes: {
                  from: 0,
                  to: transaction.startState.doc.length,
                  insert: transaction.newDoc.toString().replace(/\s*\n\s*/g, " ").slice(0, QUERY_LENGTH_MAX),
                },
                selection: { anchor: Math.min(transaction.newSelection.main.head, QUERY_LENGTH_MAX) },
              }
            : transaction,
        ),
        EditorView.contentAttributes.of({ "aria-label": options.label, tabindex: "0", spellcheck: "false", autocapitalize: "off" }),
        placeholder(options.placeholder),
        autocompletion({ override: [completionSource(options.suggest)], icons: false, maxRenderedOptions: 50 }),
        linter(null),
        colours,
        theme,
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.onchange(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    setText(text) {
      const now = view.state.doc.toString();
      if (now !== text) view.dispatch({ changes: { from: 0, to: now.length, insert: text } });
    },
    setFault(fault) {
      const { length } = view.state.doc;
      const found: Diagnostic[] = [];
      if (fault) {
        const from = Math.min(fault.start, length);
        const message = fault.hint ? `${fault.text}: ${fault.hint}` : fault.text;
        found.push({ from, to: Math.min(Math.max(fault.end, from + 1), length), severity: "error", message });
      }
      view.dispatch(setDiagnostics(view.state, found));
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
