/** One image: look, label, draw where the defect is. */
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, Refused, type Inspection, type Item, type Label, type Layer } from "../api";
import { paintMap, scaleOf } from "../colors";
import type { Bitmask } from "../editor/bitmask";
import { History } from "../editor/history";
import { Saver, type SaveState } from "../editor/saver";
import { Stage } from "../editor/stage";
import { Hand, LARGEST, resized, TOOLS, type Tool } from "../editor/tools";
import { number, t } from "../i18n";
import { useShortcuts } from "../keys";
import { attempt, defectType, focused, go, itemById, label, loadItems, modelName, route, say, scoreById, scores, shown } from "../store";
import { Button, Choice, Empty, LabelChip, nameOf, VerdictChip, type IconName } from "../ui";
import { TypeField } from "./images";

const HOTKEYS: Record<Tool, string> = { brush: "B", eraser: "X", polygon: "P", rectangle: "R", fill: "G", pan: "V" };
const ICONS: Record<Tool, IconName> = { brush: "brush", eraser: "eraser", polygon: "polygon", rectangle: "rectangle", fill: "fill", pan: "hand" };
const COLORS: Record<Layer, readonly [number, number, number, number]> = { mask: [255, 40, 160, 125], roi: [40, 140, 255, 90], ignore: [255, 170, 0, 110] };

/** What lives as long as the image and layer that are open. */
type Sheet = { item: Item; layer: Layer; history: History; saver: Saver };

/** An image may be missing for a moment while its file is moved. */
const PATIENCE = 3000;
/** Between two tries while the server is not there, milliseconds. */
const RETRY = 1500;

export function Edit(): JSX.Element {
  const { id } = route.value;
  const found = itemById.value.get(id);
  const last = useRef<Item | undefined>(undefined);
  const [gone, setGone] = useState("");
  if (found) last.current = found;
  useEffect(() => {
    if (found) return undefined;
    const timer = setTimeout(() => setGone(id), PATIENCE);
    return () => clearTimeout(timer);
  }, [id, found === undefined]);
  const item = found ?? (gone === id ? undefined : last.current);
  if (item) return <Editor item={item} />;
  return (
    <Empty title={t("edit.gone")}>
      <p>{t("edit.gone.text")}</p>
      <Button onClick={() => go("images")}>{t("page.images")}</Button>
    </Empty>
  );
}

