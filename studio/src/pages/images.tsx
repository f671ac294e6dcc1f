/** All images: look through, filter, label. */
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { api, type Item, type Label, type Role, type Verdict } from "../api";
import { nameOfCheck, t } from "../i18n";
import { useShortcuts } from "../keys";
import { attempt, checksById, defectType, filter, focused, go, items, label, loadItems, NO_FILTER, project, say, scoreById, selected, shown, thumbSize, types, type Sort } from "../store";
import { Button, Choice, Dialog, Empty, LabelChip, nameOf, Select, VerdictChip } from "../ui";
import { hasJumped, layout, reveal, step } from "../virtual";

/** How long a gallery that jumps stays where it is before it asks for pictures, ms. */
const REST = 80;

/** Height of what is written under a thumbnail, pixels. */
const CAPTION = 44;

export function Images(): JSX.Element {
  const [importing, setImporting] = useState(false);
  if (items.value.length === 0) return <Start />;
  return (
    <>
      <Filters onImport={() => setImporting(true)} />
      <Gallery />
      <Selection />
      <ImportDialog open={importing} onClose={() => setImporting(false)} />
    </>
  );
}

/** An empty project: three ways to begin. */
function Start(): JSX.Element {
  const [importing, setImporting] = useState(false);
  const [busy, setBusy] = useState(false);
  const demo = async () => {
    setBusy(true);
    await attempt(() => api.demo());
    await attempt(loadItems);
    setBusy(false);
  };
  return (
    <Empty title={t("start.title")}>
      <p class="lead">{t("start.lead")}</p>
      <div class="ways">
        {project.value?.demo && (
          <section>
            <h3>{t("start.demo")}</h3>
            <p>{t("start.demo.text")}</p>
            <Button kind="main" icon="spark" disabled={busy} onClick={() => void demo()}>
              {busy ? t("start.drawing") : t("start.demo.do")}
            </Button>
          </section>
        )}
        <section>
          <h3>{t("import")}</h3>
          <p>{t("start.import.text")}</p>
          <Button onClick={() => setImporting(true)}>{t("import.do")}</Button>
        </section>
        <section>
          <h3>{t("start.drop")}</h3>
          <p>{t("start.drop.text")}</p>
          <code class="path">{project.value?.path}/good</code>
        </section>
      </div>
      <ImportDialog open={importing} onClose={() => setImporting(false)} />
    </Empty>
  );
}

function ImportDialog({ open, onClose }: { open: boolean; onClose: () => void }): JSX.Element {
  const [path, setPath] = useState("");
  const [how, setHow] = useState<"copy" | "link">("copy");
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    const done = await attempt(() => api.importFolder(path.trim(), how === "link"));
    setBusy(false);
    if (!done) return;
    for (const skipped of done.skipped.slice(0, 5)) say(skipped, "error");
    say(t("import.done", { n: done.images }), "info", done.images > 0);
    onClose();
    await attempt(loadItems);
  };
  return (
    <Dialog title={t("import")} open={open} onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <label class="field wide">
          <span>{t("import.path")}</span>
          <input value={path} onInput={(event) => setPath(event.currentTarget.value)} placeholder="/data/parts" required autocomplete="off" spellcheck={false} />
        </label>
        <div class="field wide">
          <span>{t("import.how")}</span>
          <Choice name={t("import.how")} value={how} options={(["copy", "link"] as const).map((value) => ({ value, text: t(`import.${value}`) }))} onChange={setHow} />
          <small>{t(`import.${how}.text`)}</small>
        </div>
        <button type="submit" class="button main" disabled={busy}>
          {busy ? t("import.busy") : t("import.do")}
        </button>
      </form>
    </Dialog>
  );
}

