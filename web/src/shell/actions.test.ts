import { expect, test } from "vitest";
import { ranked, type Action } from "./actions";

const actions = ["Logs", "Log out", "Light or dark", "Last 1 hour", "My instances"].map(
  (label): Action => ({ label, group: "", run: () => {} }),
);
const check = (typed: string, expected: string[]) =>
  expect(ranked(actions, typed).map((action) => action.label)).toEqual(expected);

test("beginnings first, then the shorter; all words must be there", () => {
  check("log", ["Logs", "Log out"]);
  check("hour", ["Last 1 hour"]);
  check("inst my", ["My instances"]);
  check("zzz", []);
  check("", actions.map((action) => action.label));
});

test("what is made of the text is offered, after what really matches", () => {
  const made: Action = { label: "Search the logs", group: "Logs", isMade: true, run: () => {} };
  expect(ranked([made, ...actions], "hour").map((action) => action.label)).toEqual(["Last 1 hour", "Search the logs"]);
  expect(ranked([made, ...actions], "")).not.toContain(made);
});