function Editor({ item }: { item: Item }): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const stage = useRef<Stage | undefined>(undefined);
  const hand = useRef<Hand | undefined>(undefined);
  const sheet = useRef<Sheet | undefined>(undefined);
  const current = useRef(item);
  /** While drawing moves the file: what is drawn stays, and is saved when the file has arrived. */
  const adopting = useRef<Promise<void> | undefined>(undefined);
  const [adopted, setAdopted] = useState(0);
  current.current = item;
  const [tool, setTool] = useState<Tool>("brush");
  const [size, setSize] = useState(12);
  const [layer, setLayer] = useState<Layer>("mask");
  const [visible, setVisible] = useState(true);
  const [save, setSave] = useState<{ state: SaveState; error: string }>({ state: "saved", error: "" });
  const [view, setView] = useState({ zoom: 1, x: 0, y: 0 });
  const [facts, setFacts] = useState<{ width: number; height: number; bits: number }>();
  const [area, setArea] = useState(0);
  const [window, setWindow] = useState<[number, number] | undefined>();
  const [map, setMap] = useState<Inspection>();
  const [opacity, setOpacity] = useState(0);
  const [, redraw] = useState(0);
  const list = shown.value;
  const at = list.findIndex((other) => other.id === item.id);

  const note = (state: SaveState, error = "") => setSave({ state, error });

  const stroke = (tiles: number[]) => {
    const open = sheet.current;
    if (!open) return;
    setArea(open.history.mask.area());
    redraw((n) => n + 1);
    // What is drawn while the file moves is saved with the rest when it has arrived.
    if (adopting.current) return;
    if (open.layer !== "mask" || current.current.label === "bad") {
      open.saver.changed(tiles);
      return;
    }
    note("saving");
    adopting.current = markDefective(open, current.current.id).finally(() => {
      adopting.current = undefined;
      setAdopted((n) => n + 1);
    });
  };

  /** Whoever draws a defect says that the image has one. */
  const markDefective = async (open: Sheet, from: string) => {
    let id = "";
    for (;;) {
      try {
        id ||= await markedBad(from);
        const { mask, name } = await api.mask(id, "mask");
        take(open, id, mask, name);
        return;
      } catch (error) {
        if (error instanceof Refused) {
          note("failed", error.message);
          return;
        }
        note("offline");
        await new Promise((done) => setTimeout(done, RETRY));
      }
    }
  };

  /** The drawing goes on under the name that the file has now. */
  const take = (open: Sheet, id: string, mask: Bitmask, name: string) => {
    if (!mask.isEmpty()) {
      // It was labelled defective before, with this mask: what is drawn now comes on top.
      say(t("edit.parked"));
      open.history.begin();
      open.history.paint(spansOf(mask), true);
      const tiles = open.history.end();
      if (sheet.current === open) stage.current?.changedTiles(tiles);
    }
    open.item = { ...open.item, id };
    open.saver = saverOf(id, "mask", open.history, name);
    open.saver.changed(open.history.mask.tiles.flatMap((tile, index) => (tile ? [index] : [])));
  };

  const saverOf = (id: string, of: Layer, history: History, name: string) =>
    new Saver(
      history.mask,
      name,
      (known, tiles) => api.draw(id, of, known, tiles),
      (saver) => sheet.current?.saver === saver && note(saver.state, saver.error),
    );

  useEffect(() => {
    const made = new Stage(host.current!);
    stage.current = made;
    made.onView = () => setView((old) => ({ ...old, zoom: made.scale }));
    hand.current = new Hand(
      made,
      () => sheet.current?.history,
      stroke,
      (p) => setView((old) => ({ ...old, x: Math.floor(p.x), y: Math.floor(p.y) })),
    );
    return () => {
      hand.current?.destroy();
      made.destroy();
    };
  }, []);

  // The picture and its mask; not again when drawing has moved the file.
  useEffect(() => {
    // Drawing has moved the file: what is open is the same picture under its new name.
    const known = sheet.current;
    if (adopting.current || (known?.item.id === item.id && known.layer === layer)) return undefined;
    let stale = false;
    // Nothing can be drawn until the picture that is seen is the one that is drawn on.
    sheet.current = undefined;
    const open = async () => {
      const [about, { mask, name }] = await Promise.all([api.facts(item.id), api.mask(item.id, layer)]);
      const picture = await load(api.image(item, window));
      if (stale) return;
      setFacts(about);
      const history = new History(mask);
      sheet.current = { item, layer, history, saver: saverOf(item.id, layer, history, name) };
      stage.current!.setPicture(picture, about.width, about.height);
      stage.current!.setColor(COLORS[layer]);
      stage.current!.setMask(mask);
      setSave({ state: "saved", error: "" });
      setArea(mask.area());
    };
    void attempt(open);
    return () => {
      stale = true;
    };
  }, [item.id, layer, adopted]);

  useEffect(() => {
    if (!sheet.current) return undefined;
    let stale = false;
    void attempt(async () => {
      const picture = await load(api.image(item, window));
      const { width, height } = sheet.current!.history.mask;
      if (!stale) stage.current!.setPicture(picture, width, height);
    });
    return () => {
      stale = true;
    };
  }, [window?.[0], window?.[1], item.version]);

  useEffect(() => {
    focused.value = item.id;
    setMap(undefined);
    setOpacity(0);
    const type = item.type;
    if (type && type !== "bad") defectType.value = type;
  }, [item.id]);

  // Before anybody can draw with it.
  useLayoutEffect(() => {
    if (!hand.current || !stage.current) return;
    hand.current.tool = tool;
    hand.current.size = size;
    stage.current.showMask = visible;
    stage.current.redraw();
    hand.current.decorate();
  }, [tool, size, visible]);

  const scale = useMemo(() => scaleOf(scores.value?.scores ?? []), [scores.value]);
  useEffect(() => {
    if (!stage.current) return;
    stage.current.mapOpacity = opacity;
    stage.current.setMap(map && opacity > 0 ? paintMap(map.map, map.width, map.height, scale) : undefined);
  }, [map, opacity > 0, scale]);
  useEffect(() => {
    if (!stage.current) return;
    stage.current.mapOpacity = opacity;
    stage.current.redraw();
  }, [opacity]);

  /** Waits until everything is on the disk; what cannot be saved is given up only by a person. */
  const settled = async () => {
    await adopting.current;
    const saver = sheet.current?.saver;
    await saver?.settled();
    return !saver || saver.isSaved || confirm(t("edit.unsaved"));
  };
  const leave = async (to: () => void) => {
    if (await settled()) to();
  };
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => {
      if (adopting.current || sheet.current?.saver.isSaved === false) event.preventDefault();
    };
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, []);
  const turn = (by: number) => {
    const next = list[at + by];
    if (next) void leave(() => go("edit", next.id));
    else if (by > 0) say(t("edit.last"));
  };
  const give = async (to: Label) => {
    if (!(await settled())) return;
    const next = list[at + 1] ?? list[at - 1];
    const moved = await label([item.id], to);
    if (!moved?.[0]) return;
    // A defect is to be drawn now; anything else is done.
    if (to === "bad" || !next || next.id === item.id) go("edit", moved[0]);
    else go("edit", next.id);
  };
  const step = (back: boolean) => {
    const open = sheet.current;
    if (!open) return;
    const tiles = back ? open.history.undo() : open.history.redo();
    if (tiles.length === 0) return;
    stage.current?.changedTiles(tiles);
    stroke(tiles);
  };
  const heat = async (share: number) => {
    setOpacity(share);
    if (!map && modelName.value && share > 0) setMap(await attempt(() => api.inspect(modelName.value, item.id)));
  };
  const propose = async () => {
    const open = sheet.current;
    const found = modelName.value && (await attempt(() => api.proposal(modelName.value, item.id)));
    if (!open || !found) return;
    if (found.isEmpty()) {
      say(t("edit.nothing"));
      return;
    }
    open.history.begin();
    open.history.paint(spansOf(found), true);
    const tiles = open.history.end();
    stage.current?.changedTiles(tiles);
    if (tiles.length > 0) stroke(tiles);
  };
  const clear = () => {
    const open = sheet.current;
    if (!open) return;
    const { mask } = open.history;
    open.history.begin();
    open.history.paint(Array.from({ length: mask.height }, (_, y) => ({ y, x0: 0, x1: mask.width })), false);
    const tiles = open.history.end();
    stage.current?.changedTiles(tiles);
    if (tiles.length > 0) stroke(tiles);
  };

  useShortcuts("edit", [
    ...TOOLS.map((name) => ({ key: HOTKEYS[name].toLowerCase(), text: `tool.${name}` as const, run: () => setTool(name) })),
    { key: "[", text: "do.smaller", run: () => setSize((n) => resized(n, false)) },
    { key: "]", text: "do.larger", run: () => setSize((n) => resized(n, true)) },
    { key: "z", ctrl: true, shift: false, text: "keys.undo.stroke", run: () => step(true) },
    { key: "z", ctrl: true, shift: true, text: "keys.redo.stroke", run: () => step(false) },
    { key: "y", ctrl: true, text: "keys.redo.stroke", run: () => step(false) },
    { key: "f", text: "do.fit", run: () => stage.current?.fit() },
    { key: "+", text: "do.zoom.in", run: () => stage.current?.zoomBy(1.4) },
    { key: "-", text: "do.zoom.out", run: () => stage.current?.zoomBy(1 / 1.4) },
    { key: "=", text: "do.actual", run: () => stage.current?.actualSize() },
    { key: "h", text: "do.hide", run: () => setVisible((on) => !on) },
    { key: "m", text: "do.map", run: () => void heat(opacity > 0 ? 0 : 0.6) },
    { key: "a", text: "do.propose", run: () => void propose() },
    { key: "1", text: "do.good", run: () => void give("good") },
    { key: "2", text: "do.bad", run: () => void give("bad") },
    { key: "0", text: "do.unlabelled", run: () => void give("unlabelled") },
    { key: "Enter", text: "do.next", run: () => (hand.current?.isBusy ? hand.current.finish() : turn(1)) },
    { key: "ArrowRight", text: "do.next", run: () => turn(1) },
    { key: "ArrowLeft", text: "do.previous", run: () => turn(-1) },
    { key: "Escape", text: "do.close", run: () => !hand.current?.cancel() && void leave(() => go("images")) },
  ]);

  const score = scoreById.value.get(item.id);
  return (
    <div class="editor">
      <div class="editor-head">
        <Button icon="back" kind="quiet" title={t("page.images")} hotkey="Esc" onClick={() => void leave(() => go("images"))} />
        <h2 title={item.id}>{nameOf(item.id)}</h2>
        <LabelChip item={item} />
        {score && <VerdictChip verdict={score.verdict} score={score.score} />}
        <span class="gap" />
        <SaveNote save={save} onReload={() => location.reload()} onKeep={() => sheet.current?.saver.keepMine()} />
        <Button icon="back" kind="quiet" title={t("do.previous")} disabled={at <= 0} onClick={() => turn(-1)} />
        <span class="figure muted">
          {at + 1}/{list.length}
        </span>
        <Button icon="next" kind="quiet" title={t("do.next")} disabled={at < 0 || at >= list.length - 1} onClick={() => turn(1)} />
      </div>
      <div class="tools" role="toolbar" aria-label={t("tools")} aria-orientation="vertical">
        {TOOLS.map((name) => (
          <Button key={name} icon={ICONS[name]} kind="quiet" title={t(`tool.${name}`)} hotkey={HOTKEYS[name]} pressed={tool === name} onClick={() => setTool(name)} />
        ))}
        <span class="rule" />
        <Button icon="undo" kind="quiet" title={t("keys.undo.stroke")} hotkey="Ctrl Z" disabled={!sheet.current?.history.canUndo} onClick={() => step(true)} />
        <Button icon="redo" kind="quiet" title={t("keys.redo.stroke")} hotkey="Ctrl ⇧ Z" disabled={!sheet.current?.history.canRedo} onClick={() => step(false)} />
        <Button icon="fit" kind="quiet" title={t("do.fit")} hotkey="F" onClick={() => stage.current?.fit()} />
        <Button icon="eye" kind="quiet" title={t("do.hide")} hotkey="H" pressed={!visible} onClick={() => setVisible(!visible)} />
      </div>
      <div ref={host} class="stage" role="img" aria-label={t("edit.stage", { name: nameOf(item.id) })} />
      <aside class="side" aria-label={t("edit.side")}>
        <section>
          <h3>{t("label")}</h3>
          <div class="label-buttons">
            <Button hotkey="1" pressed={item.label === "good"} onClick={() => void give("good")}>
              {t("label.good")}
            </Button>
            <Button hotkey="2" pressed={item.label === "bad"} onClick={() => void give("bad")}>
              {t("label.bad")}
            </Button>
            <Button hotkey="0" pressed={item.label === "unlabelled"} onClick={() => void give("unlabelled")}>
              {t("label.unlabelled")}
            </Button>
          </div>
          <TypeField />
          {item.label !== "bad" && <p class="muted small">{t("edit.marks")}</p>}
        </section>
        <section>
          <h3>{t("brush")}</h3>
          <label class="field range">
            <span>{t("brush.size")}</span>
            <input type="range" min="0" max="100" value={toSlider(size)} onInput={(event) => setSize(fromSlider(event.currentTarget.valueAsNumber))} />
            <output>{size} px</output>
          </label>
          <p class="muted small">
            {t("edit.area", { n: area })} <button type="button" class="link" disabled={area === 0} onClick={clear}>{t("edit.clear")}</button>
          </p>
        </section>
        <section>
          <h3>{t("model")}</h3>
          {modelName.value ? (
            <>
              <label class="field range">
                <span>{t("map")}</span>
                <input type="range" min="0" max="100" value={opacity * 100} onInput={(event) => void heat(event.currentTarget.valueAsNumber / 100)} />
                <output>{Math.round(opacity * 100)} %</output>
              </label>
              <Button icon="spark" hotkey="A" onClick={() => void propose()}>
                {t("do.propose")}
              </Button>
              <p class="muted small">{modelName.value}</p>
            </>
          ) : (
            <p class="muted small">{t("model.none")}</p>
          )}
        </section>
        <section>
          <h3>{t("layer")}</h3>
          <Choice
            name={t("layer")}
            value={layer}
            options={(["mask", "roi", "ignore"] as const).map((value) => ({ value, text: t(`layer.${value}`) }))}
            onChange={(value) => void leave(() => setLayer(value))}
          />
          <p class="muted small">{t(`layer.${layer}.text`)}</p>
        </section>
        {facts && facts.bits > 8 && <Greys bits={facts.bits} value={window ?? [0, 1]} onChange={setWindow} />}
      </aside>
      <footer class="status figure">
        <span>{number(Math.round(view.zoom * 1000) / 10)} %</span>
        {facts && (
          <span>
            {facts.width} × {facts.height}, {facts.bits} bit
          </span>
        )}
        <span>
          {view.x}, {view.y}
        </span>
      </footer>
    </div>
  );
}

