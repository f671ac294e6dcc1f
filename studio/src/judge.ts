/** What two thresholds mean for images whose answer is known: counts only; their confidence comes from the server. */
import type { Score, Thresholds, Verdict } from "./api";

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

/** A histogram of both kinds over their common range. */
export function histogram(scores: readonly Score[], bins: number): Bin[] {
  if (scores.length === 0) return [];
  const values = scores.map((s) => s.score).filter(Number.isFinite);
  const low = Math.min(...values);
  const width = (Math.max(...values) - low || 1) / bins;
  const list = Array.from({ length: bins }, (_, i) => ({ from: low + i * width, to: low + (i + 1) * width, good: 0, bad: 0 }));
  for (const { score, label } of scores) {
    const bin = list[Math.min(bins - 1, Math.max(0, Math.floor((score - low) / width)))];
    if (bin && label !== "unlabelled") bin[label] += 1;
  }
  return list;
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

/** A share in parts per million. */
export function ppm(share: number): number {
  return Math.round(share * 1e6);
}
