import { describe, expect, it } from "vitest";
import { groupingPipe, pipesOf } from "./pipes";

describe("pipes", () => {
  it.each([
    ["level:error", []],
    ["* | stats count()", [" stats count()"]],
    ['"a | b" | top 3 "x | y" | limit 2', [' top 3 "x | y" ', " limit 2"]],
    ["* | stats count_if(a | b) by c | sort count", [" stats count_if(a | b) by c ", " sort count"]],
    ["| top a", [" top a"]],
  ])("of %s", (query, expected) => {
    expect(pipesOf(query)).toEqual(expected);
  });
});

describe("groups", () => {
  const check = (query: string, groups: string[] | null) => expect(groupingPipe(query)?.groups ?? null).toEqual(groups);

  it.each([
    ["level:error", null],
    ["* | fields source, message", null],
    ["* | limit 10 | fields source", null],
    ["* | stats count()", []],
    ["* | stats count() by source", ["source"]],
    ["* | STATS count() BY source, level | sort -count", ["source", "level"]],
    ["* | stats count()by source", ["source"]],
    ['* | stats count() by "my field", "a \\"b\\""', ["my field", 'a "b"']],
    ['* | stats count() by"x"', ["x"]],
    ['* | stats count() by "a (b"', ["a (b"]],
    ["* | stats count() as by by source", ["source"]],
    ["* | stats count() by by", ["by"]],
    ['* | stats count() as "by x" by y', ["y"]],
    ['* | stats count() as "as" by y', ["y"]],
    ["* | stats count_if((a OR b) by c) as x, avg(standby) by y", ["y"]],
    ['* | stats count_if("(" by) by y', ["y"]],
    ["* | stats count() by stand-by, http.by", ["stand-by", "http.by"]],
    ["* | timechart 1m count() by level", ["level"]],
    ["* | timechart 1m by level", ["level"]],
    ["* | top source", ["source"]],
    ["* | top 10 source", ["source"]],
    ['* | top 3 "a b" by level', ["level", "a b"]],
    ["* | statsx count() by a", null],
    ['"| stats count() by a"', null],
  ])("of %s", check);
});
