/**
 * A mask of one bit a pixel in tiles of 64 x 64, made when something is drawn there. Tiles that are not there are empty.
 *
 * On the wire (see `bitmask.rs`): "BGM1", width, height, number of tiles as u32; each tile x, y as u16 and 512 bytes.
 */
export const TILE = 64;
const BYTES = (TILE * TILE) / 8;
const HEAD = 16;

/** Columns `x0 <= x < x1` of row `y`. */
export type Span = { y: number; x0: number; x1: number };
/** Pixels `left <= x < right`, `top <= y < bottom`. */
export type Box = { left: number; top: number; right: number; bottom: number };

export class Bitmask {
  readonly columns: number;
  readonly rows: number;
  readonly tiles: (Uint8Array | undefined)[];

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.columns = Math.ceil(width / TILE);
    this.rows = Math.ceil(height / TILE);
    this.tiles = new Array(this.columns * this.rows);
  }

  get(x: number, y: number): boolean {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return false;
    const tile = this.tiles[(y >> 6) * this.columns + (x >> 6)];
    return tile !== undefined && ((tile[((y & 63) << 3) + ((x & 63) >> 3)]! >> (x & 7)) & 1) === 1;
  }

  /** Sets or clears a span; `touch` sees each tile's index before it changes. */
  paint(span: Span, on: boolean, touch: (index: number) => void): void {
    const { y } = span;
    if (y < 0 || y >= this.height) return;
    const end = Math.min(span.x1, this.width);
    let x = Math.max(span.x0, 0);
    while (x < end) {
      const stop = Math.min(end, (x | 63) + 1);
      const index = (y >> 6) * this.columns + (x >> 6);
      if (on || this.tiles[index]) {
        touch(index);
        const tile = (this.tiles[index] ??= new Uint8Array(BYTES));
        paintBits(tile, (y & 63) << 3, x & 63, ((stop - 1) & 63) + 1, on);
      }
      x = stop;
    }
  }

  isEmpty(): boolean {
    return this.tiles.every((tile) => !tile || tile.every((byte) => byte === 0));
  }

  /** How many pixels are set. */
  area(): number {
    let sum = 0;
    for (const tile of this.tiles) if (tile) for (const byte of tile) sum += POPCOUNT[byte]!;
    return sum;
  }

  /** Pixels of a tile. */
  boxOf(index: number): Box {
    const left = (index % this.columns) * TILE;
    const top = Math.floor(index / this.columns) * TILE;
    return { left, top, right: Math.min(left + TILE, this.width), bottom: Math.min(top + TILE, this.height) };
  }

  /** The tiles named, or all that hold something, as bytes to be sent; one that is not there is sent as zeros. */
  encode(which?: Iterable<number>): Uint8Array<ArrayBuffer> {
    const indices = [...(which ?? this.tiles.keys())].filter((index) => which || this.tiles[index]);
    const bytes = new Uint8Array(HEAD + indices.length * (4 + BYTES));
    const view = new DataView(bytes.buffer);
    bytes.set([0x42, 0x47, 0x4d, 0x31]);
    [this.width, this.height, indices.length].forEach((n, i) => view.setUint32(4 + 4 * i, n, true));
    indices.forEach((index, i) => {
      const at = HEAD + i * (4 + BYTES);
      view.setUint16(at, index % this.columns, true);
      view.setUint16(at + 2, Math.floor(index / this.columns), true);
      const tile = this.tiles[index];
      if (tile) bytes.set(tile, at + 4);
    });
    return bytes;
  }

  static decode(buffer: ArrayBuffer): Bitmask {
    const view = new DataView(buffer);
    if (buffer.byteLength < HEAD || view.getUint32(0, false) !== 0x42474d31) throw new Error("not a mask");
    const mask = new Bitmask(view.getUint32(4, true), view.getUint32(8, true));
    const count = view.getUint32(12, true);
    if (buffer.byteLength !== HEAD + count * (4 + BYTES)) throw new Error("the mask is cut off");
    for (let i = 0; i < count; i++) {
      const at = HEAD + i * (4 + BYTES);
      const index = view.getUint16(at + 2, true) * mask.columns + view.getUint16(at, true);
      mask.tiles[index] = new Uint8Array(buffer.slice(at + 4, at + 4 + BYTES));
    }
    return mask;
  }
}

const POPCOUNT = Uint8Array.from({ length: 256 }, (_, n) => {
  let count = 0;
  for (let bits = n; bits; bits &= bits - 1) count++;
  return count;
});

/** Sets or clears bits `x0 <= x < x1` of a row that starts at byte `row`. */
function paintBits(tile: Uint8Array, row: number, x0: number, x1: number, on: boolean): void {
  const first = row + (x0 >> 3);
  const last = row + ((x1 - 1) >> 3);
  const head = (0xff << (x0 & 7)) & 0xff;
  const tail = 0xff >> (7 - ((x1 - 1) & 7));
  for (let at = first; at <= last; at++) {
    const bits = (at === first ? head : 0xff) & (at === last ? tail : 0xff);
    tile[at] = on ? tile[at]! | bits : tile[at]! & ~bits;
  }
}
