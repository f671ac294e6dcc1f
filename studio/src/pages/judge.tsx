/** How good a model is, and where its thresholds should be. */
import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, type Score, type Scores, type Thresholds } from "../api";
import { color, scaleOf } from "../colors";
import { number, percent, t } from "../i18n";
import { axisOf, histogram, judge, nearest, ppm, tested, ticks, verdictOf, worst, type Axis, type Outcome } from "../judge";
import { attempt, go, itemById, loadJobs, loadModels, loadScores, modelName, models, say, scores } from "../store";
import { Button, Empty, nameOf, Panel, Select, VerdictChip } from "../ui";
import { Compare, other, OtherChoice } from "./compare";
import { HeatPicture } from "./heat";

/** Mistakes shown of each kind. */
const SHOWN = 12;
/** Images shown where there is no mistake. */
const NEAR = 6;

export function ModelChoice(): JSX.Element {
  const options = models.value.filter((model) => model.facts).map((model) => ({ value: model.name, text: model.serving ? `${model.name} (${t("model.serving")})` : model.name }));
  return <Select name={t("model")} value={modelName.value} options={options} onChange={(value) => (modelName.value = value)} />;
}

export function Judge(): JSX.Element {
  if (!modelName.value) {
    return (
      <Empty title={t("judge.nomodel")}>
        <p>{t("judge.nomodel.text")}</p>
        <Button kind="main" onClick={() => go("train")}>
          {t("page.train")}
        </Button>
      </Empty>
    );
  }
  const found = scores.value;
  return (
    <>
      <div class="filters">
        <ModelChoice />
        <OtherChoice />
        <Button onClick={() => void attempt(() => api.start({ kind: "score", model: modelName.value }).then(loadJobs))}>
          {found && found.missing > 0 ? t("judge.score.missing", { n: found.missing }) : t("judge.score")}
        </Button>
        <span class="gap" />
        <Promote />
      </div>
      {other.value !== "" && <Compare />}
      {!found ? null : tested(found.scores).length === 0 ? <Unscored found={found} /> : <Judged key={found.model} found={found} />}
    </>
  );
}

function Promote(): JSX.Element {
  const serving = models.value.find((model) => model.serving)?.name;
  const promote = async () => {
    const model = modelName.value;
    if (await attempt(() => api.promote(model))) say(t("live.promoted", { model }));
    await attempt(loadModels);
  };
  return (
    <Button kind="main" icon="live" disabled={serving === modelName.value} onClick={() => void promote()}>
      {serving === modelName.value ? t("model.serving") : t("promote")}
    </Button>
  );
}

function Unscored({ found }: { found: Scores }): JSX.Element {
  return (
    <Empty title={t("judge.unscored")}>
      <p>{t(found.scores.length === 0 ? "judge.unscored.text" : "judge.untested")}</p>
      {found.missing > 0 && (
        <Button kind="main" onClick={() => void attempt(() => api.start({ kind: "score", model: found.model }).then(loadJobs))}>
          {t("judge.score.missing", { n: found.missing })}
        </Button>
      )}
    </Empty>
  );
}

