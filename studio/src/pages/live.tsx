/** What the promoted model says of the parts that arrive. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, type Drift, type Label, type LivePart, type LiveState } from "../api";
import { scaleOf } from "../colors";
import { clock, number, percent, t } from "../i18n";
import { useShortcuts } from "../keys";
import { attempt, go, itemById, label, liveTick, models, project, scores } from "../store";
import { Button, Empty, nameOf, VerdictChip } from "../ui";
import { HeatPicture } from "./heat";

export function Live(): JSX.Element {
  const [state, setState] = useState<LiveState>();
  const [at, setAt] = useState(0);
  useEffect(() => {
    void attempt(async () => setState(await api.live()));
  }, [liveTick.value, project.value?.revision]);
  const waiting = (state?.parts ?? []).filter((part) => part.there);
  const current = waiting[Math.min(at, waiting.length - 1)];
  const answer = async (to: Label) => {
    if (!current) return;
    const moved = await label([current.id], to);
    if (to === "bad" && moved?.[0]) go("edit", moved[0]);
  };
  const move = (by: number) => setAt(Math.max(0, Math.min(waiting.length - 1, Math.min(at, waiting.length - 1) + by)));
  useShortcuts("page.live", [
    { key: "1", text: "do.good", run: () => void answer("good") },
    { key: "2", text: "do.bad", run: () => void answer("bad") },
    { key: "ArrowRight", text: "do.next", run: () => move(1) },
    { key: "ArrowLeft", text: "do.previous", run: () => move(-1) },
    { key: "Enter", text: "do.next", run: () => move(1) },
    { key: "e", text: "do.open", run: () => current && go("edit", current.id) },
  ]);
  if (!state) return <p class="loading">{t("loading")}</p>;
  if (!state.serving) {
    return (
      <Empty title={t("live.nothing")}>
        <p>{t("live.nothing.text")}</p>
        <Button kind="main" onClick={() => go("judge")}>
          {t("page.judge")}
        </Button>
      </Empty>
    );
  }
  const { counts } = state;
  const all = counts.ok + counts.review + counts.ng + counts.fault;
  const toggle = () => void attempt(async () => (await api.watch(!state.watching), setState(await api.live())));
  return (
    <div class="live">
      <div class="filters">
        <p class="facts">
          <strong>{state.serving.model}</strong> v{state.serving.version} · {t("live.folder")} <code class="path">{state.folder}</code>
        </p>
        <span class="gap" />
        <Button kind={state.watching ? "plain" : "main"} icon="live" pressed={state.watching} onClick={toggle}>
          {state.watching ? t("live.stop") : t("live.start")}
        </Button>
      </div>
      <dl class="counters">
        {(["ok", "review", "ng", "fault"] as const).map((kind) => (
          <div key={kind} class={kind}>
            <dt>{kind === "fault" ? t("verdict.fault") : kind.toUpperCase()}</dt>
            <dd class="figure">
              {counts[kind]} <small>{all > 0 ? percent(counts[kind] / all) : ""}</small>
            </dd>
          </div>
        ))}
      </dl>
      {state.drift && <DriftNote drift={state.drift} />}
      {state.parts.length === 0 && <p class="nothing">{state.watching ? t("live.waiting") : t("live.off")}</p>}
      <div class="live-body">
        {current && <Current part={current} model={state.serving.model} onAnswer={(to) => void answer(to)} />}
        <ul class="parts" aria-label={t("live.parts")}>
          {state.parts.slice(0, 60).map((part) => (
            <PartLine key={part.id + part.at} part={part} current={part === current} onClick={() => setAt(waiting.indexOf(part))} />
          ))}
        </ul>
      </div>
      <p class="muted small">
        {t("live.serve")} <code class="path">bgad serve --repository {state.repository}</code>
      </p>
    </div>
  );
}

/** Whether the scores are still those of the first parts. */
function DriftNote({ drift }: { drift: Drift }): JSX.Element {
  const { statistics, threshold, reference, reference_size: size } = drift;
  const last = statistics.at(-1);
  const [width, height, most] = [240, 44, Math.max(1.6 * threshold, ...statistics)];
  const shown = statistics.slice(-40);
  const y = (value: number) => height - (value / most) * height;
  const state = last === undefined ? "queued" : last > threshold ? "warning" : "done";
  const says = last === undefined ? t(reference < size ? "drift.reference" : "drift.window", { n: reference, of: size, window: drift.window }) : t(last > threshold ? "drift.yes" : "drift.no", { d: number(last, 2), most: number(threshold, 2) });
  return (
    <section class="drift" aria-label={t("drift")}>
      <div>
        <h2>{t("drift")}</h2>
        <p>
          <span class={`state ${state}`}>{t(`drift.state.${state}`)}</span> {says}
        </p>
        <p class="muted small">{t("drift.text", { window: drift.window, of: size, rate: percent(drift.false_alarms_per_window, 1) })}</p>
        {drift.last_alarm && <p class="small">{t("drift.alarms", { n: drift.alarms, at: clock(Date.parse(drift.last_alarm)) })}</p>}
      </div>
      {shown.length > 0 && (
        <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={t("drift.chart", { n: shown.length, most: number(threshold, 2) })}>
          {shown.map((value, i) => (
            <rect key={i} class={value > threshold ? "bar over" : "bar"} x={(i * width) / 40} width={width / 40 - 1.5} y={y(value)} height={height - y(value)} />
          ))}
          <line class="limit" x1="0" x2={width} y1={y(threshold)} y2={y(threshold)} />
        </svg>
      )}
    </section>
  );
}

