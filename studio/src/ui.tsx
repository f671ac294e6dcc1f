/** Small parts that all pages are made of. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Item, Label, Verdict } from "./api";
import { scoreText, t, type Key } from "./i18n";

const PATHS = {
  images: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  check: "M9 3v4a4 4 0 0 0 8 0V3M13 11v4a5 5 0 0 0 5 5m2-4a2 2 0 1 1-4 0 2 2 0 0 1 4 0z",
  train: "M4 20V10m5 10V4m5 16v-8m5 8V7",
  judge: "M12 3v18M5 21h14M12 6H5l-3 7a3.5 3.5 0 0 0 6 0L5 6m7 0h7l-3 7a3.5 3.5 0 0 0 6 0l-3-7",
  learn: "M4 6l8-3 8 3-8 3zM7 8v6c0 2 10 2 10 0V8M20 6v7",
  live: "M3 12h4l3-8 4 16 3-8h4",
  brush: "M14 4l6 6-9 9H5v-6zM12 6l6 6",
  eraser: "M8 20l-5-5L14 4l6 6-10 10zM9 9l6 6M8 20h12",
  polygon: "M5 8l7-4 7 5-3 10H7z",
  rectangle: "M4 6h16v12H4z",
  fill: "M5 12l7-7 7 7-7 7zM12 5L9 2M20 15c2 3 2 5 0 5s-2-2 0-5z",
  hand: "M7 11V6a1.5 1.5 0 0 1 3 0v4-6a1.5 1.5 0 0 1 3 0v6-5a1.5 1.5 0 0 1 3 0v6-3a1.5 1.5 0 0 1 3 0v6c0 4-2 7-6 7s-5-1-8-7c-1-2 1-3 2-2z",
  undo: "M8 5L3 10l5 5M3 10h11a6 6 0 0 1 0 12h-3",
  redo: "M16 5l5 5-5 5M21 10H10a6 6 0 0 0 0 12h3",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  close: "M5 5l14 14M19 5L5 19",
  menu: "M4 7h16M4 12h16M4 17h16",
  settings: "M4 7h10m4 0h2M4 17h2m4 0h10M16 9a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM8 19a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  spark: "M12 3l2 6 6 2-6 2-2 6-2-6-6-2 6-2z",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

type ButtonProps = {
  children?: ComponentChildren;
  icon?: IconName;
  onClick: () => void;
  kind?: "plain" | "main" | "quiet";
  disabled?: boolean;
  pressed?: boolean;
  title?: string;
  hotkey?: string;
};

export function Button({ children, icon, onClick, kind = "plain", disabled, pressed, title, hotkey }: ButtonProps): JSX.Element {
  const text = title && hotkey ? `${title} (${hotkey})` : title;
  return (
    <button
      type="button"
      class={`button ${kind}${children ? "" : " only-icon"}`}
      onClick={onClick}
      disabled={disabled ?? false}
      aria-pressed={pressed}
      title={text}
      aria-label={children ? undefined : title}
    >
      {icon && <Icon name={icon} />}
      {children}
      {hotkey && children && <kbd aria-hidden="true">{hotkey}</kbd>}
    </button>
  );
}

/** One of several, as radio buttons that look like one control. */
export function Choice<T extends string>({
  name,
  value,
  options,
  onChange,
}: {
  name: string;
  value: T;
  options: readonly { value: T; text: string }[];
  onChange: (value: T) => void;
}): JSX.Element {
  return (
    <fieldset class="choice">
      <legend class="hidden">{name}</legend>
      {options.map((option) => (
        <label key={option.value}>
          <input type="radio" name={name} checked={option.value === value} onChange={() => onChange(option.value)} />
          <span>{option.text}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function Select<T extends string>({
  name,
  value,
  options,
  onChange,
  hideName = false,
}: {
  name: string;
  value: T;
  options: readonly { value: T; text: string }[];
  onChange: (value: T) => void;
  hideName?: boolean;
}): JSX.Element {
  return (
    <label class="field">
      <span class={hideName ? "hidden" : ""}>{name}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
    </label>
  );
}

const VERDICTS: Record<Verdict, [string, string]> = { OK: ["ok", "✓"], REVIEW: ["review", "?"], NG: ["ng", "✕"] };

/** A verdict by word, sign and colour. */
export function VerdictChip({ verdict, score }: { verdict: Verdict | null; score?: number | null }): JSX.Element {
  const [kind, sign] = verdict ? VERDICTS[verdict] : ["fault", "!"];
  return (
    <span class={`verdict ${kind}`}>
      <span aria-hidden="true">{sign}</span> {verdict ?? t("verdict.fault")}
      {score !== null && score !== undefined && <span class="figure"> {scoreText(score)}</span>}
    </span>
  );
}

const LABELS: Record<Label, [Key, string]> = { good: ["label.good", "●"], bad: ["label.bad", "▲"], unlabelled: ["label.unlabelled", "○"] };

/** A label by word, sign and colour. */
export function LabelChip({ item }: { item: Pick<Item, "label" | "type"> }): JSX.Element {
  const [key, sign] = LABELS[item.label];
  const text = item.label === "bad" && item.type && item.type !== "bad" ? item.type : t(key);
  return (
    <span class={`label ${item.label}`}>
      <span aria-hidden="true">{sign}</span> {text}
    </span>
  );
}

export function Panel({ title, children, actions }: { title: string; children: ComponentChildren; actions?: ComponentChildren }): JSX.Element {
  return (
    <section class="panel" aria-label={title}>
      <header>
        <h2>{title}</h2>
        {actions}
      </header>
      {children}
    </section>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Dialog({ title, open, onClose, children }: { title: string; open: boolean; onClose: () => void; children: ComponentChildren }): JSX.Element {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (open && dialog && !dialog.open) dialog.showModal();
    if (!open && dialog?.open) dialog.close();
  }, [open]);
  return (
    <dialog ref={ref} onClose={onClose} aria-label={title}>
      {open && (
        <>
          <header>
            <h2>{title}</h2>
            <Button icon="close" kind="quiet" title={t("close")} onClick={onClose} />
          </header>
          {children}
        </>
      )}
    </dialog>
  );
}

/** A bar with its text; `value` is unknown while nothing is. */
export function Meter({ value, text }: { value: number | null; text: string }): JSX.Element {
  return <progress aria-label={text} value={value ?? undefined} max={1} />;
}

export function nameOf(id: string): string {
  return id.slice(id.lastIndexOf("/") + 1);
}
