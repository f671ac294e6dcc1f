/** What the page knows: the project as the server tells it, and what a person has chosen. */
import { batch, computed, effect, signal } from "@preact/signals";
import { api, Refused, type Checkup, type Item, type Job, type Label, type Model, type Project, type Promotion, type Role, type Scores, type Verdict } from "./api";
import { language, t } from "./i18n";

export type Page = "images" | "edit" | "check" | "train" | "judge" | "learn" | "live";
export const PAGES: Page[] = ["images", "check", "train", "judge", "learn", "live"];

/** What is in the address after `#/`. */
export type Route = { page: Page; id: string };

export const route = signal<Route>(parse(typeof location === "undefined" ? "" : location.hash));
export const project = signal<Project | null>(null);
export const items = signal<Item[]>([]);
export const types = signal<string[]>([]);
export const jobs = signal<Job[]>([]);
export const models = signal<Model[]>([]);
export const promotions = signal<Promotion[]>([]);
export const scores = signal<Scores | null>(null);
export const checkup = signal<Checkup | null>(null);
export const online = signal(true);
export const loaded = signal(false);
export const liveTick = signal(0);

export const selected = signal<ReadonlySet<string>>(new Set());
export const focused = signal<string | null>(null);

export type Sort = "name" | "newest" | "score-high" | "score-low";
export type Filter = {
  label: Label | "all";
  type: string;
  verdict: Verdict | "all";
  /** What the image is to the model chosen. */
  role: Role | "all";
  mask: "all" | "with" | "without";
  /** A check of the doctor, `*` for any, empty for images with and without findings. */
  finding: string;
  text: string;
  sort: Sort;
};
export const NO_FILTER: Filter = { label: "all", type: "", verdict: "all", role: "all", mask: "all", finding: "", text: "", sort: "name" };
export const filter = signal<Filter>(NO_FILTER);

function kept<T>(key: string, value: T) {
  let start = value;
  try {
    const text = localStorage.getItem(key);
    if (text !== null) start = JSON.parse(text) as T;
  } catch {
    // Storage can be forbidden or hold something else; the default does.
  }
  const state = signal(start);
  effect(() => {
    const next = JSON.stringify(state.value);
    try {
      localStorage.setItem(key, next);
    } catch {
      // As above.
    }
  });
  return state;
}

export const theme = kept<"auto" | "light" | "dark">("bgad-theme", "auto");
export const singleKeys = kept("bgad-single-keys", true);
export const thumbSize = kept("bgad-thumb", 132);
export const defectType = kept("bgad-type", "");
export const modelName = kept("bgad-model", "");

export const itemById = computed(() => new Map(items.value.map((item) => [item.id, item])));
export const scoreById = computed(() => new Map((scores.value?.scores ?? []).map((score) => [score.id, score])));
export const working = computed(() => jobs.value.find((job) => job.state === "running" || job.state === "paused"));

/** Image of a file: of the image itself or of its mask. */
export const itemOfFile = computed(() => {
  const files = new Map(itemById.value);
  for (const item of items.value) if (item.mask) files.set(item.mask, item);
  return files;
});

/** What the doctor found, by image. */
export const checksById = computed(() => {
  const checks = new Map<string, Set<string>>();
  for (const finding of checkup.value?.findings ?? []) {
    const item = itemOfFile.value.get(finding.file);
    if (!item) continue;
    if (!checks.has(item.id)) checks.set(item.id, new Set());
    checks.get(item.id)!.add(finding.check);
  }
  return checks;
});

/** The images that the filter lets through, in order. */
export const shown = computed(() => arrange(items.value, scoreById.value, filter.value, checksById.value));

export function arrange(
  all: readonly Item[],
  byId: ReadonlyMap<string, { score: number; verdict: Verdict; role: Role }>,
  by: Filter,
  checks: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
): Item[] {
  const text = by.text.trim().toLowerCase();
  const list = all.filter(
    (item) =>
      (by.label === "all" || item.label === by.label) &&
      (by.type === "" || item.type === by.type) &&
      (by.mask === "all" || (by.mask === "with") === (item.mask !== null)) &&
      (by.verdict === "all" || byId.get(item.id)?.verdict === by.verdict) &&
      (by.role === "all" || byId.get(item.id)?.role === by.role) &&
      (by.finding === "" || (by.finding === "*" ? checks.has(item.id) : checks.get(item.id)?.has(by.finding) === true)) &&
      (text === "" || item.id.toLowerCase().includes(text)),
  );
  const score = (item: Item) => byId.get(item.id)?.score;
  switch (by.sort) {
    case "name":
      return list.sort((a, b) => NAMES.compare(a.id, b.id));
    case "newest":
      return list.sort((a, b) => b.modified - a.modified || NAMES.compare(a.id, b.id));
    // Images without a score come last either way.
    case "score-high":
      return list.sort((a, b) => (score(b) ?? -Infinity) - (score(a) ?? -Infinity));
    case "score-low":
      return list.sort((a, b) => (score(a) ?? Infinity) - (score(b) ?? Infinity));
  }
}

/** "part 2" before "part 10". */
const NAMES = new Intl.Collator(undefined, { numeric: true });

export type Toast = { id: number; text: string; kind: "info" | "error"; undo: boolean };
export const toasts = signal<Toast[]>([]);
let nextToast = 1;

