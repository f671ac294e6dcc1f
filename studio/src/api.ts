/** The server's routes as functions, and what they answer. */
import { Bitmask } from "./editor/bitmask";
import type { Answer } from "./editor/saver";

export type Label = "good" | "bad" | "unlabelled";
export type Verdict = "OK" | "REVIEW" | "NG";
export type Role = "train" | "calibration" | "test";

export type Item = {
  id: string;
  label: Label;
  type: string | null;
  mask: string | null;
  version: string;
  bytes: number;
  modified: number;
};
export type Project = {
  name: string;
  path: string;
  revision: number;
  types: string[];
  undo: string | null;
  demo: boolean;
  version: string;
};
export type Thresholds = { ok: number; ng: number };
export type ModelFacts = {
  thresholds: Thresholds;
  calibration: { objective: Record<string, unknown> | string; confidence: number; images: number } | null;
  input: string;
  backbone: string;
  good: number;
  defects: number;
  passes: number;
  losses: number[];
  bgad: string;
};
export type Model = {
  name: string;
  bytes: number;
  modified: number;
  /** Whether this very file is promoted: with other thresholds it is another. */
  serving: boolean;
  facts?: ModelFacts;
  error?: string;
};
export type Promotion = { model: string; version: number; sha256: string; at: number };
export type JobState = "queued" | "running" | "paused" | "done" | "failed" | "cancelled" | "interrupted";
export type TrainTask = {
  kind: "train";
  name: string;
  preset: "quick" | "fast";
  input: string | null;
  schedule: string | null;
  anomalies: number | null;
  hold_out: number;
  seed: number;
};
export type Task =
  | TrainTask
  | { kind: "score"; model: string }
  | { kind: "doctor"; quick: boolean }
  | { kind: "learn"; model: string; ids: string[]; quick: boolean };
export type Job = {
  id: number;
  task: Task;
  state: JobState;
  progress: { stage: string; done: number; total: number; secs_left: number | null; losses: number[] };
  result: unknown;
  error: string | null;
  skipped: string[];
  created: number;
  finished: number | null;
};
export type Estimate = {
  secs: number;
  good: number;
  defects: number;
  held_out: number;
  test_good: number;
  test_bad: number;
  passes: number;
  input: string;
};
export type Score = { id: string; label: Label; type: string | null; score: number; verdict: Verdict; role: Role };
export type Scores = {
  model: string;
  thresholds: Thresholds;
  facts: ModelFacts;
  missing: number;
  scores: Score[];
  confidence: number;
  bounds: { good: number[]; bad: number[] };
};
export type Finding = {
  severity: "error" | "warning" | "note";
  check: string;
  file: string;
  problem: string;
  fix: string;
  there: boolean;
  image: boolean;
};
export type Checkup = { good: number; defective: number; findings: Finding[] };
export type Region = { x: number; y: number; width: number; height: number; peak: number };
export type Inspection = {
  score: number;
  verdict: Verdict;
  whole_image: boolean;
  regions: Region[];
  width: number;
  height: number;
  map: Float32Array;
};
export type Learned = { id: string; before: [number, Verdict]; after: [number, Verdict] };
export type Counts = { escapes: number; defective: number; false_alarms: number; good: number };
/** Counts are above and below the `thresholds` of the operating points, before and after; lessons of 0.2.0 do not say them. */
export type Lesson = { from: string; to: string; learned: Learned[]; before: Counts; after: Counts; thresholds?: [number, number] };
export type LivePart = {
  id: string;
  at: number;
  score: number | null;
  verdict: Verdict | null;
  error: string | null;
  millis: number;
  there: boolean;
};
export type LiveState = {
  watching: boolean;
  serving: Promotion | null;
  folder: string;
  repository: string;
  parts: LivePart[];
  counts: { ok: number; review: number; ng: number; fault: number };
  drift: Drift | null;
};
/** The watch over the scores of the parts judged: `drift.rs`. */
export type Drift = {
  reference: number;
  reference_size: number;
  window: number;
  threshold: number;
  false_alarms_per_window: number;
  statistics: number[];
  alarms: number;
  last_alarm?: string;
};
export type Layer = "mask" | "roi" | "ignore";

