/** Training: choices with their reasons, an estimate first, what is under way, what there is. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { api, type Estimate, type Job, type Model, type TrainTask } from "../api";
import { clock, duration, number, t } from "../i18n";
import { attempt, go, items, jobs, jobTitle, loadJobs, loadModels, modelName, models, say } from "../store";
import { Button, Choice, Meter, Panel } from "../ui";

export function Train(): JSX.Element {
  return (
    <div class="columns">
      <NewTraining />
      <div>
        <Queue />
        <Models />
      </div>
    </div>
  );
}

/** A name that is not taken, nor the beginning of a lesson's: model-1, model-2 ... */
function freeName(taken: readonly string[]): string {
  for (let n = 1; ; n++) {
    const name = `model-${n}`;
    if (!taken.some((other) => other === name || other.startsWith(`${name}-`))) return name;
  }
}

function NewTraining(): JSX.Element {
  const taken = [...models.value.map((model) => model.name), ...jobs.value.flatMap((job) => (job.task.kind === "train" && ["queued", "running", "paused"].includes(job.state) ? [job.task.name] : []))];
  const [name, setName] = useState("");
  const [preset, setPreset] = useState<"quick" | "fast">("fast");
  const [holdOut, setHoldOut] = useState(0.2);
  const [anomalies, setAnomalies] = useState("");
  const [input, setInput] = useState("");
  const [schedule, setSchedule] = useState("");
  const [seed, setSeed] = useState("0");
  const [estimate, setEstimate] = useState<Estimate | "busy" | undefined>();
  const good = items.value.filter((item) => item.label === "good").length;
  const bad = items.value.filter((item) => item.label === "bad");
  const masked = bad.filter((item) => item.mask).length;

  const task = (): TrainTask => ({
    kind: "train",
    name: name.trim() || freeName(taken),
    preset,
    input: input.trim() || null,
    schedule: schedule.trim() || null,
    anomalies: anomalies.trim() === "" ? null : Number(anomalies),
    hold_out: holdOut,
    seed: Number(seed) || 0,
  });
  const ask = async () => {
    setEstimate("busy");
    setEstimate(await attempt(() => api.estimate(task())));
  };
  const start = async () => {
    const job = await attempt(() => api.start(task()));
    if (!job) return;
    setName("");
    setEstimate(undefined);
    say(t("train.queued", { model: (job.task as TrainTask).name }));
    await attempt(loadJobs);
  };
  const changed = () => setEstimate(undefined);

  return (
    <Panel title={t("train.new")}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void start();
        }}
        onInput={changed}
      >
        <p class="facts">
          {t("train.have", { good, bad: bad.length, masked })}
          {good < 2 && <strong class="warn"> {t("train.need.good")}</strong>}
        </p>
        <label class="field wide">
          <span>{t("model.name")}</span>
          <input value={name} placeholder={freeName(taken)} onInput={(event) => setName(event.currentTarget.value)} autocomplete="off" spellcheck={false} />
        </label>
        <div class="field wide">
          <span>{t("train.preset")}</span>
          <Choice
            name={t("train.preset")}
            value={preset}
            options={(["quick", "fast"] as const).map((value) => ({ value, text: t(`train.${value}`) }))}
            onChange={(value) => (setPreset(value), changed())}
          />
          <small>{t(`train.${preset}.why`)}</small>
        </div>
        <label class="field wide">
          <span>{t("train.holdout")}</span>
          <select value={String(holdOut)} onChange={(event) => (setHoldOut(Number(event.currentTarget.value)), changed())}>
            {[0, 0.1, 0.2, 0.3, 0.5].map((share) => (
              <option key={share} value={String(share)}>
                {share === 0 ? t("train.holdout.none") : t("train.holdout.some", { percent: share * 100, n: Math.round(good * 0.8 * share) })}
              </option>
            ))}
          </select>
          <small>{t("train.holdout.why")}</small>
        </label>
        <label class="field wide">
          <span>{t("train.defects")}</span>
          <input type="number" min="0" max={masked} value={anomalies} placeholder={t("train.auto")} onInput={(event) => setAnomalies(event.currentTarget.value)} />
          <small>{t("train.defects.why")}</small>
        </label>
        <details>
          <summary>{t("train.more")}</summary>
          <label class="field wide">
            <span>{t("train.input")}</span>
            <input value={input} placeholder="256" pattern="\d+(x\d+)?" onInput={(event) => setInput(event.currentTarget.value)} />
            <small>{t("train.input.why")}</small>
          </label>
          <label class="field wide">
            <span>{t("train.schedule")}</span>
            <input value={schedule} placeholder={t("train.auto")} pattern="\d+x\d+" onInput={(event) => setSchedule(event.currentTarget.value)} />
            <small>{t("train.schedule.why")}</small>
          </label>
          <label class="field wide">
            <span>{t("train.seed")}</span>
            <input type="number" min="0" value={seed} onInput={(event) => setSeed(event.currentTarget.value)} />
          </label>
        </details>
        {estimate === "busy" && <p role="status">{t("train.measuring")}</p>}
        {estimate && estimate !== "busy" && (
          <p class="estimate" role="status">
            <strong>{t("train.about", { time: duration(estimate.secs) })}</strong>{" "}
            {t("train.plan", { good: estimate.good, defects: estimate.defects, held: estimate.held_out, tg: estimate.test_good, tb: estimate.test_bad, passes: estimate.passes, input: estimate.input })}
          </p>
        )}
        <p class="buttons">
          <Button disabled={good < 2 || estimate === "busy"} onClick={() => void ask()}>
            {t("train.estimate")}
          </Button>
          <button type="submit" class="button main" disabled={good < 2}>
            {t("train.start")}
          </button>
        </p>
      </form>
    </Panel>
  );
}

