/** A picture with a mask over it: zoom, pan, and drawing of what has changed only. Knows nothing of tools or servers. */
import { TILE, type Bitmask, type Box } from "./bitmask";
import type { Point } from "./raster";

/** Side of a piece of the overlay, pixels of the image. */
const CHUNK = 256;
/** Longest side of an image whose overlay is kept at full size whatever the zoom. */
const SMALL = 2048;
const ZOOM_STEP = 0.0016;

export type Picture = ImageBitmap | HTMLImageElement;

export class Stage {
  /** Device pixels of the screen for one of the image. */
  scale = 1;
  x = 0;
  y = 0;
  showMask = true;
  mapOpacity = 0.6;
  onView: () => void = () => undefined;

  private readonly base: CanvasRenderingContext2D;
  private readonly over: CanvasRenderingContext2D;
  private readonly top: CanvasRenderingContext2D;
  private picture: Picture | undefined;
  private map: HTMLCanvasElement | undefined;
  private mask: Bitmask | undefined;
  private chunks = new Map<number, HTMLCanvasElement>();
  private stale = new Set<number>();
  private coarse: HTMLCanvasElement | undefined;
  private dirty: Box | undefined;
  private baseDirty = true;
  private frame = 0;
  private fitted = true;
  private readonly observer: ResizeObserver;
  private color = [255, 40, 160, 120] as const;

  constructor(readonly host: HTMLElement) {
    const layers = [0, 1, 2].map(() => {
      const canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      host.append(canvas);
      return canvas.getContext("2d")!;
    });
    [this.base, this.over, this.top] = layers as [
      CanvasRenderingContext2D,
      CanvasRenderingContext2D,
      CanvasRenderingContext2D,
    ];
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(host);
    this.resize();
  }

  destroy(): void {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    this.host.replaceChildren();
  }

  setPicture(picture: Picture, width: number, height: number): void {
    const sameSize = this.mask?.width === width && this.mask.height === height;
    this.picture = picture;
    if (!sameSize) this.fitted = true;
    this.all();
  }

  setMask(mask: Bitmask): void {
    const fits = this.mask && this.mask.width === mask.width && this.mask.height === mask.height;
    this.mask = mask;
    this.chunks.clear();
    this.stale.clear();
    this.coarse = undefined;
    if (!fits || this.fitted) this.fit();
    this.all();
  }

  /** A heat map over the picture, under the mask. */
  setMap(map: HTMLCanvasElement | undefined): void {
    this.map = map;
    this.all();
  }

  setColor(color: readonly [number, number, number, number]): void {
    this.color = color as never;
    this.chunks.clear();
    this.coarse = undefined;
    this.all();
  }

  get size(): { width: number; height: number } {
    return { width: this.mask?.width ?? 1, height: this.mask?.height ?? 1 };
  }

  /** The point of the image under a pointer. */
  at(event: { clientX: number; clientY: number }): Point {
    const box = this.host.getBoundingClientRect();
    const dpr = devicePixelRatio;
    return {
      x: ((event.clientX - box.left) * dpr - this.x) / this.scale,
      y: ((event.clientY - box.top) * dpr - this.y) / this.scale,
    };
  }

  /** All of the image in view. */
  fit(): void {
    const { canvas } = this.base;
    const { width, height } = this.size;
    this.scale = Math.min(canvas.width / width, canvas.height / height) * 0.98 || 1;
    this.x = (canvas.width - width * this.scale) / 2;
    this.y = (canvas.height - height * this.scale) / 2;
    this.fitted = true;
    this.all();
  }

  /** One pixel of the image is one of the screen. */
  actualSize(): void {
    const { canvas } = this.base;
    this.zoomTo(1, canvas.width / 2, canvas.height / 2);
  }

  zoomBy(factor: number): void {
    const { canvas } = this.base;
    this.zoomTo(this.scale * factor, canvas.width / 2, canvas.height / 2);
  }

  wheel(event: WheelEvent): void {
    const box = this.host.getBoundingClientRect();
    const lines = event.deltaMode === 1 ? 18 : 1;
    const factor = Math.exp(-event.deltaY * lines * ZOOM_STEP * (event.ctrlKey ? 4 : 1));
    const dpr = devicePixelRatio;
    this.zoomTo(this.scale * factor, (event.clientX - box.left) * dpr, (event.clientY - box.top) * dpr);
  }

  private zoomTo(scale: number, cx: number, cy: number): void {
    const next = Math.min(64, Math.max(0.01, scale));
    this.x = cx - ((cx - this.x) * next) / this.scale;
    this.y = cy - ((cy - this.y) * next) / this.scale;
    this.scale = next;
    this.fitted = false;
    this.all();
  }

