/** The tools of the editor: from pointer events to strokes. */
import { capsule, fill, polygon, rectangle, snap, type Point } from "./raster";
import type { History } from "./history";
import type { Stage } from "./stage";

export type Tool = "brush" | "eraser" | "polygon" | "rectangle" | "fill" | "pan";
export const TOOLS: readonly Tool[] = ["brush", "eraser", "polygon", "rectangle", "fill", "pan"];
/** Largest brush, pixels. */
export const LARGEST = 400;

/** The next brush size: by one when small, by a fifth when large. */
export function resized(size: number, up: boolean): number {
  const by = Math.max(1, Math.round(size * 0.2));
  return Math.min(LARGEST, Math.max(1, up ? size + by : size - Math.max(1, Math.round(size / 6))));
}

export class Hand {
  tool: Tool = "brush";
  size = 12;
  /** Whether drawing is possible now. */
  enabled = true;
  private last: Point | undefined;
  private pointer: Point | undefined;
  private corners: Point[] = [];
  private panning: { x: number; y: number } | undefined;
  private spaced = false;
  private readonly fingers = new Map<number, PointerEvent>();

  constructor(
    private readonly stage: Stage,
    private readonly history: () => History | undefined,
    /** A stroke has ended; these tiles have changed. */
    private readonly onStroke: (tiles: number[]) => void,
    private readonly onMove: (at: Point) => void,
  ) {
    const { host } = stage;
    host.addEventListener("pointerdown", this.down);
    host.addEventListener("pointermove", this.move);
    host.addEventListener("pointerup", this.up);
    host.addEventListener("pointercancel", this.up);
    host.addEventListener("pointerleave", this.leave);
    host.addEventListener("wheel", this.wheel, { passive: false });
    addEventListener("keydown", this.key);
    addEventListener("keyup", this.key);
  }

  destroy(): void {
    removeEventListener("keydown", this.key);
    removeEventListener("keyup", this.key);
  }

  /** Ends a polygon. */
  finish(): void {
    if (this.corners.length >= 3) this.once(polygon(this.corners), true);
    this.corners = [];
    this.decorate();
  }

  /** Drops a polygon or a stroke that has begun. */
  cancel(): boolean {
    const busy = this.corners.length > 0 || this.last !== undefined;
    const tiles = this.last ? (this.history()?.cancel() ?? []) : [];
    this.stage.changedTiles(tiles);
    this.last = undefined;
    this.corners = [];
    this.decorate();
    return busy;
  }

  get isBusy(): boolean {
    return this.corners.length > 0;
  }

