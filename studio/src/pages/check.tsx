/** What is wrong with the images, before anybody trains on them. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api, type Finding } from "../api";
import { nameOfCheck, t } from "../i18n";
import { attempt, checkup as known, filter, go, itemOfFile, jobs, label, loadCheckup, loadItems, loadJobs, NO_FILTER, say } from "../store";
import { Button, Choice, Empty } from "../ui";

const SIGNS = { error: "✕", warning: "!", note: "i" } as const;
/** Findings whose cure loses nothing, since it can be undone. */
const FIXES: Record<string, "remove" | "upright" | "aside"> = {
  duplicate: "remove",
  leak: "remove",
  "good-and-defective": "remove",
  "exif-rotation": "upright",
  unreadable: "remove",
  "looks-bad": "aside",
};

export function Check(): JSX.Element {
  const checkup = known.value;
  const [quick, setQuick] = useState<"quick" | "full">("full");
  const running = jobs.value.some((job) => job.task.kind === "doctor" && (job.state === "running" || job.state === "queued"));
  const run = () => void attempt(() => api.start({ kind: "doctor", quick: quick === "quick" }).then(loadJobs));
  const count = (severity: Finding["severity"]) => checkup?.findings.filter((finding) => finding.severity === severity).length ?? 0;
  return (
    <>
      <div class="filters">
        <Choice name={t("check.depth")} value={quick} options={(["full", "quick"] as const).map((value) => ({ value, text: t(`check.${value}`) }))} onChange={setQuick} />
        <Button kind="main" disabled={running} onClick={run}>
          {running ? t("check.running") : t("check.run")}
        </Button>
        {checkup && (
          <p class="facts" role="status">
            {t("check.counts", { good: checkup.good, bad: checkup.defective, errors: count("error"), warnings: count("warning"), notes: count("note") })}
          </p>
        )}
        {checkup?.findings.some((finding) => itemOfFile.value.has(finding.file)) && (
          <Button onClick={() => ((filter.value = { ...NO_FILTER, finding: "*" }), go("images"))}>{t("check.show")}</Button>
        )}
      </div>
      {checkup === null && !running && (
        <Empty title={t("check.never")}>
          <p>{t("check.never.text")}</p>
        </Empty>
      )}
      {checkup && checkup.findings.length === 0 && (
        <Empty title={t("check.sound")}>
          <p>{t("check.sound.text")}</p>
        </Empty>
      )}
      {checkup && checkup.findings.length > 0 && (
        <ul class="findings">
          {checkup.findings.map((finding, i) => (
            <Line key={`${finding.check}-${finding.file}-${i}`} finding={finding} />
          ))}
        </ul>
      )}
    </>
  );
}

function Line({ finding }: { finding: Finding }): JSX.Element {
  const item = itemOfFile.value.get(finding.file);
  const how = FIXES[finding.check];
  const fix = async () => {
    if (!how || !item) return;
    if (how === "aside") await label([item.id], "unlabelled");
    else if (await attempt(() => api.fix(item.id, how))) say(t("check.fixed"), "info", true);
    await attempt(() => Promise.all([loadItems(), loadCheckup()]));
  };
  return (
    <li class={`finding ${finding.severity}${finding.there ? "" : " gone"}`}>
      <span class="thumb">{item ? <img src={api.thumb(item)} alt="" loading="lazy" /> : <span aria-hidden="true">{SIGNS[finding.severity]}</span>}</span>
      <div>
        <p>
          <span class={`state ${finding.severity}`}>
            <span aria-hidden="true">{SIGNS[finding.severity]}</span> {t(`severity.${finding.severity}`)}
          </span>{" "}
          <strong>{finding.file || t("check.all")}</strong> <span class="muted small">{nameOfCheck(finding.check)}</span>
        </p>
        <p>{finding.problem}</p>
        <p class="muted">{finding.there ? finding.fix : t("check.gone")}</p>
      </div>
      <div class="buttons">
        {item && <Button onClick={() => go("edit", item.id)}>{t("open")}</Button>}
        {item && how && (
          <Button kind="main" onClick={() => void fix()}>
            {t(`fix.${how}`)}
          </Button>
        )}
      </div>
    </li>
  );
}