  /** Moves the image, in pixels of the page. */
  pan(dx: number, dy: number): void {
    this.x += dx * devicePixelRatio;
    this.y += dy * devicePixelRatio;
    this.fitted = false;
    this.all();
  }

  /** Zooms about a point of the page by a factor: two fingers. */
  pinch(center: { clientX: number; clientY: number }, factor: number): void {
    const box = this.host.getBoundingClientRect();
    const dpr = devicePixelRatio;
    this.zoomTo(this.scale * factor, (center.clientX - box.left) * dpr, (center.clientY - box.top) * dpr);
  }

  /** Says which pixels of the mask have changed. */
  changed(box: Box | undefined): void {
    if (!box || !this.mask) return;
    const across = Math.ceil(this.mask.width / CHUNK);
    for (let cy = Math.floor(box.top / CHUNK); cy * CHUNK < box.bottom; cy++) {
      for (let cx = Math.floor(box.left / CHUNK); cx * CHUNK < box.right; cx++) this.stale.add(cy * across + cx);
    }
    if (this.coarse) this.paintCoarse(this.coarse, box);
    this.dirty = this.dirty ? join(this.dirty, box) : box;
    this.schedule();
  }

  changedTiles(tiles: Iterable<number>): void {
    for (const index of tiles) this.changed(this.mask?.boxOf(index));
  }

  /** Draws on the topmost layer, in pixels of the image; lines are one pixel of the screen. */
  decorate(draw: (context: CanvasRenderingContext2D, scale: number) => void): void {
    const { top } = this;
    top.setTransform(1, 0, 0, 1, 0, 0);
    top.clearRect(0, 0, top.canvas.width, top.canvas.height);
    top.setTransform(this.scale, 0, 0, this.scale, this.x, this.y);
    top.lineWidth = devicePixelRatio / this.scale;
    draw(top, this.scale);
  }

  redraw(): void {
    this.all();
  }

  private resize(): void {
    const dpr = devicePixelRatio;
    const box = this.host.getBoundingClientRect();
    const [width, height] = [box.width, box.height].map((n) => Math.max(1, Math.floor(n * dpr))) as [number, number];
    for (const { canvas } of [this.base, this.over, this.top]) {
      canvas.width = width;
      canvas.height = height;
      // A host need not be a whole number of pixels; stretched to it, the picture would blur and the pointer miss.
      canvas.style.width = `${width / dpr}px`;
      canvas.style.height = `${height / dpr}px`;
    }
    if (this.fitted) this.fit();
    else this.all();
  }

  private all(): void {
    this.baseDirty = true;
    this.schedule();
  }

