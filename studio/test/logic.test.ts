import { describe, expect, it } from "vitest";
import type { Item, Label, Role, Score, Verdict } from "../src/api";
import { color, scaleOf } from "../src/colors";
import { Bitmask } from "../src/editor/bitmask";
import { Saver, type Answer } from "../src/editor/saver";
import { resized } from "../src/editor/tools";
import { nameOfCheck } from "../src/i18n";
import { axisOf, histogram, judge, nearest, pairs, tested, ticks, verdictOf, worst } from "../src/judge";
import { match, type Shortcut } from "../src/keys";
import de from "../src/locales/de.json";
import en from "../src/locales/en.json";
import { arrange, filter } from "../src/store";
import { hasJumped, layout, reveal, step } from "../src/virtual";

const score = (id: string, label: Label, value: number, role: Role = "test"): Score => ({ id, label, type: null, score: value, verdict: "OK", role });

describe("judging", () => {
  const scores = [score("a", "good", 1), score("b", "good", 2), score("c", "good", 5), score("d", "bad", 1.5), score("e", "bad", 3), score("f", "bad", 9)];

  it("follows the library's rule at its borders", () => {
    const t = { ok: 3, ng: 4 };
    expect([3, 3.1, 4, 4.1, NaN, -Infinity].map((s) => verdictOf(s, t))).toEqual(["OK", "REVIEW", "REVIEW", "NG", "NG", "OK"]);
  });

  it("counts what would pass, be looked at and be stopped", () => {
    expect(judge(scores, { ok: 2, ng: 4 })).toEqual({
      good: { images: 3, ok: 2, review: 0, ng: 1 },
      bad: { images: 3, ok: 1, review: 1, ng: 1 },
    });
  });

  it("shows the worst first", () => {
    const { escapes, alarms } = worst([...scores, score("g", "bad", 0.5)], { ok: 1.5, ng: 4 });
    expect(escapes.map((s) => s.id)).toEqual(["g", "d"]);
    expect(alarms.map((s) => s.id)).toEqual(["c", "b"]);
  });

  it("tells nothing from what the model knows or nobody labelled", () => {
    const all = [...scores, score("t", "good", 1, "train"), score("k", "good", 1, "calibration"), score("u", "unlabelled", 1)];
    expect(tested(all)).toEqual(scores);
  });

  it("pairs what tests two models, the graver difference first", () => {
    const as = (verdict: Verdict, one: Score): Score => ({ ...one, verdict });
    const [good, bad, both, extra] = [score("good", "good", 1), score("bad", "bad", 1), score("both", "bad", 1), score("extra", "good", 1)];
    const a = [as("OK", good), as("NG", bad), as("NG", both), as("OK", extra), score("t", "good", 1)];
    const b = [as("NG", good), as("OK", bad), as("REVIEW", both), score("t", "good", 1, "train")];
    expect(pairs(a, b).map((pair) => [pair.id, pair.outcome])).toEqual([["bad", "onlyA"], ["good", "onlyA"], ["both", "differs"]]);
    expect(pairs(b, a).map((pair) => pair.outcome)).toEqual(["onlyB", "onlyB", "differs"]);
    expect(pairs(a, a).map((pair) => pair.outcome)).toEqual(["same", "same", "same", "same", "same"]);
  });

  it("has an axis on which good parts have room, whatever the defects score", () => {
    const wide = [...Array.from({ length: 20 }, (_, i) => score(`g${i}`, "good", i / 10)), score("d", "bad", 5), score("e", "bad", 1e5)];
    const axis = axisOf(wide);
    for (const s of [-3, 0, 1, 7, 1e4]) expect(axis.back(axis.forward(s))).toBeCloseTo(s, 6);
    const bins = histogram(wide, 40, axis);
    expect(bins.filter((bin) => bin.good > 0).length).toBeGreaterThan(4);
    const [low, high] = [bins[0]!.from, bins.at(-1)!.to];
    const marks = ticks(axis, low, high, (high - low) / 10);
    expect(marks).toContain(0);
    expect(marks.length).toBeGreaterThan(3);
    expect(marks.length).toBeLessThan(11);
    for (const mark of marks) expect(axis.forward(mark) >= low - 1e-9 && axis.forward(mark) <= high).toBe(true);
    expect(axisOf([]).forward(0)).toBe(0);
  });

  it("shows what is nearest to a mistake", () => {
    expect(nearest(scores, "bad", 2).map((s) => s.id)).toEqual(["d", "e"]);
    expect(nearest(scores, "good", 1).map((s) => s.id)).toEqual(["c"]);
  });

  it("puts every image into one bin", () => {
    const bins = histogram(scores, 10);
    expect(bins.reduce((sum, bin) => sum + bin.good + bin.bad, 0)).toBe(6);
    expect([bins[0]!.good, bins[9]!.bad]).toEqual([1, 1]);
    expect(histogram([], 10)).toEqual([]);
    expect(histogram([score("a", "good", 2)], 4)[0]!.good).toBe(1);
  });
});

