/** Scores as colours, on a scale that thresholds do not move. */

/** Dark violet to yellow (the colour map "inferno" at nine places), readable without telling red from green. */
const STOPS = [
  [0, 0, 4],
  [31, 12, 72],
  [85, 15, 109],
  [136, 34, 106],
  [186, 54, 85],
  [227, 89, 51],
  [249, 140, 10],
  [249, 201, 50],
  [252, 255, 164],
] as const;

/** Red, green, blue of a value between 0 and 1. */
export function color(share: number): [number, number, number] {
  const at = Math.min(1, Math.max(0, share)) * (STOPS.length - 1);
  const low = STOPS[Math.floor(at)]!;
  const high = STOPS[Math.min(STOPS.length - 1, Math.floor(at) + 1)]!;
  const between = at - Math.floor(at);
  return [0, 1, 2].map((i) => Math.round(low[i]! + (high[i]! - low[i]!) * between)) as [number, number, number];
}

/** Widest scale, in spreads of the good parts: scores of clear defects go into the thousands and would leave all others dark. */
const SPREADS = 20;

/** The ends of the colour scale of a model on a project: usual good parts are dark, clear defects bright. */
export function scaleOf(scores: readonly { score: number; label: string }[]): [number, number] {
  const of = (label: string) => scores.filter((s) => s.label === label).map((s) => s.score).sort((a, b) => a - b);
  const [good, bad] = [of("good"), of("bad")];
  const all = scores.map((s) => s.score).sort((a, b) => a - b);
  const quantile = (sorted: number[], q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  const low = quantile(good.length > 0 ? good : all, 0.5) ?? 0;
  const spread = Math.max(1, (quantile(good.length > 0 ? good : all, 0.95) ?? 1) - low);
  const high = Math.min(quantile(bad.length > 0 ? bad : all, 0.9) ?? 1, low + SPREADS * spread);
  return [low, Math.max(high, low + 0.1)];
}

/** A map as a picture of its own size. */
export function paintMap(map: Float32Array, width: number, height: number, [low, high]: readonly [number, number]): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  map.forEach((value, i) => {
    const share = (value - low) / (high - low);
    const [r, g, b] = color(share);
    // What is usual stays clear, so that the part is seen.
    image.data.set([r, g, b, Math.round(255 * Math.min(1, Math.max(0, share * 1.5)))], 4 * i);
  });
  canvas.getContext("2d")!.putImageData(image, 0, 0);
  return canvas;
}
