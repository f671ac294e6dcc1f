/** Two models side by side, image by image. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, type Score, type Scores } from "../api";
import { scaleOf } from "../colors";
import { t } from "../i18n";
import { judge, pairs, tested, type Judged, type Pair } from "../judge";
import { attempt, itemById, jobs, loadJobs, modelName, models, scores } from "../store";
import { Button, Choice, LabelChip, nameOf, Panel, Select, VerdictChip } from "../ui";
import { HeatPicture } from "./heat";

/** Images shown before somebody asks for more. */
const PAGE = 12;

/** The model that is compared with the one chosen; empty for none. */
export const other = signal("");

export function OtherChoice(): JSX.Element | null {
  const names = models.value.filter((model) => model.facts && model.name !== modelName.value).map((model) => model.name);
  if (!names.includes(other.value)) other.value = "";
  if (names.length === 0) return null;
  const options = [{ value: "", text: t("compare.none") }, ...names.map((value) => ({ value, text: value }))];
  return <Select name={t("compare.with")} value={other.value} options={options} onChange={(value) => (other.value = value)} />;
}

export function Compare(): JSX.Element | null {
  const [second, setSecond] = useState<Scores>();
  const name = other.value;
  const finished = jobs.value.filter((job) => job.state === "done").length;
  useEffect(() => {
    let stale = false;
    void attempt(async () => {
      const found = await api.scores(name);
      if (!stale) setSecond(found);
    });
    return () => {
      stale = true;
    };
  }, [name, scores.value, finished]);
  const first = scores.value;
  if (!first || second?.model !== name) return null;
  return <Compared key={`${first.model} ${name}`} first={first} second={second} />;
}

function Compared({ first, second }: { first: Scores; second: Scores }): JSX.Element {
  const [which, setWhich] = useState<"differ" | "all">("differ");
  const [count, setCount] = useState(PAGE);
  const [opacity, setOpacity] = useState(0.6);
  const all = useMemo(() => pairs(first.scores, second.scores), [first, second]);
  const differing = all.filter((pair) => pair.outcome !== "same");
  const list = which === "differ" ? differing : all;
  const options = [
    { value: "differ" as const, text: t("compare.differ", { n: differing.length }) },
    { value: "all" as const, text: t("compare.all", { n: all.length }) },
  ];
  const scales = useMemo(() => [scaleOf(first.scores), scaleOf(second.scores)] as const, [first, second]);
  return (
    <Panel
      title={t("compare.title", { a: first.model, b: second.model })}
      actions={<Choice name={t("compare.which")} value={which} options={options} onChange={setWhich} />}
    >
      <Missing found={second} />
      <Table first={first} second={second} pairs={all} />
      <label class="field range compare-map">
        <span>{t("map")}</span>
        <input type="range" min="0" max="100" value={opacity * 100} onInput={(event) => setOpacity(event.currentTarget.valueAsNumber / 100)} />
        <output>{Math.round(opacity * 100)} %</output>
      </label>
      {list.length === 0 && <p class="muted">{all.length === 0 ? t("compare.nothing") : t("compare.agree", { n: all.length })}</p>}
      <ul class="pairs">
        {list.slice(0, count).map((pair) => (
          <PairLine key={pair.id} pair={pair} names={[first.model, second.model]} scales={scales} opacity={opacity} />
        ))}
      </ul>
      {list.length > count && <Button onClick={() => setCount(count + 4 * PAGE)}>{t("judge.more", { n: list.length - count })}</Button>}
    </Panel>
  );
}

/** What the other model has not looked at yet. */
function Missing({ found }: { found: Scores }): JSX.Element | null {
  if (found.missing === 0) return null;
  return (
    <p class="buttons">
      <Button onClick={() => void attempt(() => api.start({ kind: "score", model: found.model }).then(loadJobs))}>
        {t("compare.score", { n: found.missing, model: found.model })}
      </Button>
    </p>
  );
}

/** Both models on the images that test both, each with its own thresholds. */
function Table({ first, second, pairs: all }: { first: Scores; second: Scores; pairs: readonly Pair[] }): JSX.Element {
  const of = (side: "a" | "b", found: Scores): Judged => judge(tested(all.map((pair): Score => pair[side])), found.thresholds);
  const [a, b] = [of("a", first), of("b", second)];
  const row = (key: "compare.pass" | "compare.stopped" | "compare.looked", value: (counts: Judged) => string) => (
    <tr>
      <th scope="row">{t(key)}</th>
      <td class="figure">{value(a)}</td>
      <td class="figure">{value(b)}</td>
    </tr>
  );
  return (
    <table class="compare-table">
      <thead>
        <tr>
          <th scope="col">{t("compare.on", { n: all.length })}</th>
          <th scope="col">{first.model}</th>
          <th scope="col">{second.model}</th>
        </tr>
      </thead>
      <tbody>
        {row("compare.pass", ({ bad }) => `${bad.ok} / ${bad.images}`)}
        {row("compare.stopped", ({ good }) => `${good.ng} / ${good.images}`)}
        {row("compare.looked", ({ good, bad }) => `${good.review + bad.review} / ${good.images + bad.images}`)}
      </tbody>
    </table>
  );
}

type PairProps = { pair: Pair; names: [string, string]; scales: readonly [readonly [number, number], readonly [number, number]]; opacity: number };

function PairLine({ pair, names, scales, opacity }: PairProps): JSX.Element | null {
  const item = itemById.value.get(pair.id);
  if (!item) return null;
  const says = { same: t("compare.same"), differs: t("compare.differs"), onlyA: t("compare.only", { model: names[0] }), onlyB: t("compare.only", { model: names[1] }) };
  return (
    <li>
      <p class="pair-head">
        <a class="name" href={`#/edit/${encodeURIComponent(item.id)}`}>
          {nameOf(item.id)}
        </a>
        <LabelChip item={item} />
      </p>
      <div class="pair">
        {([pair.a, pair.b] as const).map((score, i) => (
          <figure key={i}>
            <HeatPicture id={item.id} address={api.image(item)} model={names[i]!} scale={scales[i]!} opacity={opacity} />
            <figcaption>
              <span class="name">{names[i]}</span> <VerdictChip verdict={score.verdict} score={score.score} />
            </figcaption>
          </figure>
        ))}
      </div>
      <p class="muted small">{says[pair.outcome]}</p>
    </li>
  );
}