describe("colours", () => {
  it("go from dark to bright and stay within", () => {
    expect(color(-1)).toEqual(color(0));
    expect(color(2)).toEqual(color(1));
    const bright = (share: number) => color(share).reduce((a, b) => a + b);
    for (let i = 0; i < 10; i++) expect(bright((i + 1) / 10)).toBeGreaterThan(bright(i / 10));
  });

  it("have a scale of the images, not of the thresholds", () => {
    expect(scaleOf([score("a", "good", 1), score("b", "good", 2), score("c", "bad", 9)])).toEqual([2, 9]);
    const [low, high] = scaleOf([]);
    expect(high).toBeGreaterThan(low);
    // One stain of a hundred thousand nats does not leave all others dark.
    expect(scaleOf([score("a", "good", 1), score("b", "good", 2), score("c", "bad", 1e5)])).toEqual([2, 22]);
  });
});

describe("the list of images", () => {
  const item = (id: string, label: Label, type: string | null = null): Item => ({ id, label, type, mask: type, version: "", bytes: 1, modified: 0 });
  const all = [item("good/part 10.png", "good"), item("good/part 2.png", "good"), item("bad/dent/x.png", "bad", "dent")];
  const by = { ...filter.value };
  const ids = (change: Partial<typeof by>, scores = new Map<string, { score: number; verdict: Verdict; role: Role }>(), checks = new Map<string, Set<string>>()) =>
    arrange(all, scores, { ...by, ...change }, checks).map((i) => i.id);

  it("counts as people do", () => {
    expect(ids({})).toEqual(["bad/dent/x.png", "good/part 2.png", "good/part 10.png"]);
  });

  it("filters by label, type, mask and name", () => {
    expect(ids({ label: "bad" })).toEqual(["bad/dent/x.png"]);
    expect(ids({ type: "dent" })).toEqual(["bad/dent/x.png"]);
    expect(ids({ mask: "without", text: "PART 1" })).toEqual(["good/part 10.png"]);
  });

  it("sorts by score, those without one last", () => {
    const scores = new Map([
      ["good/part 2.png", { score: 1, verdict: "OK" as const, role: "test" as const }],
      ["good/part 10.png", { score: 3, verdict: "NG" as const, role: "train" as const }],
    ]);
    expect(ids({ sort: "score-high" }, scores)).toEqual(["good/part 10.png", "good/part 2.png", "bad/dent/x.png"]);
    expect(ids({ sort: "score-low" }, scores)).toEqual(["good/part 2.png", "good/part 10.png", "bad/dent/x.png"]);
    expect(ids({ verdict: "NG" }, scores)).toEqual(["good/part 10.png"]);
    expect(ids({ role: "test" }, scores)).toEqual(["good/part 2.png"]);
    expect(ids({ role: "train" }, scores)).toEqual(["good/part 10.png"]);
  });

  it("filters by what the doctor found", () => {
    const checks = new Map([
      ["good/part 2.png", new Set(["duplicate"])],
      ["bad/dent/x.png", new Set(["mask-empty", "focus"])],
    ]);
    expect(ids({ finding: "*" }, undefined, checks)).toEqual(["bad/dent/x.png", "good/part 2.png"]);
    expect(ids({ finding: "focus" }, undefined, checks)).toEqual(["bad/dent/x.png"]);
    expect(ids({ finding: "leak" }, undefined, checks)).toEqual([]);
    expect([nameOfCheck("focus"), nameOfCheck("of-tomorrow")]).toEqual([en["finding.focus"], "of-tomorrow"]);
  });
});

describe("the virtual grid", () => {
  const cell = { width: 100, height: 120 };

  it("draws what is in view and little more", () => {
    const grid = layout(10_000, 1050, cell, 12_000, 600);
    expect(grid.columns).toBe(10);
    expect(grid.height).toBe(120_000);
    expect([grid.first, grid.last]).toEqual([980, 1070]);
    expect(layout(0, 1050, cell, 0, 600)).toMatchObject({ first: 0, last: 0, height: 0 });
    expect(layout(5, 30, cell, 0, 600).columns).toBe(1);
  });

  it("moves by keys and stays within", () => {
    expect(step("ArrowRight", 9, 10, 4, 2)).toBe(9);
    expect(step("ArrowDown", 1, 10, 4, 2)).toBe(5);
    expect(step("ArrowDown", 7, 10, 4, 2)).toBe(7);
    expect(step("ArrowUp", 1, 10, 4, 2)).toBe(1);
    expect(step("PageDown", 0, 10, 4, 2)).toBe(8);
    expect(step("Home", 7, 10, 4, 2)).toBe(0);
    expect(step("End", 7, 10, 4, 2)).toBe(9);
    expect(step("x", 7, 10, 4, 2)).toBeUndefined();
  });

  it("scrolls no more than needed", () => {
    expect(reveal(0, 120, 300, 600)).toBe(0);
    expect(reveal(4, 120, 300, 600)).toBe(300);
    expect(reveal(9, 120, 300, 600)).toBe(600);
  });

  it("knows a jump, after which nothing of before is in view", () => {
    expect(hasJumped(0, 160, 600)).toBe(false);
    expect(hasJumped(600, 0, 600)).toBe(false);
    expect(hasJumped(0, 601, 600)).toBe(true);
    expect(hasJumped(9000, 0, 600)).toBe(true);
  });
});