function Judged({ found }: { found: Scores }): JSX.Element {
  const [draft, setDraft] = useState<Thresholds>(found.thresholds);
  const test = useMemo(() => tested(found.scores), [found]);
  const counts = judge(test, draft);
  const { escapes, alarms } = worst(test, draft);
  const scale = useMemo(() => scaleOf(found.scores), [found]);
  const [opacity, setOpacity] = useState(0.6);
  // Saved elsewhere, or promised: the handles follow.
  useEffect(() => setDraft(found.thresholds), [found.thresholds.ok, found.thresholds.ng]);
  const shared = { found, draft, scale, opacity };
  const dirty = draft.ok !== found.thresholds.ok || draft.ng !== found.thresholds.ng;
  const save = async () => {
    if (await attempt(() => api.setThresholds(found.model, draft.ok, draft.ng))) say(t("judge.saved"), "info", true);
    await attempt(loadScores);
  };
  return (
    <div class="judge">
      <Panel
        title={t("judge.thresholds")}
        actions={
          <>
            {dirty && (
              <Button kind="quiet" onClick={() => setDraft(found.thresholds)}>
                {t("judge.reset")}
              </Button>
            )}
            <Button kind="main" disabled={!dirty} onClick={() => void save()}>
              {t("judge.save")}
            </Button>
          </>
        }
      >
        <Summary counts={counts} found={found} />
        <Histogram test={test} draft={draft} onChange={setDraft} />
        <Promise found={found} />
      </Panel>
      <div class="mistakes">
        <label class="field range">
          <span>{t("map")}</span>
          <input type="range" min="0" max="100" value={opacity * 100} onInput={(event) => setOpacity(event.currentTarget.valueAsNumber / 100)} />
          <output>{Math.round(opacity * 100)} %</output>
        </label>
        <Legend scale={scale} draft={draft} />
      </div>
      <Mistakes title={t("judge.escapes", { n: escapes.length })} list={escapes} near={nearest(test, "bad", NEAR)} {...shared} />
      <Mistakes title={t("judge.alarms", { n: alarms.length })} list={alarms} near={nearest(test, "good", NEAR)} {...shared} />
    </div>
  );
}

/** The two sentences that matter, in counts and with their confidence. */
function Summary({ counts, found }: { counts: { good: Outcome; bad: Outcome }; found: Scores }): JSX.Element {
  const { good, bad } = counts;
  const sure = percent(found.confidence, 0);
  const bound = (list: readonly number[], count: number, of: number) =>
    of === 0 ? t("judge.noimages") : t("judge.bound", { ppm: ppm(count / of), most: percent(list[count] ?? 1), sure });
  return (
    <div class="outcomes">
      <figure class="outcome escape">
        <b class="figure">{bad.ok}</b>
        <figcaption>
          <strong>{t("judge.pass", { n: bad.ok, of: bad.images })}</strong>
          <small>{bound(found.bounds.bad, bad.ok, bad.images)}</small>
        </figcaption>
      </figure>
      <figure class="outcome stopped">
        <b class="figure">{good.ng}</b>
        <figcaption>
          <strong>{t("judge.stopped", { n: good.ng, of: good.images })}</strong>
          <small>{bound(found.bounds.good, good.ng, good.images)}</small>
        </figcaption>
      </figure>
      <figure class="outcome look">
        <b class="figure">{good.review}</b>
        <figcaption>
          <strong>{t("judge.looked", { n: good.review, of: good.images })}</strong>
          <small>{t("judge.looked.bad", { n: bad.review })}</small>
        </figcaption>
      </figure>
    </div>
  );
}

/** Size of the histogram's drawing; the page stretches it. */
const [WIDTH, HEIGHT] = [1000, 220];