export function say(text: string, kind: Toast["kind"] = "info", undo = false): void {
  const toast = { id: nextToast++, text, kind, undo };
  toasts.value = [...toasts.value.slice(-3), toast];
  // An error stays until it is closed: nobody should have to read fast.
  if (kind === "info") setTimeout(() => dismiss(toast.id), 6000);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Does something that can be refused; the refusal is shown. */
export async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    say(error instanceof Refused ? error.message : t("error.offline"), "error");
    return undefined;
  }
}

export async function loadItems(moved: ReadonlyMap<string, string> = new Map()): Promise<void> {
  const [found, about] = await Promise.all([api.items(), api.project()]);
  batch(() => {
    // An image that is open stays open under its new name.
    const to = route.value.page === "edit" ? moved.get(route.value.id) : undefined;
    if (to !== undefined && to !== route.value.id) {
      history.replaceState(null, "", address("edit", to));
      route.value = { page: "edit", id: to };
    }
    items.value = found.items;
    types.value = found.types;
    project.value = about;
    loaded.value = true;
    const there = itemById.value;
    if ([...selected.value].some((id) => !there.has(id))) {
      selected.value = new Set([...selected.value].filter((id) => there.has(id)));
    }
  });
}

export async function loadCheckup(): Promise<void> {
  checkup.value = await api.doctor();
}

export async function loadModels(): Promise<void> {
  const found = await api.models();
  batch(() => {
    models.value = found.models;
    promotions.value = found.history;
    const usable = found.models.filter((model) => model.facts);
    if (!usable.some((model) => model.name === modelName.value)) modelName.value = usable[0]?.name ?? "";
  });
}

export async function loadScores(): Promise<void> {
  const name = modelName.value;
  const found = name ? await api.scores(name) : null;
  if (name === modelName.value) scores.value = found;
}

export async function loadJobs(): Promise<void> {
  const before = new Map(jobs.value.map((job) => [job.id, job.state]));
  const next = await api.jobs();
  const knew = jobs.value.length > 0 || loaded.value;
  jobs.value = next;
  for (const job of next) {
    const was = before.get(job.id);
    if (!knew || was === job.state || was === undefined) continue;
    if (job.state === "failed") say(`${jobTitle(job)}: ${job.error ?? ""}`, "error");
    if (job.state === "done") {
      say(t("job.done", { job: jobTitle(job) }));
      if (job.task.kind === "train") modelName.value = job.task.name;
      await Promise.all([loadModels(), loadItems(), loadCheckup()]);
      await loadScores();
    }
  }
}

export function jobTitle(job: Job): string {
  const { task } = job;
  switch (task.kind) {
    case "train":
      return t("job.train", { model: task.name });
    case "score":
      return t("job.score", { model: task.model });
    case "doctor":
      return t("job.doctor");
    case "learn":
      return t("job.learn", { model: task.model });
  }
}

/** Gives a label to images; the focus and the selection follow the files. */
export async function label(ids: string[], to: Label, type?: string): Promise<string[] | undefined> {
  if (ids.length === 0) return [];
  const answer = await attempt(() => api.label(ids, to, to === "bad" ? (type ?? defectType.value) || null : null));
  if (!answer) return undefined;
  await attempt(() => loadItems(new Map(ids.map((id, i) => [id, answer.ids[i] ?? id]))));
  const name = t(`label.${to}`);
  say(ids.length === 1 ? t("said.label", { label: name }) : t("said.labels", { n: ids.length, label: name }), "info", true);
  return answer.ids;
}

export async function undo(): Promise<void> {
  const answer = await attempt(() => api.undo());
  if (!answer) return;
  say(answer.undone ? t("said.undone") : t("said.nothing"));
  await loadItems(new Map(answer.undone?.moved));
  if (answer.undone?.what === "thresholds") await attempt(loadScores);
}

export function go(page: Page, id = ""): void {
  location.hash = address(page, id);
}

function address(page: Page, id: string): string {
  return `#/${page}${id ? "/" + encodeURIComponent(id) : ""}`;
}

function parse(hash: string): Route {
  const [page = "", id = ""] = hash.replace(/^#\/?/, "").split("/");
  const known = page === "edit" || PAGES.includes(page as Page);
  return { page: known ? (page as Page) : "images", id: decodeURIComponent(id) };
}

/** Connects to the server and keeps up with it. */
export function connect(): void {
  addEventListener("hashchange", () => (route.value = parse(location.hash)));
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
  effect(() => {
    document.documentElement.lang = language.value;
    localStorage.setItem("bgad-language", language.value);
  });
  effect(() => {
    if (modelName.value && loaded.value) void attempt(loadScores);
  });
  let last = { files: -1, jobs: -1, live: -1 };
  const source = new EventSource("/api/events");
  source.onopen = () => (online.value = true);
  source.onerror = () => (online.value = false);
  source.onmessage = (event: MessageEvent<string>) => {
    const next = JSON.parse(event.data) as typeof last;
    if (next.files !== last.files) void attempt(async () => Promise.all([loadItems(), loadModels(), loadCheckup()]).then(loadScores));
    if (next.jobs !== last.jobs) void attempt(loadJobs);
    if (next.live !== last.live) {
      liveTick.value += 1;
      if (last.live >= 0) void attempt(loadModels);
    }
    last = next;
  };
}