function Current({ part, model, onAnswer }: { part: LivePart; model: string; onAnswer: (to: Label) => void }): JSX.Element | null {
  const [opacity, setOpacity] = useState(0.5);
  const item = itemById.value.get(part.id);
  const hasMap = models.value.some((other) => other.name === model && other.facts) && part.score !== null;
  const scale = scores.value?.model === model ? scaleOf(scores.value.scores) : ([0, 20] as const);
  if (!item) return null;
  return (
    <section class={`current ${part.verdict?.toLowerCase() ?? "fault"}`} aria-label={t("live.current")}>
      {hasMap ? (
        <HeatPicture id={item.id} address={api.image(item)} model={model} scale={scale} opacity={opacity} />
      ) : (
        <img src={api.image(item)} alt={nameOf(part.id)} />
      )}
      <div>
        <h2>{nameOf(part.id)}</h2>
        <VerdictChip verdict={part.verdict} score={part.score} />
        {part.error && <p class="error">{part.error}</p>}
        <p class="muted small">
          {clock(part.at)} · {number(part.millis, 0)} ms
        </p>
        {hasMap && (
          <label class="field range">
            <span>{t("map")}</span>
            <input type="range" min="0" max="100" value={opacity * 100} onInput={(event) => setOpacity(event.currentTarget.valueAsNumber / 100)} />
            <output>{Math.round(opacity * 100)} %</output>
          </label>
        )}
        <p class="buttons">
          <Button hotkey="1" onClick={() => onAnswer("good")}>
            {t("live.isgood")}
          </Button>
          <Button hotkey="2" onClick={() => onAnswer("bad")}>
            {t("live.isbad")}
          </Button>
        </p>
      </div>
    </section>
  );
}

function PartLine({ part, current, onClick }: { part: LivePart; current: boolean; onClick: () => void }): JSX.Element {
  const item = itemById.value.get(part.id);
  return (
    <li class={current ? "current" : ""}>
      <button type="button" onClick={onClick} disabled={!part.there} aria-pressed={current}>
        {item ? <img src={api.thumb(item)} alt="" loading="lazy" /> : <span class="thumb-gone">{t("live.sorted")}</span>}
        <span class="name">{nameOf(part.id)}</span>
        <VerdictChip verdict={part.verdict} score={part.score} />
      </button>
    </li>
  );
}