function Histogram({ test, draft, onChange }: { test: readonly Score[]; draft: Thresholds; onChange: (to: Thresholds) => void }): JSX.Element {
  const axis = useMemo(() => axisOf(test), [test]);
  const bins = useMemo(() => histogram(test, 60, axis), [test]);
  const most = Math.max(1, ...bins.map((bin) => Math.max(bin.good, bin.bad)));
  const [first, last] = [bins[0]!.from, bins.at(-1)!.to];
  const spare = (last - first) * 0.04;
  // The view holds both thresholds as they are saved and as they are drawn, so that no handle gets lost.
  const low = Math.min(first, axis.forward(draft.ok)) - spare;
  const high = Math.max(last, axis.forward(draft.ng)) + spare;
  const place = (at: number) => ((at - low) / (high - low)) * WIDTH;
  const x = (score: number) => place(axis.forward(score));
  const bar = (count: number) => (Math.sqrt(count / most) * (HEIGHT - 30)) / 2;
  const middle = HEIGHT / 2;
  const [ok, ng] = [x(draft.ok), x(draft.ng)];
  return (
    <div class="histogram">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={t("judge.histogram")}>
        <rect class="zone ok" x="0" y="0" width={ok} height={HEIGHT} />
        <rect class="zone review" x={ok} y="0" width={Math.max(0, ng - ok)} height={HEIGHT} />
        <rect class="zone ng" x={ng} y="0" width={Math.max(0, WIDTH - ng)} height={HEIGHT} />
        {bins.map((bin) => (
          <g key={bin.from}>
            <rect class="count good" x={place(bin.from)} width={Math.max(1, place(bin.to) - place(bin.from) - 1)} y={middle - bar(bin.good)} height={bar(bin.good)} />
            <rect class="count bad" x={place(bin.from)} width={Math.max(1, place(bin.to) - place(bin.from) - 1)} y={middle} height={bar(bin.bad)} />
          </g>
        ))}
        <line class="axis" x1="0" x2={WIDTH} y1={middle} y2={middle} />
      </svg>
      <span class="kind good">▲ {t("judge.above")}</span>
      <span class="kind bad">▼ {t("judge.below")}</span>
      <div class="ticks figure" aria-hidden="true">
        {ticks(axis, low, high, (high - low) / 9).map((value) => (
          <span key={value} style={{ left: `${(x(value) / WIDTH) * 100}%` }}>
            {number(value)}
          </span>
        ))}
      </div>
      <Handles draft={draft} onChange={onChange} axis={axis} low={low} high={high} />
    </div>
  );
}

type HandlesProps = { draft: Thresholds; onChange: (to: Thresholds) => void; axis: Axis; low: number; high: number };

