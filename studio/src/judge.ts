/** What two thresholds mean for images whose answer is known: counts only; their confidence comes from the server. */
import type { Label, Score, Thresholds, Verdict } from "./api";

export type Outcome = { images: number; ok: number; review: number; ng: number };
export type Judged = { good: Outcome; bad: Outcome };

/** As the library does: up to `ok` it is OK, above `ng` NG; a score that is no number is NG. */
export function verdictOf(score: number, { ok, ng }: Thresholds): Verdict {
  if (score <= ok) return "OK";
  return score <= ng ? "REVIEW" : "NG";
}

/** Images that tell something: labelled, and known to the model in no way. */
export function tested(scores: readonly Score[]): Score[] {
  return scores.filter((score) => score.role === "test" && score.label !== "unlabelled");
}

export function judge(scores: readonly Score[], thresholds: Thresholds): Judged {
  const count = (label: "good" | "bad"): Outcome => {
    const outcome = { images: 0, ok: 0, review: 0, ng: 0 };
    for (const score of scores) {
      if (score.label !== label) continue;
      outcome.images += 1;
      outcome[verdictOf(score.score, thresholds).toLowerCase() as "ok" | "review" | "ng"] += 1;
    }
    return outcome;
  };
  return { good: count("good"), bad: count("bad") };
}

export type Bin = { from: number; to: number; good: number; bad: number };

/**
 * An axis for scores that differ by powers of ten: even around the good parts, logarithmic far from them.
 *
 *   forward(s) = asinh((s - median of the good) / (their 95 % quantile - median))
 */
export type Axis = { forward: (score: number) => number; back: (at: number) => number };

export function axisOf(scores: readonly Score[]): Axis {
  const good = sorted(scores.filter((s) => s.label === "good"));
  const all = good.length > 0 ? good : sorted(scores);
  const middle = quantile(all, 0.5) ?? 0;
  const unit = Math.max(0.1, (quantile(all, 0.95) ?? 1) - middle);
  return { forward: (score) => Math.asinh((score - middle) / unit), back: (at) => middle + unit * Math.sinh(at) };
}

function sorted(scores: readonly Score[]): number[] {
  return scores.map((s) => s.score).filter(Number.isFinite).sort((a, b) => a - b);
}

export function quantile(ascending: readonly number[], q: number): number | undefined {
  return ascending[Math.min(ascending.length - 1, Math.floor(q * ascending.length))];
}

/** Round scores to write beside an axis, from `low` to `high`, none nearer to the next than `apart` (in the axis's own units). */
export function ticks(axis: Axis, low: number, high: number, apart: number): number[] {
  const sizes = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
  const round = [...sizes.map((size) => -size).reverse(), 0, ...sizes];
  const inside = round.filter((value) => value >= axis.back(low) && value <= axis.back(high));
  // Zero and powers of ten first, then what fits between.
  const rank = (value: number) => (value === 0 ? 0 : Number.isInteger(Math.log10(Math.abs(value))) ? 1 : 2);
  const taken: number[] = [];
  for (const value of inside.sort((a, b) => rank(a) - rank(b))) {
    if (taken.every((other) => Math.abs(axis.forward(other) - axis.forward(value)) >= apart)) taken.push(value);
  }
  return taken.sort((a, b) => a - b);
}

/** A histogram of both kinds over their common range; bins are equally wide on the axis. */
export function histogram(scores: readonly Score[], bins: number, axis: Axis = { forward: (s) => s, back: (s) => s }): Bin[] {
  if (scores.length === 0) return [];
  const values = scores.map((s) => axis.forward(s.score)).filter(Number.isFinite);
  const low = Math.min(...values);
  const width = (Math.max(...values) - low || 1) / bins;
  const list = Array.from({ length: bins }, (_, i) => ({ from: low + i * width, to: low + (i + 1) * width, good: 0, bad: 0 }));
  for (const { score, label } of scores) {
    const bin = list[Math.min(bins - 1, Math.max(0, Math.floor((axis.forward(score) - low) / width)))];
    if (bin && label !== "unlabelled") bin[label] += 1;
  }
  return list;
}

/** The images nearest to a mistake: defects with the lowest scores, good parts with the highest. */
export function nearest(scores: readonly Score[], label: "good" | "bad", count: number): Score[] {
  const sign = label === "bad" ? 1 : -1;
  return scores.filter((s) => s.label === label).sort((a, b) => sign * (a.score - b.score)).slice(0, count);
}

/** Mistakes, the worst first: defects with the lowest scores, good parts with the highest. */
export function worst(scores: readonly Score[], thresholds: Thresholds): { escapes: Score[]; alarms: Score[] } {
  const wrong = (label: "good" | "bad") =>
    scores.filter((s) => s.label === label && (verdictOf(s.score, thresholds) === "OK") === (label === "bad"));
  return {
    escapes: wrong("bad").sort((a, b) => a.score - b.score),
    alarms: wrong("good").sort((a, b) => b.score - a.score),
  };
}

/** One image as two models judge it. */
export type Pair = { id: string; label: Label; a: Score; b: Score; outcome: "same" | "differs" | "onlyA" | "onlyB" };

const ORDER = ["onlyA", "onlyB", "differs", "same"];

/** Images that test both models, those first that only one of them judges as labelled. */
export function pairs(a: readonly Score[], b: readonly Score[]): Pair[] {
  const others = new Map(tested(b).map((score) => [score.id, score]));
  const isRight = (score: Score) => (score.verdict === "OK") === (score.label === "good");
  const list = tested(a).flatMap((score): Pair[] => {
    const other = others.get(score.id);
    if (!other) return [];
    const outcome = isRight(score) !== isRight(other) ? (isRight(score) ? "onlyA" : "onlyB") : score.verdict === other.verdict ? "same" : "differs";
    return [{ id: score.id, label: score.label, a: score, b: other, outcome }];
  });
  // A defect is graver than a good part, whichever model lets it pass.
  return list.sort((p, q) => ORDER.indexOf(p.outcome) - ORDER.indexOf(q.outcome) || p.label.localeCompare(q.label) || p.id.localeCompare(q.id));
}

/** A share in parts per million. */
export function ppm(share: number): number {
  return Math.round(share * 1e6);
}