function Filters({ onImport }: { onImport: () => void }): JSX.Element {
  const by = filter.value;
  const set = (change: Partial<typeof by>) => (filter.value = { ...by, ...change });
  const labels = (["all", "good", "bad", "unlabelled"] as const).map((value) => {
    const count = value === "all" ? items.value.length : items.value.filter((item) => item.label === value).length;
    return { value, text: `${t(value === "all" ? "all" : `label.${value}`)} ${count}` };
  });
  const kinds = [{ value: "", text: t("type.all") }, ...types.value.map((value) => ({ value, text: value }))];
  const verdicts = (["all", "OK", "REVIEW", "NG"] as const).map((value) => ({ value, text: value === "all" ? t("verdict.all") : value }));
  const masks = (["all", "with", "without"] as const).map((value) => ({ value, text: t(`mask.${value}`) }));
  const roles = (["all", "train", "calibration", "test"] as const).map((value) => ({ value, text: t(`role.${value}`) }));
  const checks = [...new Set([...checksById.value.values()].flatMap((found) => [...found]))].sort();
  const findings = [
    { value: "", text: t("finding.all") },
    { value: "*", text: t("finding.any") },
    ...checks.map((value) => ({ value, text: nameOfCheck(value) })),
  ];
  const sorts = (["name", "newest", "score-high", "score-low"] as const).map((value) => ({ value, text: t(`sort.${value}`) }));
  return (
    <div class="filters" role="search" aria-label={t("filter")}>
      <Choice name={t("label")} value={by.label} options={labels} onChange={(value: Label | "all") => set({ label: value })} />
      {types.value.length > 0 && <Select hideName name={t("type")} value={by.type} options={kinds} onChange={(type) => set({ type })} />}
      <Select hideName name={t("mask")} value={by.mask} options={masks} onChange={(mask) => set({ mask })} />
      {scoreById.value.size > 0 && (
        <Select hideName name={t("verdict")} value={by.verdict} options={verdicts} onChange={(verdict: Verdict | "all") => set({ verdict })} />
      )}
      {scoreById.value.size > 0 && <Select hideName name={t("role")} value={by.role} options={roles} onChange={(role: Role | "all") => set({ role })} />}
      {(checks.length > 0 || by.finding !== "") && <Select hideName name={t("finding")} value={by.finding} options={findings} onChange={(finding) => set({ finding })} />}
      <Select hideName name={t("sort")} value={by.sort} options={sorts} onChange={(sort: Sort) => set({ sort })} />
      <label class="field search">
        <span class="hidden">{t("search")}</span>
        <input id="search" type="search" value={by.text} placeholder={t("search")} onInput={(event) => set({ text: event.currentTarget.value })} />
      </label>
      <label class="field size">
        <span class="hidden">{t("thumb.size")}</span>
        <input type="range" min="84" max="240" step="4" value={thumbSize.value} onInput={(event) => (thumbSize.value = event.currentTarget.valueAsNumber)} />
      </label>
      <Button onClick={onImport}>{t("import")}</Button>
    </div>
  );
}

function Gallery(): JSX.Element {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ width: 800, height: 600, scroll: 0, jumps: false });
  const list = shown.value;
  const size = thumbSize.value;
  const cell = { width: size + 12, height: size + CAPTION };
  const grid = layout(list.length, view.width, cell, view.scroll, view.height);
  const at = focused.value === null ? -1 : list.findIndex((item) => item.id === focused.value);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    let before = 0;
    let rest: ReturnType<typeof setTimeout> | undefined;
    const measure = () => {
      const { clientWidth: width, clientHeight: height, scrollTop: scroll } = element;
      const jumps = hasJumped(before, scroll, height);
      before = scroll;
      if (jumps) {
        clearTimeout(rest);
        rest = setTimeout(() => setView((now) => ({ ...now, jumps: false })), REST);
      }
      setView((now) => ({ width, height, scroll, jumps: jumps || now.jumps }));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    measure();
    return () => {
      clearTimeout(rest);
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, []);

  // Where one was when one comes back from an image.
  useEffect(() => {
    if (at >= 0) show(at);
    else focused.value = list[0]?.id ?? null;
    scroller.current?.focus();
  }, []);

  const show = (index: number) => {
    const element = scroller.current;
    if (element) element.scrollTop = reveal(Math.floor(index / grid.columns), cell.height, element.scrollTop, element.clientHeight);
  };

  const focus = (index: number, extend: boolean) => {
    const item = list[index];
    if (!item) return;
    if (extend && at >= 0) {
      const between = list.slice(Math.min(at, index), Math.max(at, index) + 1).map((other) => other.id);
      selected.value = new Set([...selected.value, ...between]);
    }
    focused.value = item.id;
    show(index);
  };

  const give = async (to: Label) => {
    const ids = selected.value.size > 0 ? [...selected.value] : focused.value ? [focused.value] : [];
    const single = selected.value.size === 0;
    const after = list[at + 1]?.id ?? list[at - 1]?.id ?? null;
    const moved = await label(ids, to);
    if (!moved) return;
    selected.value = new Set();
    // One by one: the next image is at hand.
    if (single) focused.value = after;
  };

  const perPage = Math.max(1, Math.floor(view.height / cell.height));
  const move = (event: KeyboardEvent) => {
    const next = step(event.key, Math.max(at, 0), list.length, grid.columns, perPage);
    if (next !== undefined) focus(at < 0 ? 0 : next, event.shiftKey);
  };
  const toggle = () => {
    if (focused.value) selected.value = toggled(selected.value, focused.value);
  };
  useShortcuts("page.images", [
    { key: "1", text: "do.good", run: () => void give("good") },
    { key: "2", text: "do.bad", run: () => void give("bad") },
    { key: "0", text: "do.unlabelled", run: () => void give("unlabelled") },
    { key: "e", text: "do.open", run: () => focused.value && go("edit", focused.value) },
    { key: "Enter", text: "do.next", run: move },
    { key: " ", text: "do.select", run: toggle },
    { key: "a", ctrl: true, text: "do.select.all", run: () => (selected.value = new Set(list.map((item) => item.id))) },
    { key: "Escape", text: "do.select.none", run: () => (selected.value = new Set()) },
    { key: "/", text: "search", run: () => document.getElementById("search")?.focus() },
    ...(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"] as const).map((key) => ({ key, text: "do.move" as const, run: move })),
  ]);

  if (list.length === 0) {
    return (
      <Empty title={t("images.none")}>
        <Button onClick={() => (filter.value = { ...NO_FILTER, sort: filter.value.sort })}>{t("images.all")}</Button>
      </Empty>
    );
  }
  return (
    <div
      ref={scroller}
      class="gallery"
      role="listbox"
      aria-label={t("images.count", { n: list.length })}
      aria-multiselectable="true"
      aria-activedescendant={at >= grid.first && at < grid.last ? `item-${at}` : undefined}
      tabIndex={0}
    >
      <div class="gallery-body" role="presentation" style={{ height: `${grid.height}px` }}>
        {list.slice(grid.first, grid.last).map((item, i) => (
          <Tile key={item.id} item={item} index={grid.first + i} columns={grid.columns} width={grid.cellWidth} cell={cell} size={size} pictured={!view.jumps} onFocus={focus} count={list.length} />
        ))}
      </div>
    </div>
  );
}

function toggled(set: ReadonlySet<string>, id: string): Set<string> {
  const next = new Set(set);
  if (!next.delete(id)) next.add(id);
  return next;
}

type TileProps = {
  item: Item;
  index: number;
  columns: number;
  width: number;
  cell: { width: number; height: number };
  size: number;
  /** Whether its picture is asked for yet. */
  pictured: boolean;
  count: number;
  onFocus: (index: number, extend: boolean) => void;
};

function Tile({ item, index, columns, width, cell, size, pictured, count, onFocus }: TileProps): JSX.Element {
  const score = scoreById.value.get(item.id);
  const left = (index % columns) * width;
  const top = Math.floor(index / columns) * cell.height;
  const click = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey) selected.value = toggled(selected.value, item.id);
    onFocus(index, event.shiftKey);
  };
  return (
    <div
      id={`item-${index}`}
      class={`tile${focused.value === item.id ? " focused" : ""}`}
      role="option"
      aria-selected={selected.value.has(item.id)}
      aria-setsize={count}
      aria-posinset={index + 1}
      style={{ transform: `translate(${left}px, ${top}px)`, width: `${width}px`, height: `${cell.height}px` }}
      onClick={click}
      onDblClick={() => go("edit", item.id)}
    >
      <div class="thumb" style={{ height: `${size}px` }}>
        {pictured && <img src={api.thumb(item)} alt="" decoding="async" draggable={false} />}
        {item.mask && (
          <span class="has-mask" title={t("mask.with")}>
            ◐<span class="hidden">{t("mask.with")}</span>
          </span>
        )}
        {score && <VerdictChip verdict={score.verdict} score={score.score} />}
        {selected.value.has(item.id) && (
          <span class="tick" aria-hidden="true">
            ✓
          </span>
        )}
      </div>
      <div class="caption">
        <span class="name">{nameOf(item.id)}</span>
        <span class="chips">
          <LabelChip item={item} />
        </span>
      </div>
    </div>
  );
}