describe("keys", () => {
  const run = () => undefined;
  const outer: Shortcut[] = [{ key: "1", text: "do.good", run }, { key: "z", ctrl: true, shift: false, text: "keys.undo", run }];
  const inner: Shortcut[] = [{ key: "z", ctrl: true, shift: false, text: "keys.undo.stroke", run }, { key: "Enter", text: "do.next", run }];
  const scopes = [{ name: "keys.everywhere" as const, shortcuts: outer }, { name: "edit" as const, shortcuts: inner }];
  const press = (key: string, more: Partial<KeyboardEvent> = {}, single = true) =>
    match({ key, altKey: false, ctrlKey: false, metaKey: false, shiftKey: false, isComposing: false, target: null, ...more } as KeyboardEvent, scopes, single)?.text;

  it("mean what the innermost part says", () => {
    expect(press("z", { ctrlKey: true })).toBe("keys.undo.stroke");
    expect(press("1")).toBe("do.good");
    expect(press("z")).toBeUndefined();
    expect(press("Z", { ctrlKey: true, shiftKey: true })).toBeUndefined();
  });

  it("of one character can be switched off", () => {
    expect(press("1", {}, false)).toBeUndefined();
    expect(press("Enter", {}, false)).toBe("do.next");
    expect(press("z", { ctrlKey: true }, false)).toBe("keys.undo.stroke");
  });

  it("do not act while somebody writes", () => {
    const target = { tagName: "INPUT", type: "text" } as unknown as EventTarget;
    expect(press("1", { target })).toBeUndefined();
  });
});

describe("texts", () => {
  it("are there in every language, with the same places to fill", () => {
    const texts: Record<string, string>[] = [en, de];
    expect(Object.keys(de)).toEqual(Object.keys(en));
    // What a key is made of at run time is no key that the type check sees.
    for (const check of Object.keys(en).filter((key) => key.startsWith("finding."))) expect(texts[1]![check], check).toBeTruthy();
    const places = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();
    for (const key of Object.keys(en)) {
      expect(places(texts[1]![key]!), key).toEqual(places(texts[0]![key]!));
      expect(texts[1]![key]!.trim(), key).not.toBe("");
    }
  });
});

describe("the size of the brush", () => {
  it("goes through the small sizes one by one and back", () => {
    let size = 1;
    const way = [size];
    for (let i = 0; i < 5; i++) way.push((size = resized(size, true)));
    expect(way).toEqual([1, 2, 3, 4, 5, 6]);
    for (let i = 0; i < 50; i++) size = resized(size, true);
    expect(size).toBe(400);
    for (let i = 0; i < 60; i++) size = resized(size, false);
    expect(size).toBe(1);
  });
});

describe("saving", () => {
  const drawn = () => {
    const mask = new Bitmask(200, 64);
    mask.paint({ y: 3, x0: 0, x1: 200 }, true, () => undefined);
    return mask;
  };

  it("sends changed tiles, one request at a time, each over the last", async () => {
    const sent: [string, number][] = [];
    let answer: (value: Answer) => void = () => undefined;
    const saver = new Saver(drawn(), "none", (name, tiles) => {
      sent.push([name, (tiles.length - 16) / 516]);
      return new Promise((resolve) => (answer = resolve));
    }, () => undefined);
    saver.changed([0]);
    saver.changed([1, 2]);
    saver.changed([2]);
    expect(sent).toEqual([["none", 1]]);
    expect(saver.isSaved).toBe(false);
    answer({ ok: true, name: "a" });
    await new Promise((done) => setTimeout(done));
    expect(sent).toEqual([["none", 1], ["a", 2]]);
    answer({ ok: true, name: "b" });
    await saver.settled();
    expect([saver.state, saver.isSaved]).toEqual(["saved", true]);
  });

  it("tries again until the server is back", async () => {
    let down = 2;
    const states: string[] = [];
    const saver = new Saver(drawn(), "none", () => (down-- > 0 ? Promise.reject(new Error("gone")) : Promise.resolve({ ok: true, name: "a" })), (s) => states.push(s.state), () => Promise.resolve());
    saver.changed([0]);
    await saver.settled();
    expect(states.filter((state) => state === "offline").length).toBe(2);
    expect(saver.isSaved).toBe(true);
  });

  it("stops at somebody else's change until it is told which one counts", async () => {
    const names: string[] = [];
    const answers: Answer[] = [{ ok: false, conflict: "theirs" }, { ok: true, name: "mine" }];
    const saver = new Saver(drawn(), "old", (name) => (names.push(name), Promise.resolve(answers.shift()!)), () => undefined);
    saver.changed([0]);
    await saver.settled();
    expect(saver.state).toBe("conflict");
    saver.changed([1]);
    await saver.settled();
    expect(names).toEqual(["old"]);
    saver.keepMine();
    await saver.settled();
    expect([names, saver.state]).toEqual([["old", "theirs"], "saved"]);
  });
});
