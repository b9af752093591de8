import { describe, expect, it } from "vitest";
import { completing } from "./completion";
import { tokens } from "./tokens";
import { droppable, equals, filterEnd, including, mention, only, terms, without } from "./terms";

describe("terms", () => {
  it.each([
    ["", []],
    ["a  b", ["a", "b"]],
    ['"a b" c', ['"a b"', "c"]],
    ['source:="a \\" b" c', ['source:="a \\" b"', "c"]],
    ["message:/a b\\/c/ d", ["message:/a b\\/c/", "d"]],
    ['request_path:"/api/v1" x', ['request_path:"/api/v1"', "x"]],
    ["a/b c", ["a/b", "c"]],
    ["status:[500 TO 599} x", ["status:[500 TO 599}", "x"]],
    ["(a OR (b c)) -d", ["(a OR (b c))", "-d"]],
    ["a | stats count()", ["a"]],
    ['"a | b" c', ['"a | b"', "c"]],
    ['unclosed "a b', ["unclosed", '"a b']],
    ["ends with \\", ["ends", "with", "\\"]],
  ])("of %j", (query, wanted) => {
    expect(terms(query).map(({ text }) => text)).toEqual(wanted);
  });

  it("find where pipes begin", () => {
    expect(filterEnd('a "|" | top 10')).toBe(6);
    expect(filterEnd("a b")).toBe(3);
  });
});

describe("a value", () => {
  it.each([
    ["level", "error", "level:error"],
    ["status", 200, "status:200"],
    ["offset", -3, "offset:\\-3"],
    ["source", 'Figma "P"', 'source:="Figma \\"P\\""'],
    ["my field", "x", 'my\\ field:="x"'],
    ["404", "x", '\\404:="x"'],
    ["it's;*&,é", "x", String.raw`it\'s\;\*\&\,é:="x"`],
    ["-a", "x", '\\-a:="x"'],
  ])("of %s %j is written %s", (field, value, wanted) => {
    expect(equals(field, value)).toBe(wanted);
  });
});

describe("editing", () => {
  it.each([
    ["", "level:error"],
    ["*", "level:error"],
    ["figma", "figma level:error"],
    ["figma -level:error", "figma level:error"],
    ["figma level:error x", "figma level:error x"],
    ["a OR b", "(a OR b) level:error"],
    ["a | stats count()", "a level:error | stats count()"],
    ["NOT level:error", "level:error"],
    ["a AND NOT level:error", "a level:error"],
  ])("includes in %j", (query, wanted) => {
    expect(including(query, "level:error")).toBe(wanted);
  });

  it("excludes", () => {
    expect(mention("a NOT level:error", "level:error")).toBe("excluded");
    expect(including("a level:error", "level:error", true)).toBe("a -level:error");
  });

  it("takes out with the operator", () => {
    expect(without("a AND level:error", "level:error")).toBe("a");
    expect(without("level:error AND a", "level:error")).toBe("a");
    expect(without("a NOT b c", "b")).toBe("a c");
    expect(without("a AND NOT b", "b")).toBe("a");
    expect(without("a", "b")).toBe("a");
  });

  it("leaves only one value of a field", () => {
    expect(only('a source:="x" -source:="y" level:warn', "source", 'source:="z"')).toBe('a level:warn source:="z"');
    expect(only('my\\ field:="x" -_exists_:my\\ field b', "my field", 'my\\ field:="z"')).toBe('b my\\ field:="z"');
  });

  it("offers what could be dropped", () => {
    expect(droppable("a level:error")).toEqual([
      { term: "a", query: "level:error" },
      { term: "level:error", query: "a" },
    ]);
    expect(droppable("a OR b")).toEqual([]);
  });
});

describe("completion", () => {
  const at = (marked: string) => completing(marked.replace("|", ""), marked.indexOf("|"));
  it.each([
    ["|", { kind: "field", prefix: "", from: 0, to: 0 }],
    ["a lev|", { kind: "field", prefix: "lev", from: 2, to: 5 }],
    ["a -lev|el", { kind: "field", prefix: "lev", from: 3, to: 8 }],
    ["(lev|", { kind: "field", prefix: "lev", from: 1, to: 4 }],
    ["level:|", { kind: "value", field: "level", prefix: "", quoted: false, from: 6, to: 6 }],
    ["level>=w|", { kind: "value", field: "level", prefix: "w", quoted: false, from: 7, to: 8 }],
    ['source:="Fig|', { kind: "value", field: "source", prefix: "Fig", quoted: true, from: 8, to: 12 }],
    ['source:="Fig|ma"', { kind: "value", field: "source", prefix: "Fig", quoted: true, from: 8, to: 15 }],
    ["level:(warn OR er|", { kind: "value", field: "level", prefix: "er", quoted: false, from: 15, to: 17 }],
    ['"a phrase |', { kind: "nothing" }],
    ["message:/x |", { kind: "nothing" }],
    ["status:[5|", { kind: "nothing" }],
    ["my\\ field:x|", { kind: "value", field: "my field", prefix: "x", quoted: false, from: 10, to: 11 }],
  ])("at %s", (marked, wanted) => {
    expect(at(marked)).toEqual(wanted);
  });
});

describe("tokens", () => {
  it.each([
    ["level:error -x", "field:level operator:: word:error not:- word:x"],
    ['a:="b c" OR /d e/i', 'field:a operator::= phrase:"b c" operator:OR regex:/d e/i'],
    ["status:[500 TO 599}", "field:status operator:: operator:[ number:500 operator:TO number:599 operator:}"],
    ["duration_ms:>1000", "field:duration_ms operator::> number:1000"],
    ["NOT (a)", "not:NOT operator:( word:a operator:)"],
    ["well-known a/b 'x", "word:well-known word:a/b word:'x"],
    ['"open', 'phrase:"open'],
    ["\\", ""],
  ])("of %s", (query, wanted) => {
    const found = tokens(query).map(({ kind, from, to }) => `${kind}:${query.slice(from, to)}`);
    expect(found.join(" ")).toBe(wanted);
  });
});
