// A part of the time of the generated records, and its address.

/** Milliseconds of a view that is quick to count on any machine. */
const STEP_MS = 1_000;

/** From one share of the time to another: both ends as the address has them, and which records lie in it. */
export function span(data, from, to) {
  const at = (share) => data.start + Math.round(((data.end - data.start) * share) / STEP_MS) * STEP_MS;
  const [start, end] = [at(from), at(to)];
  return { start, end, ...recordsOf(data, start, end) };
}

/** The records of a time; both ends belong to it, as they do for the server. */
export function recordsOf(data, start, end) {
  return { first: data.at(start), behind: data.at(end + 1) };
}

/** The range of an address, in ms. */
export const rangeOf = ({ from, to }) => ({ start: Date.parse(from), end: Date.parse(to) });

/** An address of the Logs screen. */
export function logsOf({ start, end }, more = {}) {
  const search = new URLSearchParams({ from: new Date(start).toISOString(), to: new Date(end).toISOString(), ...more });
  return `/logs?${search}`;
}

/** A range over the last minutes, for what a journey sends itself. */
export const recent = (more = {}) => `/logs?${new URLSearchParams({ from: "now-1m", ...more })}`;