/** The two thresholds, to be dragged or moved by keys. */
function Handles({ draft, onChange, axis, low, high }: HandlesProps): JSX.Element {
  const set = (which: "ok" | "ng", place: number) => {
    const at = Math.fround(axis.back(Math.min(high, Math.max(low, place))));
    onChange(which === "ok" ? { ok: at, ng: Math.max(at, draft.ng) } : { ok: Math.min(at, draft.ok), ng: at });
  };
  const drag = (which: "ok" | "ng") => (event: PointerEvent) => {
    const handle = event.currentTarget as HTMLElement;
    // The scale of the moment when the drag began: it does not slip away under the pointer.
    const frame = handle.parentElement!.getBoundingClientRect();
    handle.setPointerCapture(event.pointerId);
    const move = (at: PointerEvent) => set(which, low + ((at.clientX - frame.left) / frame.width) * (high - low));
    const end = () => {
      handle.removeEventListener("pointermove", move);
      handle.removeEventListener("pointerup", end);
      handle.removeEventListener("pointercancel", end);
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", end);
    handle.addEventListener("pointercancel", end);
  };
  const keys = (which: "ok" | "ng") => (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    set(which, axis.forward(draft[which]) + (by * (high - low)) / 400);
  };
  const share = (which: "ok" | "ng") => (axis.forward(draft[which]) - low) / (high - low);
  return (
    <>
      {(["ok", "ng"] as const).map((which) => (
        <div
          key={which}
          class={`handle ${which}`}
          role="slider"
          tabIndex={0}
          aria-label={t(which === "ok" ? "judge.ok.ends" : "judge.ng.begins")}
          aria-valuemin={axis.back(low)}
          aria-valuemax={axis.back(high)}
          aria-valuenow={draft[which]}
          aria-valuetext={number(draft[which], 3)}
          style={{ left: `${share(which) * 100}%` }}
          onPointerDown={drag(which) as never}
          onKeyDown={keys(which)}
        >
          <span class="figure">
            {which === "ok" ? "OK ≤" : "NG >"} {number(draft[which], 2)}
          </span>
        </div>
      ))}
    </>
  );
}

/** A promise about false alarms, kept by images that were held out. */
function Promise({ found }: { found: Scores }): JSX.Element {
  const [share, setShare] = useState("0.05");
  const [confidence, setConfidence] = useState("0.95");
  const { calibration } = found.facts;
  const run = async () => {
    const done = await attempt(() => api.promise(found.model, Number(share), Number(confidence)));
    if (!done) return;
    say(t("judge.promised", { share: percent(Number(share)), sure: percent(Number(confidence), 0) }), "info", true);
    await attempt(loadScores);
  };
  const promised = calibration && typeof calibration.objective === "object" && "max_false_alarms" in calibration.objective ? Number(calibration.objective.max_false_alarms) : undefined;
  return (
    <div class="promise">
      <p>
        {promised !== undefined && calibration
          ? t("judge.promise.kept", { share: percent(promised), sure: percent(calibration.confidence, 0), n: calibration.images })
          : calibration
            ? t("judge.promise.hand")
            : t("judge.promise.default")}
      </p>
      <Select name={t("judge.promise.most")} value={share} options={["0.01", "0.02", "0.05", "0.1", "0.2"].map((value) => ({ value, text: percent(Number(value), 0) }))} onChange={setShare} />
      <Select name={t("judge.promise.sure")} value={confidence} options={["0.9", "0.95", "0.99"].map((value) => ({ value, text: percent(Number(value), 0) }))} onChange={setConfidence} />
      <Button onClick={() => void run()}>{t("judge.promise.do")}</Button>
    </div>
  );
}

function Legend({ scale, draft }: { scale: readonly [number, number]; draft: Thresholds }): JSX.Element {
  const stops = Array.from({ length: 9 }, (_, i) => `rgb(${color(i / 8).join(" ")}) ${(i / 8) * 100}%`).join(", ");
  const at = (value: number) => `${Math.min(100, Math.max(0, ((value - scale[0]) / (scale[1] - scale[0])) * 100))}%`;
  return (
    <div class="legend" role="img" aria-label={t("map.scale", { low: scale[0], high: scale[1] })}>
      <span class="figure">{number(scale[0], 1)}</span>
      <span class="ramp" style={{ background: `linear-gradient(90deg, ${stops})` }}>
        <i style={{ left: at(draft.ok) }} title={t("judge.ok.ends")} />
        <i style={{ left: at(draft.ng) }} title={t("judge.ng.begins")} />
      </span>
      <span class="figure">
        {number(scale[1], 1)} {t("nats")}
      </span>
    </div>
  );
}

type MistakeProps = { title: string; list: readonly Score[]; near: readonly Score[]; found: Scores; draft: Thresholds; scale: readonly [number, number]; opacity: number };

/** The worst mistakes; where there is none, what came nearest to one. */
function Mistakes({ title, list, near, found, draft, scale, opacity }: MistakeProps): JSX.Element {
  return (
    <Panel title={title}>
      {list.length === 0 && <p class="muted">{t(near.length === 0 ? "judge.noimages" : "judge.nearest")}</p>}
      <ul class="mistake-list">
        {(list.length > 0 ? list.slice(0, SHOWN) : near).map((score) => (
          <Mistake key={score.id} score={score} model={found.model} scale={scale} opacity={opacity} draft={draft} />
        ))}
      </ul>
      {list.length > SHOWN && <p class="muted small">{t("judge.more", { n: list.length - SHOWN })}</p>}
    </Panel>
  );
}

function Mistake({ score, model, scale, opacity, draft }: { score: Score; model: string; scale: readonly [number, number]; opacity: number; draft: Thresholds }): JSX.Element | null {
  const item = itemById.value.get(score.id);
  const verdict = verdictOf(score.score, draft);
  if (!item) return null;
  return (
    <li>
      <a href={`#/edit/${encodeURIComponent(item.id)}`}>
        <HeatPicture id={item.id} address={api.image(item)} model={model} scale={scale} opacity={opacity} />
        <span class="name">{nameOf(item.id)}</span>
        <span class="chips">
          <VerdictChip verdict={verdict} score={score.score} />
          {item.type && item.type !== "bad" && <span class="muted small">{item.type}</span>}
        </span>
      </a>
    </li>
  );
}