  private readonly key = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement | null;
    if (event.key !== " " || target?.closest("input, button, select, textarea, a")) return;
    this.spaced = event.type === "keydown";
    event.preventDefault();
    this.decorate();
  };

  private readonly down = (event: PointerEvent) => {
    this.stage.host.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") {
      this.fingers.set(event.pointerId, event);
      if (this.fingers.size === 2) {
        this.cancel();
        return;
      }
    }
    if (event.button === 1 || this.spaced || this.tool === "pan" || (event.button === 0 && !this.enabled)) {
      this.panning = { x: event.clientX, y: event.clientY };
      event.preventDefault();
      this.decorate();
      return;
    }
    if (event.button !== 0) return;
    const history = this.history();
    if (!history) return;
    const at = this.stage.at(event);
    switch (this.tool) {
      case "brush":
      case "eraser": {
        history.begin();
        this.last = snap(at, this.size);
        this.stage.changed(history.paint(capsule(this.last, this.last, this.size), this.tool === "brush"));
        break;
      }
      case "rectangle":
        history.begin();
        this.last = at;
        break;
      case "fill": {
        const on = !history.mask.get(Math.floor(at.x), Math.floor(at.y));
        this.once(fill(history.mask, at), on);
        break;
      }
      case "polygon": {
        const first = this.corners[0];
        const near = first && Math.hypot(first.x - at.x, first.y - at.y) * this.stage.scale < 10 * devicePixelRatio;
        if (near && this.corners.length >= 3) this.finish();
        else this.corners.push(at);
        break;
      }
    }
    this.decorate();
  };

  private readonly move = (event: PointerEvent) => {
    if (this.fingers.has(event.pointerId) && this.fingers.size === 2) {
      this.pinch(event);
      return;
    }
    this.pointer = this.stage.at(event);
    this.onMove(this.pointer);
    if (this.panning) {
      this.stage.pan(event.clientX - this.panning.x, event.clientY - this.panning.y);
      this.panning = { x: event.clientX, y: event.clientY };
    } else if (this.last && (this.tool === "brush" || this.tool === "eraser")) {
      const history = this.history();
      // The browser bundles moves; all of them count.
      const moves = event.getCoalescedEvents?.() ?? [];
      for (const each of moves.length > 0 ? moves : [event]) {
        const next = snap(this.stage.at(each), this.size);
        if (next.x === this.last.x && next.y === this.last.y) continue;
        this.stage.changed(history?.paint(capsule(this.last, next, this.size), this.tool === "brush"));
        this.last = next;
      }
    }
    this.decorate();
  };

  private readonly up = (event: PointerEvent) => {
    this.fingers.delete(event.pointerId);
    this.panning = undefined;
    if (this.last) {
      const history = this.history();
      if (history) {
        if (this.tool === "rectangle") {
          this.stage.changed(history.paint(rectangle(this.last, this.stage.at(event)), true));
        }
        this.last = undefined;
        const tiles = history.end();
        if (tiles.length > 0) this.onStroke(tiles);
      }
    }
    this.decorate();
  };

  private readonly leave = () => {
    this.pointer = undefined;
    this.decorate();
  };

  private readonly wheel = (event: WheelEvent) => {
    event.preventDefault();
    this.stage.wheel(event);
    this.pointer = this.stage.at(event);
    this.decorate();
  };

  private pinch(event: PointerEvent): void {
    const [a, b] = [...this.fingers.values()] as [PointerEvent, PointerEvent];
    const apart = (p: PointerEvent, q: PointerEvent) => Math.hypot(p.clientX - q.clientX, p.clientY - q.clientY);
    const before = { apart: apart(a, b), x: (a.clientX + b.clientX) / 2, y: (a.clientY + b.clientY) / 2 };
    this.fingers.set(event.pointerId, event);
    const [c, d] = [...this.fingers.values()] as [PointerEvent, PointerEvent];
    const center = { clientX: (c.clientX + d.clientX) / 2, clientY: (c.clientY + d.clientY) / 2 };
    this.stage.pan(center.clientX - before.x, center.clientY - before.y);
    this.stage.pinch(center, apart(c, d) / Math.max(1, before.apart));
  }

  private once(spans: Iterable<{ y: number; x0: number; x1: number }>, on: boolean): void {
    const history = this.history();
    if (!history) return;
    history.begin();
    this.stage.changed(history.paint(spans, on));
    const tiles = history.end();
    if (tiles.length > 0) this.onStroke(tiles);
  }

  /** The brush at its true size, corners so far, the rectangle being drawn. */
  decorate(): void {
    const { pointer, corners, tool, size, last } = this;
    const { host } = this.stage;
    const moving = this.spaced || this.panning || tool === "pan" || !this.enabled;
    host.style.cursor = moving ? (this.panning ? "grabbing" : "grab") : "crosshair";
    this.stage.decorate((context) => {
      const outline = () => {
        context.strokeStyle = "#000";
        context.stroke();
        context.strokeStyle = "#fff";
        context.setLineDash([4 * context.lineWidth, 4 * context.lineWidth]);
        context.stroke();
        context.setLineDash([]);
      };
      if (moving) return;
      if (pointer && (tool === "brush" || tool === "eraser")) {
        const at = snap(pointer, size);
        context.beginPath();
        if (size === 1) context.rect(at.x - 0.5, at.y - 0.5, 1, 1);
        else context.arc(at.x, at.y, size / 2, 0, 2 * Math.PI);
        outline();
      }
      if (tool === "rectangle" && last && pointer) {
        const [x0, x1] = [Math.floor(Math.min(last.x, pointer.x)), Math.floor(Math.max(last.x, pointer.x)) + 1];
        const [y0, y1] = [Math.floor(Math.min(last.y, pointer.y)), Math.floor(Math.max(last.y, pointer.y)) + 1];
        context.beginPath();
        context.rect(x0, y0, x1 - x0, y1 - y0);
        outline();
      }
      if (corners.length > 0) {
        context.beginPath();
        [...corners, ...(pointer ? [pointer] : [])].forEach((p, i) => (i === 0 ? context.moveTo(p.x, p.y) : context.lineTo(p.x, p.y)));
        outline();
        const first = corners[0]!;
        context.beginPath();
        context.arc(first.x, first.y, 5 * context.lineWidth, 0, 2 * Math.PI);
        outline();
      }
    });
  }
}
