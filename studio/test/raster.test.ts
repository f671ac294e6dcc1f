import { describe, expect, it } from "vitest";
import { Bitmask } from "../src/editor/bitmask";
import { History } from "../src/editor/history";
import { capsule, fill, polygon, rectangle, snap, type Point } from "../src/editor/raster";

function draw(width: number, height: number, spans: Iterable<{ y: number; x0: number; x1: number }>): Bitmask {
  const mask = new Bitmask(width, height);
  for (const span of spans) mask.paint(span, true, () => undefined);
  return mask;
}

function rows(mask: Bitmask): string[] {
  return Array.from({ length: mask.height }, (_, y) =>
    Array.from({ length: mask.width }, (_, x) => (mask.get(x, y) ? "#" : ".")).join(""),
  );
}

/** Every pixel asked whether its centre is near enough, with no cleverness. */
function slowly(width: number, height: number, a: Point, b: Point, diameter: number): string[] {
  const near = (x: number, y: number) => {
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const l2 = dx * dx + dy * dy;
    const t = l2 === 0 ? 0 : Math.min(1, Math.max(0, ((x - a.x) * dx + (y - a.y) * dy) / l2));
    return (x - a.x - t * dx) ** 2 + (y - a.y - t * dy) ** 2 <= (diameter / 2) ** 2 + 1e-9;
  };
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => (near(x + 0.5, y + 0.5) ? "#" : ".")).join(""),
  );
}

describe("the brush", () => {
  it("of one pixel marks one pixel", () => {
    const at = snap({ x: 2.9, y: 1.2 }, 1);
    expect(rows(draw(5, 3, capsule(at, at, 1)))).toEqual([".....", "..#..", "....."]);
  });

  it("is as wide as it says", () => {
    for (const d of [1, 2, 3, 4, 7, 12]) {
      const at = snap({ x: 20.3, y: 20.3 }, d);
      const widest = Math.max(...rows(draw(40, 40, capsule(at, at, d))).map((row) => row.replaceAll(".", "").length));
      expect(widest).toBe(d);
    }
  });

  it("marks exactly the pixels near its path", () => {
    let seed = 1;
    const random = () => ((seed = (seed * 48271) % 2147483647) / 2147483647) * 60 - 5;
    for (let i = 0; i < 400; i++) {
      const d = 1 + (i % 9);
      const a = snap({ x: random(), y: random() }, d);
      const b = i % 7 === 0 ? { x: a.x, y: a.y + 9 } : i % 11 === 0 ? { x: a.x + 9, y: a.y } : snap({ x: random(), y: random() }, d);
      expect(rows(draw(50, 50, capsule(a, b, d)))).toEqual(slowly(50, 50, a, b, d));
    }
  });

  it("of one pixel leaves no gap on its way", () => {
    const mask = draw(90, 40, capsule({ x: 0.5, y: 0.5 }, { x: 88.5, y: 37.5 }, 1));
    for (let x = 0; x < 89; x++) expect(rows(mask).some((row) => row[x] === "#")).toBe(true);
  });
});

describe("shapes", () => {
  it("a rectangle holds both corners", () => {
    expect(rows(draw(5, 4, rectangle({ x: 3.4, y: 2.9 }, { x: 1.2, y: 1.1 })))).toEqual([".....", ".###.", ".###.", "....."]);
  });

  it("a polygon holds the pixels whose centre is inside", () => {
    const triangle = [
      { x: 0, y: 0 },
      { x: 4, y: 0 },
      { x: 0, y: 4 },
    ];
    expect(rows(draw(5, 4, polygon(triangle)))).toEqual(["###..", "##...", "#....", "....."]);
    expect([...polygon(triangle.slice(1))]).toEqual([]);
  });

  it("fill stops at what is drawn", () => {
    const mask = draw(6, 5, rectangle({ x: 1, y: 1 }, { x: 4, y: 3 }));
    for (const span of rectangle({ x: 2, y: 2 }, { x: 3, y: 2 })) mask.paint(span, false, () => undefined);
    const spans = fill(mask, { x: 2.5, y: 2.5 });
    expect(spans).toEqual([{ y: 2, x0: 2, x1: 4 }]);
    expect(fill(mask, { x: 0, y: 0 }).reduce((sum, s) => sum + s.x1 - s.x0, 0)).toBe(18);
    expect(fill(mask, { x: 9, y: 0 })).toEqual([]);
  });
});

describe("history", () => {
  it("undoes to the empty mask and does all again", () => {
    const mask = new Bitmask(200, 150);
    const history = new History(mask);
    const states: string[][] = [rows(mask)];
    for (let i = 0; i < 6; i++) {
      history.begin();
      history.paint(capsule({ x: 10 * i + 0.5, y: 5.5 }, { x: 150.5 - i, y: 20 * i + 5.5 }, 1 + 2 * i), i !== 3);
      expect(history.end().length).toBeGreaterThan(0);
      states.push(rows(mask));
    }
    for (let i = 5; i >= 0; i--) {
      expect(history.undo().length).toBeGreaterThan(0);
      expect(rows(mask)).toEqual(states[i]);
    }
    expect(mask.isEmpty()).toBe(true);
    expect(history.canUndo).toBe(false);
    for (let i = 1; i <= 6; i++) {
      history.redo();
      expect(rows(mask)).toEqual(states[i]);
    }
  });

  it("does not remember what changed nothing, and takes a cancelled stroke back", () => {
    const mask = new Bitmask(70, 70);
    const history = new History(mask);
    history.begin();
    history.paint(rectangle({ x: 0, y: 0 }, { x: 69, y: 69 }), false);
    expect(history.end()).toEqual([]);
    history.begin();
    history.paint(rectangle({ x: 0, y: 0 }, { x: 3, y: 3 }), true);
    history.cancel();
    expect(mask.isEmpty()).toBe(true);
    expect(history.canUndo).toBe(false);
  });
});

describe("tiles", () => {
  it("come back from the wire", () => {
    for (const [w, h] of [[1, 1], [64, 64], [65, 63], [300, 200]] as const) {
      const mask = draw(w, h, capsule({ x: 0.5, y: 0.5 }, { x: w - 0.5, y: h - 0.5 }, 5));
      const back = Bitmask.decode(mask.encode().buffer);
      expect(rows(back)).toEqual(rows(mask));
      expect(back.area()).toBe(rows(mask).join("").replaceAll(".", "").length);
    }
  });

  it("that were emptied are sent as zeros", () => {
    const mask = new Bitmask(64, 64);
    const sent = mask.encode([0]);
    expect(sent.length).toBe(16 + 516);
    expect(Bitmask.decode(sent.buffer).isEmpty()).toBe(true);
    expect(mask.encode().length).toBe(16);
  });

  it("that are cut off are refused", () => {
    const sent = new Bitmask(64, 64).encode([0]);
    expect(() => Bitmask.decode(sent.slice(0, -1).buffer)).toThrow();
    expect(() => Bitmask.decode(new ArrayBuffer(20))).toThrow();
  });
});
