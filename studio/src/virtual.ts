/** Which cells of a long grid are in view. */
export type Grid = { columns: number; rows: number; height: number; first: number; last: number; cellWidth: number };

/** Rows above and below the view that are there already when they come into it. */
const SPARE = 2;

export function layout(count: number, width: number, cell: { width: number; height: number }, scroll: number, view: number): Grid {
  const columns = Math.max(1, Math.floor(width / cell.width));
  const rows = Math.ceil(count / columns);
  const top = Math.max(0, Math.floor(scroll / cell.height) - SPARE);
  const bottom = Math.min(rows, Math.ceil((scroll + view) / cell.height) + SPARE);
  return {
    columns,
    rows,
    height: rows * cell.height,
    first: Math.min(top * columns, count),
    last: Math.min(bottom * columns, count),
    cellWidth: width / columns,
  };
}

/** The scroll position at which row `row` is in view, as near as possible to the present one. */
export function reveal(row: number, height: number, scroll: number, view: number): number {
  if (row * height < scroll) return row * height;
  if ((row + 1) * height > scroll + view) return (row + 1) * height - view;
  return scroll;
}

/** Whether nothing that was in view is now, as when the scroll bar is dragged: what is passed by then need not be drawn. */
export function hasJumped(before: number, scroll: number, view: number): boolean {
  return Math.abs(scroll - before) > view;
}

/** The index that a key moves to; `undefined` if it is no such key. */
export function step(key: string, at: number, count: number, columns: number, perPage: number): number | undefined {
  const clamp = (to: number) => Math.max(0, Math.min(count - 1, to));
  switch (key) {
    case "ArrowLeft":
      return clamp(at - 1);
    case "ArrowRight":
    case "Enter":
      return clamp(at + 1);
    case "ArrowUp":
      return at - columns < 0 ? at : at - columns;
    case "ArrowDown":
      return at + columns >= count ? at : at + columns;
    case "PageUp":
      return clamp(at - perPage * columns);
    case "PageDown":
      return clamp(at + perPage * columns);
    case "Home":
      return 0;
    case "End":
      return clamp(count - 1);
    default:
      return undefined;
  }
}
