/**
 * Shapes as spans of pixels. Pixel (x, y) has its centre at (x + 0.5, y + 0.5).
 *
 *   brush of diameter d   pixels whose centre is at most max(d, 1) / 2 from the path of the pointer; the path goes through
 *                         pixel centres if d is odd, through corners if it is even, so that a brush is as wide as it says
 *   polygon               pixels whose centre is inside, by the even-odd rule
 *   rectangle             both corners belong to it
 */
import type { Bitmask, Box, Span } from "./bitmask";

export type Point = { x: number; y: number };

/** Where the brush of this diameter is, if the pointer is at `p`. */
export function snap(p: Point, diameter: number): Point {
  return diameter % 2 === 1
    ? { x: Math.floor(p.x) + 0.5, y: Math.floor(p.y) + 0.5 }
    : { x: Math.round(p.x), y: Math.round(p.y) };
}

/** The brush moved from `a` to `b`, both snapped. */
export function* capsule(a: Point, b: Point, diameter: number): Generator<Span> {
  const radius = Math.max(diameter, 1) / 2;
  const reach = radius * radius + 1e-9;
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length2 = dx * dx + dy * dy;
  const inside = (x: number, y: number) => {
    const along = length2 === 0 ? 0 : Math.min(1, Math.max(0, ((x - a.x) * dx + (y - a.y) * dy) / length2));
    const [ex, ey] = [x - a.x - along * dx, y - a.y - along * dy];
    return ex * ex + ey * ey <= reach;
  };
  const top = Math.floor(Math.min(a.y, b.y) - radius);
  const bottom = Math.ceil(Math.max(a.y, b.y) + radius);
  for (let y = top; y < bottom; y++) {
    const centre = y + 0.5;
    // The row's nearest point of the axis; the row's pixels of a convex shape are one span around it.
    const t = dy === 0 ? 0 : Math.min(1, Math.max(0, (centre - a.y) / dy));
    let [low, high] = [Infinity, -Infinity];
    for (const p of [a, b]) {
      const half2 = reach - (centre - p.y) ** 2;
      if (half2 >= 0) {
        low = Math.min(low, p.x - Math.sqrt(half2));
        high = Math.max(high, p.x + Math.sqrt(half2));
      }
    }
    if (dy !== 0 && length2 > 0) {
      // Half the row's way across the band beside the axis.
      const across = (radius * Math.sqrt(length2)) / Math.abs(dy);
      const axis = a.x + ((centre - a.y) * dx) / dy;
      for (const x of [axis - across, axis + across]) {
        const along = ((x - a.x) * dx + (centre - a.y) * dy) / length2;
        if (along >= 0 && along <= 1) {
          low = Math.min(low, x);
          high = Math.max(high, x);
        }
      }
      const on = a.x + t * dx;
      if (Math.abs(centre - (a.y + t * dy)) < 1e-9) {
        low = Math.min(low, on);
        high = Math.max(high, on);
      }
    } else if (Math.abs(centre - a.y) <= radius) {
      low = Math.min(low, a.x, b.x);
      high = Math.max(high, a.x, b.x);
    }
    if (low > high) continue;
    let x0 = Math.floor(low) - 1;
    let x1 = Math.ceil(high) + 1;
    while (x0 < x1 && !inside(x0 + 0.5, centre)) x0++;
    while (x1 > x0 && !inside(x1 - 0.5, centre)) x1--;
    if (x0 < x1) yield { y, x0, x1 };
  }
}

/** The inside of a closed polygon. */
export function* polygon(points: readonly Point[]): Generator<Span> {
  if (points.length < 3) return;
  const ys = points.map((p) => p.y);
  const [top, bottom] = [Math.floor(Math.min(...ys)), Math.ceil(Math.max(...ys))];
  for (let y = top; y < bottom; y++) {
    const centre = y + 0.5;
    const crossings: number[] = [];
    points.forEach((a, i) => {
      const b = points[(i + 1) % points.length]!;
      if (a.y <= centre !== b.y <= centre) crossings.push(a.x + ((centre - a.y) * (b.x - a.x)) / (b.y - a.y));
    });
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const x0 = Math.ceil(crossings[i]! - 0.5);
      const x1 = Math.ceil(crossings[i + 1]! - 0.5);
      if (x0 < x1) yield { y, x0, x1 };
    }
  }
}

/** All pixels between two corners. */
export function* rectangle(a: Point, b: Point): Generator<Span> {
  const [x0, x1] = [Math.floor(Math.min(a.x, b.x)), Math.floor(Math.max(a.x, b.x)) + 1];
  const [y0, y1] = [Math.floor(Math.min(a.y, b.y)), Math.floor(Math.max(a.y, b.y)) + 1];
  for (let y = y0; y < y1; y++) yield { y, x0, x1 };
}

/** The connected area (four neighbours) of pixels that are as the one at `seed`, within the picture. */
export function fill(mask: Bitmask, seed: Point): Span[] {
  const [sx, sy] = [Math.floor(seed.x), Math.floor(seed.y)];
  if (sx < 0 || sy < 0 || sx >= mask.width || sy >= mask.height) return [];
  const on = mask.get(sx, sy);
  const done = new Uint8Array(Math.ceil((mask.width * mask.height) / 8));
  const seen = (x: number, y: number) => {
    const at = y * mask.width + x;
    return ((done[at >> 3]! >> (at & 7)) & 1) === 1;
  };
  const open = (x: number, y: number) => mask.get(x, y) === on && !seen(x, y);
  const spans: Span[] = [];
  const stack: [number, number][] = [[sx, sy]];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const [x, y] = next;
    if (!open(x, y)) continue;
    let [x0, x1] = [x, x + 1];
    while (x0 > 0 && open(x0 - 1, y)) x0--;
    while (x1 < mask.width && open(x1, y)) x1++;
    for (let at = y * mask.width + x0; at < y * mask.width + x1; at++) done[at >> 3]! |= 1 << (at & 7);
    spans.push({ y, x0, x1 });
    for (const ny of [y - 1, y + 1]) {
      if (ny < 0 || ny >= mask.height) continue;
      for (let nx = x0; nx < x1; nx++) if (open(nx, ny) && (nx === x0 || !open(nx - 1, ny))) stack.push([nx, ny]);
    }
  }
  return spans;
}

/** What encloses some spans. */
export function enclose(box: Box | undefined, span: Span): Box {
  if (!box) return { left: span.x0, top: span.y, right: span.x1, bottom: span.y + 1 };
  return {
    left: Math.min(box.left, span.x0),
    top: Math.min(box.top, span.y),
    right: Math.max(box.right, span.x1),
    bottom: Math.max(box.bottom, span.y + 1),
  };
}