/** A refusal of the server, in its words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const HEADERS = { "x-bgad-studio": "1" };

async function ask(path: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(path, { ...init, headers: { ...HEADERS, ...init?.headers } });
  if (!response.ok) throw new Refused(response.status, await reason(response));
  return response;
}

async function reason(response: Response): Promise<string> {
  const text = await response.text();
  try {
    return (JSON.parse(text) as { error: string }).error;
  } catch {
    return text || response.statusText;
  }
}

async function get<T>(path: string): Promise<T> {
  return (await ask(path)).json() as Promise<T>;
}

async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const init = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return (await ask(path, init)).json() as Promise<T>;
}

function query(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return "?" + new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
}

export const api = {
  project: () => get<Project>("/api/project"),
  items: () => get<{ revision: number; items: Item[]; types: string[] }>("/api/items"),
  thumb: (item: Item) => "/api/thumb" + query({ id: item.id, v: item.version }),
  image: (item: Item, window?: [number, number]) =>
    "/api/image" + query({ id: item.id, v: item.version, low: window?.[0], high: window?.[1] }),
  facts: (id: string) => get<{ width: number; height: number; bits: number; turned: boolean }>("/api/facts" + query({ id })),

  async mask(id: string, layer: Layer): Promise<{ mask: Bitmask; name: string }> {
    const response = await ask("/api/mask" + query({ id, layer }));
    return { mask: Bitmask.decode(await response.arrayBuffer()), name: tag(response) };
  },

  async draw(id: string, layer: Layer, name: string, tiles: Uint8Array<ArrayBuffer>): Promise<Answer> {
    const response = await fetch("/api/mask" + query({ id, layer }), {
      method: "PATCH",
      body: tiles,
      headers: { ...HEADERS, "if-match": `"${name}"`, "content-type": "application/octet-stream" },
      // A page that is left sends the last stroke all the same, if it is small enough for the browser.
      keepalive: tiles.length < 60_000,
    });
    if (response.ok) return { ok: true, name: tag(response) };
    if (response.status === 412) return { ok: false, conflict: tag(response) };
    return { ok: false, error: await reason(response) };
  },

  label: (ids: string[], label: Label, type?: string | null) =>
    post<{ ids: string[] }>("/api/label", { ids, label, type: type ?? null }),
  remove: (ids: string[]) => post("/api/remove", { ids }),
  undo: () => post<{ undone: { what: string; images: number; moved: [string, string][] } | null }>("/api/undo"),
  demo: () => post<{ images: number }>("/api/demo"),
  importFolder: (path: string, link: boolean) => post<{ images: number; skipped: string[] }>("/api/import", { path, link }),
  upload: (file: File) => ask("/api/upload" + query({ name: file.name }), { method: "PUT", body: file }),

  jobs: async () => (await get<{ jobs: Job[] }>("/api/jobs")).jobs,
  start: (task: Task) => post<Job>("/api/jobs", task),
  command: (id: number, command: "pause" | "resume" | "cancel") => post<Job>(`/api/jobs/${id}/${command}`),
  estimate: (task: TrainTask) => post<Estimate>("/api/estimate", task),

  models: () => get<{ models: Model[]; history: Promotion[] }>("/api/models"),
  removeModel: (model: string) => post("/api/models/remove", { model }),
  scores: (model: string) => get<Scores>("/api/scores" + query({ model })),
  setThresholds: (model: string, ok: number, ng: number) =>
    post("/api/thresholds", { model, wanted: { by_hand: { ok, ng } } }),
  promise: (model: string, share: number, confidence: number) =>
    post<{ thresholds: Thresholds }>("/api/thresholds", { model, wanted: { max_false_alarms: { share, confidence } } }),

  async inspect(model: string, id: string): Promise<Inspection> {
    const response = await ask("/api/inspect" + query({ model, id }));
    const facts = JSON.parse(response.headers.get("x-bgad-inspection") ?? "{}") as Omit<Inspection, "map">;
    return { ...facts, map: new Float32Array(await response.arrayBuffer()) };
  },

  async proposal(model: string, id: string): Promise<Bitmask> {
    return Bitmask.decode(await (await ask("/api/proposal" + query({ model, id }))).arrayBuffer());
  },

  doctor: () => get<Checkup | null>("/api/doctor"),
  fix: (id: string, how: "upright" | "remove") => post("/api/fix", { id, how }),

  live: () => get<LiveState>("/api/live"),
  watch: (on: boolean) => post("/api/live/watch", { on }),
  promote: (model: string) => post("/api/promote", { model }),
  /** An earlier version, just as it was. */
  rollBack: (version: number) => post("/api/promote", { version }),
};

function tag(response: Response): string {
  return (response.headers.get("etag") ?? "").replaceAll('"', "");
}
