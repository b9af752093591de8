import { expect, it } from "vitest";
import { oneLine, pieces } from "./pieces";
import { plain } from "./spans";

const ESC = "\u001b";

it.each([
  ["plain text", ["text"], ["plain |text*"]],
  [`${ESC}[31mred tex${ESC}[0mt and text`, ["text"], ["red |tex*|t*| and |text*"]],
  ["abab", ["ab"], ["abab*"]],
  ["a\u202eb", ["a"], ["a*|<RLO>|b"]],
  ["", ["x"], [""]],
])("%j with %j", (text, needles, [wanted]) => {
  const found = pieces(text, needles);
  expect(found.map((piece) => piece.text + (piece.isMarked ? "*" : "")).join("|")).toBe(wanted);
  expect(found.map((piece) => piece.text).join("")).toBe(plain(text));
});

it("puts a text on one line", () => {
  expect(oneLine("a\r\nb\tc", 99)).toBe("a ⏎ b  c");
  expect(oneLine("abcdef", 3)).toBe("abc…");
});
