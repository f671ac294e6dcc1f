/** How good a model is, and where its thresholds should be. */
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, type Inspection, type Score, type Scores, type Thresholds } from "../api";
import { color, paintMap, scaleOf } from "../colors";
import { number, percent, t } from "../i18n";
import { histogram, judge, ppm, tested, worst, type Outcome } from "../judge";
import { attempt, go, itemById, loadJobs, loadModels, loadScores, modelName, models, say, scores } from "../store";
import { Button, Empty, nameOf, Panel, Select, VerdictChip } from "../ui";

/** Mistakes shown of each kind. */
const SHOWN = 12;

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
        <Button onClick={() => void attempt(() => api.start({ kind: "score", model: modelName.value }).then(loadJobs))}>
          {found && found.missing > 0 ? t("judge.score.missing", { n: found.missing }) : t("judge.score")}
        </Button>
        <span class="gap" />
        <Promote />
      </div>
      {!found ? null : tested(found.scores).length === 0 ? <Unscored found={found} /> : <Judged key={found.model} found={found} />}
    </>
  );
}

function Promote(): JSX.Element {
  const serving = models.value.find((model) => model.serving)?.name;
  const promote = async () => {
    await attempt(() => api.promote(modelName.value));
    say(t("live.promoted", { model: modelName.value }));
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
  const dirty = draft.ok !== found.thresholds.ok || draft.ng !== found.thresholds.ng;
  const save = async () => {
    await attempt(() => api.setThresholds(found.model, draft.ok, draft.ng));
    say(t("judge.saved"));
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
      <Mistakes title={t("judge.escapes", { n: escapes.length })} none={t("judge.escapes.none")} list={escapes} found={found} draft={draft} scale={scale} opacity={opacity} />
      <Mistakes title={t("judge.alarms", { n: alarms.length })} none={t("judge.alarms.none")} list={alarms} found={found} draft={draft} scale={scale} opacity={opacity} />
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

function Histogram({ test, draft, onChange }: { test: readonly Score[]; draft: Thresholds; onChange: (to: Thresholds) => void }): JSX.Element {
  const box = useRef<SVGSVGElement>(null);
  const bins = useMemo(() => histogram(test, 60), [test]);
  const most = Math.max(1, ...bins.map((bin) => Math.max(bin.good, bin.bad)));
  const [first, last] = [bins[0]!, bins.at(-1)!];
  const spare = (last.to - first.from) * 0.04;
  const [low, high] = [Math.min(first.from, draft.ok) - spare, Math.max(last.to, draft.ng) + spare];
  const [width, height] = [1000, 220];
  const middle = height / 2;
  const x = (score: number) => ((score - low) / (high - low)) * width;
  const bar = (count: number) => (Math.sqrt(count / most) * (height - 30)) / 2;
  const set = (which: "ok" | "ng", value: number) => {
    const at = Math.fround(Math.min(high, Math.max(low, value)));
    onChange(which === "ok" ? { ok: at, ng: Math.max(at, draft.ng) } : { ok: Math.min(at, draft.ok), ng: at });
  };
  const drag = (which: "ok" | "ng") => (event: PointerEvent) => {
    const handle = event.currentTarget as SVGElement;
    handle.setPointerCapture(event.pointerId);
    const move = (at: PointerEvent) => {
      const frame = box.current!.getBoundingClientRect();
      set(which, low + ((at.clientX - frame.left) / frame.width) * (high - low));
    };
    const end = () => {
      handle.removeEventListener("pointermove", move);
      handle.removeEventListener("pointerup", end);
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", end);
  };
  const keys = (which: "ok" | "ng") => (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    set(which, draft[which] + (by * (high - low)) / 400);
  };
  return (
    <div class="histogram">
      <svg ref={box} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={t("judge.histogram")}>
        <rect class="zone ok" x="0" y="0" width={x(draft.ok)} height={height} />
        <rect class="zone review" x={x(draft.ok)} y="0" width={x(draft.ng) - x(draft.ok)} height={height} />
        <rect class="zone ng" x={x(draft.ng)} y="0" width={width - x(draft.ng)} height={height} />
        {bins.map((bin) => (
          <g key={bin.from}>
            <rect class="count good" x={x(bin.from)} width={Math.max(1, x(bin.to) - x(bin.from) - 1)} y={middle - bar(bin.good)} height={bar(bin.good)} />
            <rect class="count bad" x={x(bin.from)} width={Math.max(1, x(bin.to) - x(bin.from) - 1)} y={middle} height={bar(bin.bad)} />
          </g>
        ))}
        <line class="axis" x1="0" x2={width} y1={middle} y2={middle} />
      </svg>
      <span class="kind good">▲ {t("judge.above")}</span>
      <span class="kind bad">▼ {t("judge.below")}</span>
      {(["ok", "ng"] as const).map((which) => (
        <div
          key={which}
          class={`handle ${which}`}
          role="slider"
          tabIndex={0}
          aria-label={t(which === "ok" ? "judge.ok.ends" : "judge.ng.begins")}
          aria-valuemin={low}
          aria-valuemax={high}
          aria-valuenow={draft[which]}
          aria-valuetext={number(draft[which], 3)}
          style={{ left: `${(x(draft[which]) / width) * 100}%` }}
          onPointerDown={drag(which) as never}
          onKeyDown={keys(which)}
        >
          <span class="figure">
            {which === "ok" ? "OK ≤" : "NG >"} {number(draft[which], 2)}
          </span>
        </div>
      ))}
    </div>
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
    say(t("judge.promised", { share: percent(Number(share)), sure: percent(Number(confidence), 0) }));
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

type MistakeProps = { title: string; none: string; list: readonly Score[]; found: Scores; draft: Thresholds; scale: readonly [number, number]; opacity: number };

function Mistakes({ title, none, list, found, draft, scale, opacity }: MistakeProps): JSX.Element {
  return (
    <Panel title={title}>
      {list.length === 0 ? (
        <p class="muted">{none}</p>
      ) : (
        <ul class="mistake-list">
          {list.slice(0, SHOWN).map((score) => (
            <Mistake key={score.id} score={score} model={found.model} scale={scale} opacity={opacity} draft={draft} />
          ))}
        </ul>
      )}
      {list.length > SHOWN && <p class="muted small">{t("judge.more", { n: list.length - SHOWN })}</p>}
    </Panel>
  );
}

function Mistake({ score, model, scale, opacity, draft }: { score: Score; model: string; scale: readonly [number, number]; opacity: number; draft: Thresholds }): JSX.Element | null {
  const item = itemById.value.get(score.id);
  const verdict = score.score <= draft.ok ? "OK" : score.score <= draft.ng ? "REVIEW" : "NG";
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

/** A picture with its map over it, asked for when it comes into view. */
export function HeatPicture({ id, address, model, scale, opacity }: { id: string; address: string; model: string; scale: readonly [number, number]; opacity: number }): JSX.Element {
  const host = useRef<HTMLSpanElement>(null);
  const [found, setFound] = useState<Inspection>();
  useEffect(() => {
    let stale = false;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      void attempt(async () => {
        const answer = await api.inspect(model, id);
        if (!stale) setFound(answer);
      });
    });
    observer.observe(host.current!);
    return () => {
      stale = true;
      observer.disconnect();
    };
  }, [id, model]);
  useEffect(() => {
    const old = host.current?.querySelector("canvas");
    old?.remove();
    if (found) host.current?.append(paintMap(found.map, found.width, found.height, scale));
  }, [found, scale]);
  return (
    <span ref={host} class="heat" style={{ "--opacity": String(opacity) }}>
      <img src={address} alt="" loading="lazy" />
      {found?.whole_image && <span class="whole">{t("map.whole")}</span>}
    </span>
  );
}