function Queue(): JSX.Element | null {
  const list = jobs.value.slice(0, 8);
  if (list.length === 0) return null;
  return (
    <Panel title={t("jobs")}>
      <ul class="jobs">
        {list.map((job) => (
          <JobLine key={job.id} job={job} />
        ))}
      </ul>
    </Panel>
  );
}

function JobLine({ job }: { job: Job }): JSX.Element {
  const { state, progress } = job;
  const tell = (command: "pause" | "resume" | "cancel") => void attempt(() => api.command(job.id, command).then(loadJobs));
  const active = state === "running" || state === "paused";
  const stage = progress.stage ? t(`stage.${progress.stage as "encoding" | "training" | "finishing" | "scoring" | "reading"}`) : "";
  const left = active && progress.secs_left !== null && state === "running" ? t("left", { time: duration(progress.secs_left) }) : "";
  return (
    <li class={`job ${state}`}>
      <div class="job-head">
        <strong>{jobTitle(job)}</strong>
        <span class={`state ${state}`}>{t(`state.${state}`)}</span>
        <span class="gap" />
        {state === "running" && job.task.kind !== "doctor" && <Button onClick={() => tell("pause")}>{t("pause")}</Button>}
        {state === "paused" && <Button onClick={() => tell("resume")}>{t("resume")}</Button>}
        {(state === "interrupted" || state === "failed" || state === "cancelled") && <Button onClick={() => tell("resume")}>{t(state === "failed" ? "retry" : "resume")}</Button>}
        {(active || state === "queued") && <Button onClick={() => tell("cancel")}>{t("cancel")}</Button>}
        {state === "done" && job.task.kind === "train" && (
          <Button
            onClick={() => {
              if (job.task.kind === "train") modelName.value = job.task.name;
              go("judge");
            }}
          >
            {t("page.judge")}
          </Button>
        )}
      </div>
      {active && (
        <>
          <Meter value={progress.total > 0 ? progress.done / progress.total : null} text={jobTitle(job)} />
          <p class="muted small figure">
            {stage} {progress.total > 0 && `${progress.done}/${progress.total}`} {left}
          </p>
          {progress.losses.length > 1 && <Curve losses={progress.losses} />}
        </>
      )}
      {job.error && <p class="error">{job.error}</p>}
      {job.skipped.length > 0 && (
        <details>
          <summary>{t("job.skipped", { n: job.skipped.length })}</summary>
          <ul class="small">
            {job.skipped.slice(0, 50).map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}

/** The loss of each pass. */
export function Curve({ losses }: { losses: readonly number[] }): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const data = (): uPlot.AlignedData => [losses.map((_, i) => i + 1), [...losses]];
  useEffect(() => {
    const element = host.current!;
    const style = getComputedStyle(element);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui", size: 34 };
    const made = new uPlot(
      {
        width: element.clientWidth || 300,
        height: 110,
        cursor: { show: false },
        legend: { show: false },
        scales: { x: { time: false } },
        axes: [{ ...axis, size: 22, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] }, { ...axis, size: 44 }],
        series: [{}, { stroke: color("--accent"), width: 2, points: { show: losses.length < 30 } }],
      },
      data(),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: 110 }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(data()), [losses.length]);
  return <div ref={host} class="curve" role="img" aria-label={t("train.curve", { first: losses[0] ?? 0, last: losses.at(-1) ?? 0 })} />;
}

function Models(): JSX.Element {
  return (
    <Panel title={t("models")}>
      {models.value.length === 0 && <p class="muted">{t("models.none")}</p>}
      <ul class="models">
        {models.value.map((model) => (
          <ModelLine key={model.name} model={model} />
        ))}
      </ul>
    </Panel>
  );
}

function ModelLine({ model }: { model: Model }): JSX.Element {
  const { facts } = model;
  const remove = async () => {
    await attempt(() => api.removeModel(model.name));
    say(t("model.removed", { model: model.name }), "info", true);
    await attempt(loadModels);
  };
  return (
    <li class={`model${model.name === modelName.value ? " current" : ""}`}>
      <div class="job-head">
        <strong>{model.name}</strong>
        {model.serving && <span class="state done">{t("model.serving")}</span>}
        <span class="gap" />
        <Button onClick={() => ((modelName.value = model.name), go("judge"))} disabled={!facts}>
          {t("page.judge")}
        </Button>
        <Button kind="quiet" onClick={() => void remove()}>
          {t("remove")}
        </Button>
      </div>
      {facts ? (
        <p class="muted small">
          {t("model.facts", { good: facts.good, defects: facts.defects, input: facts.input, passes: facts.passes })} · {number(model.bytes / 1e6, 1)} MB · {clock(model.modified)}
        </p>
      ) : (
        <p class="error">{model.error}</p>
      )}
    </li>
  );
}