/** What can be done with the images selected, or with the one in focus. */
function Selection(): JSX.Element {
  const count = selected.value.size;
  const ids = count > 0 ? [...selected.value] : focused.value ? [focused.value] : [];
  const give = (to: Label) => void label(ids, to).then((moved) => moved && (selected.value = new Set()));
  const remove = async () => {
    await attempt(() => api.remove(ids));
    say(t("said.removed", { n: ids.length }), "info", true);
    await attempt(loadItems);
  };
  return (
    <footer class="selection" aria-label={t("selection")}>
      <span class="what">{count > 0 ? t("selected", { n: count }) : focused.value ? nameOf(focused.value) : t("selected.none")}</span>
      <Button hotkey="1" disabled={ids.length === 0} onClick={() => give("good")}>
        {t("label.good")}
      </Button>
      <Button hotkey="2" disabled={ids.length === 0} onClick={() => give("bad")}>
        {t("label.bad")}
      </Button>
      <TypeField />
      <Button hotkey="0" disabled={ids.length === 0} onClick={() => give("unlabelled")}>
        {t("label.unlabelled")}
      </Button>
      <span class="gap" />
      <Button disabled={ids.length === 0} onClick={() => void remove()}>
        {t("remove")}
      </Button>
      <Button kind="main" hotkey="E" disabled={ids.length !== 1} onClick={() => ids[0] && go("edit", ids[0])}>
        {t("open")}
      </Button>
    </footer>
  );
}

/** The type that a defect gets, chosen or written. */
export function TypeField(): JSX.Element {
  return (
    <label class="field type">
      <span class="hidden">{t("type")}</span>
      <input list="types" value={defectType.value} placeholder={t("type")} onInput={(event) => (defectType.value = event.currentTarget.value)} autocomplete="off" />
      <datalist id="types">
        {types.value.map((type) => (
          <option key={type} value={type} />
        ))}
      </datalist>
    </label>
  );
}
