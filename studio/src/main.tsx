/** The frame around the pages: where one is, what works, settings, keys, messages. */
import { render, type JSX } from "preact";
import { useState } from "preact/hooks";
import { api } from "./api";
import { duration, LANGUAGES, language, t, type Key, type Language } from "./i18n";
import { listen, scopes, useShortcuts } from "./keys";
import { Check } from "./pages/check";
import { Edit } from "./pages/edit";
import { Images } from "./pages/images";
import { Judge } from "./pages/judge";
import { Learn } from "./pages/learn";
import { Live } from "./pages/live";
import { Train } from "./pages/train";
import { attempt, connect, dismiss, go, jobTitle, loaded, online, PAGES, project, route, singleKeys, theme, toasts, undo, working } from "./store";
import "./styles/tokens.css";
import "./styles/studio.css";
import { Button, Choice, Dialog, Icon, Meter, type IconName } from "./ui";

const VIEWS = { images: Images, edit: Edit, check: Check, train: Train, judge: Judge, learn: Learn, live: Live };

function App(): JSX.Element {
  const [dialog, setDialog] = useState<"" | "keys" | "settings">("");
  useShortcuts("keys.everywhere", [
    { key: "?", text: "keys.list", run: () => setDialog("keys") },
    { key: "z", ctrl: true, shift: false, text: "keys.undo", run: () => void undo() },
    ...PAGES.map((page, i) => ({ key: `F${i + 2}`, text: `page.${page}` as Key, run: () => go(page) })),
  ]);
  const View = VIEWS[route.value.page];
  const here = route.value.page === "edit" ? "images" : route.value.page;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}>
        {t("skip")}
      </a>
      <header class="bar">
        <h1 title={project.value?.path ?? ""}>{project.value?.name ?? "bgad studio"}</h1>
        <nav aria-label={t("pages")}>
          {PAGES.map((page) => (
            <a key={page} href={`#/${page}`} aria-current={page === here ? "page" : undefined}>
              <Icon name={page as IconName} />
              <span>{t(`page.${page}` as Key)}</span>
            </a>
          ))}
        </nav>
        <Working />
        <div class="bar-end">
          <Button icon="undo" kind="quiet" title={t("keys.undo")} hotkey="Ctrl Z" disabled={!project.value?.undo} onClick={() => void undo()} />
          <Button icon="settings" kind="quiet" title={t("settings")} onClick={() => setDialog("settings")} />
        </div>
      </header>
      {!online.value && (
        <p class="offline" role="alert">
          {t("error.gone")}
        </p>
      )}
      <main id="main" tabIndex={-1} class={`page-${route.value.page}`}>
        {loaded.value ? <View key={route.value.page === "edit" ? "edit" : route.value.page} /> : <p class="loading">{t("loading")}</p>}
      </main>
      <Toasts />
      <Keys open={dialog === "keys"} onClose={() => setDialog("")} />
      <Settings open={dialog === "settings"} onClose={() => setDialog("")} onKeys={() => setDialog("keys")} />
    </>
  );
}

function Working(): JSX.Element | null {
  const job = working.value;
  if (!job) return null;
  const { done, total, secs_left } = job.progress;
  const left = secs_left === null || job.state === "paused" ? "" : ` · ${t("left", { time: duration(secs_left) })}`;
  return (
    <a class="working" href={job.task.kind === "doctor" ? "#/check" : "#/train"}>
      <Meter value={total > 0 ? done / total : null} text={jobTitle(job)} />
      <span>
        {job.state === "paused" ? t("state.paused") : jobTitle(job)}
        {left}
      </span>
    </a>
  );
}

function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="region" aria-label={t("messages")}>
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.kind}`} role={toast.kind === "error" ? "alert" : "status"}>
          <span>{toast.text}</span>
          {toast.undo && (
            <Button kind="quiet" onClick={() => (dismiss(toast.id), void undo())}>
              {t("undo")}
            </Button>
          )}
          <Button icon="close" kind="quiet" title={t("close")} onClick={() => dismiss(toast.id)} />
        </div>
      ))}
    </div>
  );
}

function Keys({ open, onClose }: { open: boolean; onClose: () => void }): JSX.Element {
  return (
    <Dialog title={t("keys.list")} open={open} onClose={onClose}>
      <div class="keys">
        {scopes.value.map((scope) => (
          <section key={scope.name}>
            <h3>{t(scope.name)}</h3>
            <dl>
              {scope.shortcuts.map((shortcut) => (
                <div key={shortcut.key + shortcut.text}>
                  <dt>
                    {shortcut.ctrl && <kbd>Ctrl</kbd>} {shortcut.shift && <kbd>⇧</kbd>} <kbd>{shortcut.key === " " ? t("keys.space") : shortcut.key.length === 1 ? shortcut.key.toUpperCase() : shortcut.key}</kbd>
                  </dt>
                  <dd>{t(shortcut.text)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}

function Settings({ open, onClose, onKeys }: { open: boolean; onClose: () => void; onKeys: () => void }): JSX.Element {
  const themes = (["auto", "light", "dark"] as const).map((value) => ({ value, text: t(`theme.${value}`) }));
  const languages = (Object.keys(LANGUAGES) as Language[]).map((value) => ({ value, text: LANGUAGES[value] }));
  return (
    <Dialog title={t("settings")} open={open} onClose={onClose}>
      <div class="form">
        <div class="row">
          <span>{t("language")}</span>
          <Choice name={t("language")} value={language.value} options={languages} onChange={(value) => (language.value = value)} />
        </div>
        <div class="row">
          <span>{t("theme")}</span>
          <Choice name={t("theme")} value={theme.value} options={themes} onChange={(value) => (theme.value = value)} />
        </div>
        <label class="check">
          <input type="checkbox" checked={singleKeys.value} onChange={(event) => (singleKeys.value = event.currentTarget.checked)} />
          <span>{t("keys.single")}</span>
        </label>
        <p>
          <Button onClick={onKeys} hotkey="?">
            {t("keys.list")}
          </Button>
        </p>
        <p class="muted small">
          bgad {project.value?.version} · <span class="path">{project.value?.path}</span>
        </p>
      </div>
    </Dialog>
  );
}

/** Files dropped anywhere become unlabelled images. */
function acceptDrops(): void {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length > 0) void attempt(async () => upload(files));
  });
}

export async function upload(files: readonly File[]): Promise<void> {
  for (const file of files) await attempt(() => api.upload(file));
}

connect();
listen();
acceptDrops();
render(<App />, document.getElementById("app")!);