/** Sizes of the brush on a slider: fine where small. */
function toSlider(size: number): number {
  return (Math.log(size) / Math.log(LARGEST)) * 100;
}

function fromSlider(value: number): number {
  return Math.max(1, Math.round(Math.exp((value / 100) * Math.log(LARGEST))));
}

function Greys({ bits, value, onChange }: { bits: number; value: [number, number]; onChange: (value: [number, number]) => void }): JSX.Element {
  const [draft, setDraft] = useState(value);
  const most = 2 ** bits - 1;
  const set = (next: [number, number]) => {
    setDraft(next);
    if (next[0] < next[1]) onChange(next);
  };
  return (
    <section>
      <h3>{t("greys")}</h3>
      <label class="field range">
        <span>{t("greys.low")}</span>
        <input type="range" min="0" max="1" step="0.002" value={draft[0]} onChange={(event) => set([event.currentTarget.valueAsNumber, draft[1]])} />
        <output>{Math.round(draft[0] * most)}</output>
      </label>
      <label class="field range">
        <span>{t("greys.high")}</span>
        <input type="range" min="0" max="1" step="0.002" value={draft[1]} onChange={(event) => set([draft[0], event.currentTarget.valueAsNumber])} />
        <output>{Math.round(draft[1] * most)}</output>
      </label>
    </section>
  );
}

