/** Teach a model what it judged wrongly: pick, draw, learn, compare, keep or drop. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api, type Counts, type Job, type Lesson, type Promotion, type Score } from "../api";
import { clock, scoreText, t } from "../i18n";
import { attempt, go, itemById, jobs, loadJobs, loadModels, modelName, models, promotions, say, scores } from "../store";
import { Button, Choice, Empty, LabelChip, nameOf, Panel, VerdictChip } from "../ui";
import { ModelChoice } from "./judge";

export function Learn(): JSX.Element {
  if (!modelName.value) {
    return (
      <Empty title={t("judge.nomodel")}>
        <p>{t("learn.nomodel")}</p>
        <Button kind="main" onClick={() => go("train")}>
          {t("page.train")}
        </Button>
      </Empty>
    );
  }
  return (
    <>
      <div class="filters">
        <ModelChoice />
        <p class="facts">{t("learn.lead")}</p>
      </div>
      <div class="columns">
        <Candidates />
        <div>
          <Lessons />
          <History />
        </div>
      </div>
    </>
  );
}

/** Labelled images that the model has not learned from and does not judge as labelled. */
function wrong(list: readonly Score[]): Score[] {
  return list
    .filter((score) => score.role !== "train" && score.label !== "unlabelled" && (score.verdict === "OK") !== (score.label === "good"))
    .sort((a, b) => (a.label === b.label ? b.score - a.score : a.label === "bad" ? -1 : 1));
}

function Candidates(): JSX.Element {
  const [pace, setPace] = useState<"quick" | "fast">("fast");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const list = wrong(scores.value?.scores ?? []).slice(0, 60);
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const ids = [...chosen].filter((id) => list.some((score) => score.id === id));
  const undrawn = ids.filter((id) => itemById.value.get(id)?.label === "bad" && !itemById.value.get(id)?.mask);
  const learn = async () => {
    const job = await attempt(() => api.start({ kind: "learn", model: modelName.value, ids, quick: pace === "quick" }));
    if (!job) return;
    setChosen(new Set());
    await attempt(loadJobs);
  };
  return (
    <Panel
      title={t("learn.wrong", { n: list.length })}
      actions={
        <Button kind="main" icon="learn" disabled={ids.length === 0 || undrawn.length > 0} onClick={() => void learn()}>
          {t("learn.do", { n: ids.length })}
        </Button>
      }
    >
      {list.length === 0 && <p class="muted">{scores.value?.scores.length ? t("learn.nothing") : t("learn.unscored")}</p>}
      {undrawn.length > 0 && <p class="warn">{t("learn.draw", { n: undrawn.length })}</p>}
      {list.length > 0 && (
        <div class="field wide">
          <span>{t("train.preset")}</span>
          <Choice name={t("train.preset")} value={pace} options={(["quick", "fast"] as const).map((value) => ({ value, text: t(`learn.${value}`) }))} onChange={setPace} />
          <small>{t(`learn.${pace}.why`)}</small>
        </div>
      )}
      <ul class="candidates">
        {list.map((score) => {
          const item = itemById.value.get(score.id);
          if (!item) return null;
          return (
            <li key={score.id}>
              <label>
                <input type="checkbox" checked={chosen.has(score.id)} onChange={() => toggle(score.id)} />
                <img src={api.thumb(item)} alt="" loading="lazy" />
                <span>
                  <span class="name">{nameOf(item.id)}</span>
                  <span class="chips">
                    <LabelChip item={item} /> <VerdictChip verdict={score.verdict} score={score.score} />
                  </span>
                </span>
              </label>
              <Button onClick={() => go("edit", item.id)}>{item.label === "bad" && !item.mask ? t("learn.draw.do") : t("open")}</Button>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

function Lessons(): JSX.Element | null {
  const list = jobs.value.filter((job) => job.task.kind === "learn" && job.state === "done" && job.result).slice(0, 5);
  if (list.length === 0) return null;
  return (
    <Panel title={t("learn.lessons")}>
      {list.map((job) => (
        <LessonCard key={job.id} job={job} />
      ))}
    </Panel>
  );
}

function LessonCard({ job }: { job: Job }): JSX.Element {
  const lesson = job.result as Lesson;
  const there = models.value.some((model) => model.name === lesson.to);
  const better = lesson.after.escapes <= lesson.before.escapes;
  const drop = async () => {
    await attempt(() => api.removeModel(lesson.to));
    say(t("model.removed", { model: lesson.to }), "info", true);
    await attempt(loadModels);
  };
  const keep = () => {
    modelName.value = lesson.to;
    go("judge");
  };
  const above = (which: 0 | 1) => lesson.thresholds && <span class="muted small">{t("learn.above", { score: scoreText(lesson.thresholds[which]) })}</span>;
  const row = (key: "learn.escapes" | "learn.alarms", value: (counts: Counts) => string) => (
    <tr>
      <th scope="row">{t(key)}</th>
      <td class="figure">{value(lesson.before)}</td>
      <td class="figure">{value(lesson.after)}</td>
    </tr>
  );
  return (
    <article class="lesson">
      <table>
        <caption>
          {lesson.from} → <strong>{lesson.to}</strong> · {clock(job.created)}
        </caption>
        <thead>
          <tr>
            <th scope="col">{t("learn.apart")}</th>
            <th scope="col">
              {t("learn.before")} {above(0)}
            </th>
            <th scope="col">
              {t("learn.after")} {above(1)}
            </th>
          </tr>
        </thead>
        <tbody>
          {row("learn.escapes", (c) => `${c.escapes} / ${c.defective}`)}
          {row("learn.alarms", (c) => `${c.false_alarms} / ${c.good}`)}
        </tbody>
      </table>
      <ul class="learned">
        {lesson.learned.map((one) => (
          <li key={one.id}>
            <span class="name">{nameOf(one.id)}</span> <VerdictChip verdict={one.before[1]} score={one.before[0]} /> → <VerdictChip verdict={one.after[1]} score={one.after[0]} />
          </li>
        ))}
      </ul>
      {!better && <p class="warn">{t("learn.worse")}</p>}
      <p class="buttons">
        <Button kind={better ? "main" : "plain"} disabled={!there} onClick={keep}>
          {t("learn.keep")}
        </Button>
        <Button disabled={!there} onClick={() => void drop()}>
          {t("learn.drop")}
        </Button>
      </p>
    </article>
  );
}

/** What was promoted when; anything before can come back. */
function History(): JSX.Element | null {
  const list = [...promotions.value].reverse();
  if (list.length === 0) return null;
  const back = async ({ model, version }: Promotion) => {
    if (await attempt(() => api.rollBack(version))) say(t("live.promoted", { model }));
    await attempt(loadModels);
  };
  return (
    <Panel title={t("history")}>
      <ol class="history">
        {list.slice(0, 10).map((promotion, i) => (
          <li key={promotion.version}>
            <span class="figure muted">v{promotion.version}</span> <strong>{promotion.model}</strong> <span class="muted small">{clock(promotion.at)}</span>
            <span class="gap" />
            {i === 0 ? (
              <span class="state done">{t("model.serving")}</span>
            ) : (
              <Button onClick={() => void back(promotion)}>{t("rollback")}</Button>
            )}
          </li>
        ))}
      </ol>
    </Panel>
  );
}
