/** Strokes on a mask, each undone and done again as one. What a stroke changes is kept as tiles. */
import type { Bitmask, Box, Span } from "./bitmask";

type Tiles = Map<number, Uint8Array | undefined>;

/** Memory for what can be undone, bytes. */
const LIMIT = 128 << 20;

export class History {
  private readonly undone: Tiles[] = [];
  private readonly done: Tiles[] = [];
  private bytes = 0;
  private current: Tiles | undefined;

  constructor(readonly mask: Bitmask) {}

  get canUndo(): boolean {
    return this.done.length > 0;
  }

  get canRedo(): boolean {
    return this.undone.length > 0;
  }

  /** Begins a stroke. */
  begin(): void {
    this.end();
    this.current = new Map();
  }

  /** Paints within the stroke. */
  paint(spans: Iterable<Span>, on: boolean): Box | undefined {
    const before = (this.current ??= new Map());
    const { mask } = this;
    let box: Box | undefined;
    for (const span of spans) {
      mask.paint(span, on, (index) => {
        if (!before.has(index)) before.set(index, mask.tiles[index]?.slice());
      });
      const [x0, x1] = [Math.max(span.x0, 0), Math.min(span.x1, mask.width)];
      if (x0 < x1 && span.y >= 0 && span.y < mask.height) {
        box = box
          ? {
              left: Math.min(box.left, x0),
              top: Math.min(box.top, span.y),
              right: Math.max(box.right, x1),
              bottom: Math.max(box.bottom, span.y + 1),
            }
          : { left: x0, top: span.y, right: x1, bottom: span.y + 1 };
      }
    }
    return box;
  }

  /** Ends the stroke; the tiles that it changed, none if it changed nothing. */
  end(): number[] {
    const stroke = this.current;
    this.current = undefined;
    if (!stroke) return [];
    for (const [index, before] of stroke) if (same(before, this.mask.tiles[index])) stroke.delete(index);
    if (stroke.size === 0) return [];
    this.undone.length = 0;
    this.done.push(stroke);
    this.bytes += size(stroke);
    while (this.bytes > LIMIT && this.done.length > 1) this.bytes -= size(this.done.shift()!);
    return [...stroke.keys()];
  }

  /** Takes a stroke that has begun back. */
  cancel(): number[] {
    const stroke = this.current;
    this.current = undefined;
    return stroke ? [...this.swap(stroke).keys()] : [];
  }

  undo(): number[] {
    return this.move(this.done, this.undone);
  }

  redo(): number[] {
    return this.move(this.undone, this.done);
  }

  private move(from: Tiles[], to: Tiles[]): number[] {
    const stroke = from.pop();
    if (!stroke) return [];
    const swapped = this.swap(stroke);
    to.push(swapped);
    return [...swapped.keys()];
  }

  /** Puts tiles in; what was there comes out. */
  private swap(tiles: Tiles): Tiles {
    const out: Tiles = new Map();
    for (const [index, tile] of tiles) {
      out.set(index, this.mask.tiles[index]);
      this.mask.tiles[index] = tile;
    }
    return out;
  }
}

function size(stroke: Tiles): number {
  return stroke.size * 512;
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (!a || !b) return (a ?? b)?.every((byte) => byte === 0) ?? true;
  return a.every((byte, i) => byte === b[i]);
}