function SaveNote({ save, onReload, onKeep }: { save: { state: SaveState; error: string }; onReload: () => void; onKeep: () => void }): JSX.Element {
  const text = save.state === "failed" ? `${t("save.failed")} ${save.error}` : t(`save.${save.state}`);
  return (
    <span class={`save ${save.state}`} role="status">
      {text}
      {save.state === "conflict" && (
        <>
          <Button onClick={onReload}>{t("save.theirs")}</Button>
          <Button onClick={onKeep}>{t("save.mine")}</Button>
        </>
      )}
    </span>
  );
}

/** Labels an image as a defect of the type chosen; its new name. */
async function markedBad(id: string): Promise<string> {
  const answer = await api.label([id], "bad", defectType.value || null);
  const to = answer.ids[0] ?? id;
  await loadItems(new Map([[id, to]]));
  say(t("said.label", { label: t("label.bad") }), "info", true);
  return to;
}

async function load(address: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

function* spansOf(mask: { width: number; height: number; get: (x: number, y: number) => boolean }) {
  for (let y = 0; y < mask.height; y++) {
    for (let x = 0; x < mask.width; x++) {
      if (!mask.get(x, y)) continue;
      const x0 = x;
      while (x < mask.width && mask.get(x, y)) x++;
      yield { y, x0, x1: x };
    }
  }
}