  private schedule(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private draw(): void {
    const { mask } = this;
    const { width, height } = this.size;
    if (this.baseDirty) {
      for (const context of [this.base, this.over]) {
        context.setTransform(1, 0, 0, 1, 0, 0);
        context.clearRect(0, 0, context.canvas.width, context.canvas.height);
      }
      this.base.setTransform(this.scale, 0, 0, this.scale, this.x, this.y);
      // Above 100 % a pixel is a square, below it the browser averages.
      this.base.imageSmoothingEnabled = this.scale < 1;
      this.base.imageSmoothingQuality = "high";
      if (this.picture) this.base.drawImage(this.picture, 0, 0, width, height);
      if (this.map && this.mapOpacity > 0) {
        this.base.globalAlpha = this.mapOpacity;
        this.base.imageSmoothingEnabled = true;
        this.base.drawImage(this.map, 0, 0, width, height);
        this.base.globalAlpha = 1;
      }
      if (mask && this.showMask) this.drawMask(mask, { left: 0, top: 0, right: width, bottom: height });
      this.onView();
    } else if (this.dirty && mask && this.showMask) {
      this.drawMask(mask, this.dirty);
    }
    this.baseDirty = false;
    this.dirty = undefined;
  }

  private drawMask(mask: Bitmask, box: Box): void {
    const { over } = this;
    const left = Math.max(0, Math.floor(this.x + box.left * this.scale) - 1);
    const top = Math.max(0, Math.floor(this.y + box.top * this.scale) - 1);
    const right = Math.min(over.canvas.width, Math.ceil(this.x + box.right * this.scale) + 1);
    const bottom = Math.min(over.canvas.height, Math.ceil(this.y + box.bottom * this.scale) + 1);
    if (left >= right || top >= bottom) return;
    over.save();
    over.setTransform(1, 0, 0, 1, 0, 0);
    over.beginPath();
    over.rect(left, top, right - left, bottom - top);
    over.clip();
    over.clearRect(left, top, right - left, bottom - top);
    over.setTransform(this.scale, 0, 0, this.scale, this.x, this.y);
    over.imageSmoothingEnabled = this.scale < 1;
    if (this.scale < 0.5 && Math.max(mask.width, mask.height) > SMALL) {
      this.coarse ??= this.makeCoarse(mask);
      const step = this.step(mask);
      over.drawImage(this.coarse, 0, 0, this.coarse.width * step, this.coarse.height * step);
    } else {
      const view = {
        left: (left - this.x) / this.scale,
        top: (top - this.y) / this.scale,
        right: (right - this.x) / this.scale,
        bottom: (bottom - this.y) / this.scale,
      };
      this.drawChunks(mask, view);
    }
    over.restore();
  }

  private drawChunks(mask: Bitmask, view: Box): void {
    const across = Math.ceil(mask.width / CHUNK);
    const down = Math.ceil(mask.height / CHUNK);
    for (let cy = Math.max(0, Math.floor(view.top / CHUNK)); cy < down && cy * CHUNK < view.bottom; cy++) {
      for (let cx = Math.max(0, Math.floor(view.left / CHUNK)); cx < across && cx * CHUNK < view.right; cx++) {
        const index = cy * across + cx;
        let chunk = this.chunks.get(index);
        if (!chunk || this.stale.has(index)) {
          if (this.chunks.size > 256) this.chunks.clear();
          chunk = this.paintChunk(mask, cx, cy, chunk);
          this.chunks.set(index, chunk);
          this.stale.delete(index);
        }
        this.over.drawImage(chunk, cx * CHUNK, cy * CHUNK);
      }
    }
  }

  private paintChunk(mask: Bitmask, cx: number, cy: number, old: HTMLCanvasElement | undefined): HTMLCanvasElement {
    const canvas = old ?? Object.assign(document.createElement("canvas"), { width: CHUNK, height: CHUNK });
    const context = canvas.getContext("2d")!;
    const image = new ImageData(CHUNK, CHUNK);
    const pixels = new Uint32Array(image.data.buffer);
    const value = this.packed();
    const per = CHUNK / TILE;
    for (let ty = 0; ty < per; ty++) {
      for (let tx = 0; tx < per; tx++) {
        const [column, row] = [cx * per + tx, cy * per + ty];
        if (column >= mask.columns || row >= mask.rows) continue;
        const tile = mask.tiles[row * mask.columns + column];
        if (!tile) continue;
        for (let byte = 0; byte < 512; byte++) {
          const bits = tile[byte]!;
          if (!bits) continue;
          const at = (ty * TILE + (byte >> 3)) * CHUNK + tx * TILE + ((byte & 7) << 3);
          for (let bit = 0; bit < 8; bit++) if ((bits >> bit) & 1) pixels[at + bit] = value;
        }
      }
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  /** Pixels of the image on a side of one of the coarse overlay. */
  private step(mask: Bitmask): number {
    return Math.ceil(Math.max(mask.width, mask.height) / SMALL);
  }

  private makeCoarse(mask: Bitmask): HTMLCanvasElement {
    const step = this.step(mask);
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(mask.width / step);
    canvas.height = Math.ceil(mask.height / step);
    mask.tiles.forEach((tile, index) => tile && this.paintCoarse(canvas, mask.boxOf(index)));
    return canvas;
  }

  private paintCoarse(canvas: HTMLCanvasElement, box: Box): void {
    const mask = this.mask!;
    const step = this.step(mask);
    const [x0, y0] = [Math.max(0, Math.floor(box.left / step)), Math.max(0, Math.floor(box.top / step))];
    const [x1, y1] = [Math.min(canvas.width, Math.ceil(box.right / step)), Math.min(canvas.height, Math.ceil(box.bottom / step))];
    if (x0 >= x1 || y0 >= y1) return;
    const image = new ImageData(x1 - x0, y1 - y0);
    const pixels = new Uint32Array(image.data.buffer);
    const value = this.packed();
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) {
        if (any(mask, x * step, y * step, step)) pixels[(y - y0) * (x1 - x0) + x - x0] = value;
      }
    }
    canvas.getContext("2d")!.putImageData(image, x0, y0);
  }

  private packed(): number {
    const [r, g, b, a] = this.color;
    return ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
  }
}

function any(mask: Bitmask, left: number, top: number, step: number): boolean {
  for (let y = top; y < top + step; y++) for (let x = left; x < left + step; x++) if (mask.get(x, y)) return true;
  return false;
}

function join(a: Box, b: Box): Box {
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}
