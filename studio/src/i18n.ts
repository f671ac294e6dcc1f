/** Texts by key, one file for each language. A language is added by its file and a line here. */
import { signal } from "@preact/signals";
import de from "./locales/de.json";
import en from "./locales/en.json";

export type Key = keyof typeof en;
export type Language = "en" | "de";
export const LANGUAGES: Record<Language, string> = { en: "English", de: "Deutsch" };
const TEXTS: Record<Language, Record<string, string>> = { en, de };

export const language = signal<Language>(initial());

function initial(): Language {
  const kept = typeof localStorage === "undefined" ? null : localStorage.getItem("bgad-language");
  if (kept === "en" || kept === "de") return kept;
  return typeof navigator !== "undefined" && navigator.language.startsWith("de") ? "de" : "en";
}

/** The text of a key; `{name}` is replaced. With `n` equal to 1 the key `KEY.one` is taken if there is one. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const texts = TEXTS[language.value];
  const one = values.n === 1 ? texts[`${key}.one`] : undefined;
  const text = one ?? texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : (value ?? "");
  });
}

/** A check of the doctor in words; the name that the command line gives it, if there are none. */
export function nameOfCheck(check: string): string {
  const key = `finding.${check}`;
  return key in en ? t(key as Key) : check;
}

/** The language as it is written where the browser is at home: dates differ between countries. */
function locale(): string {
  const own = typeof navigator === "undefined" ? [] : navigator.languages;
  return own.find((name) => name.split("-")[0] === language.value) ?? language.value;
}

/** A number as people of the language write it. */
export function number(value: number, digits?: number): string {
  const options = digits === undefined ? { maximumFractionDigits: 3 } : { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString(locale(), options);
}

export function percent(share: number, digits = 1): string {
  return share.toLocaleString(locale(), { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A score: two decimals where they tell something. */
export function scoreText(score: number): string {
  return number(score, Math.abs(score) < 100 ? 2 : 0);
}

/** Seconds as people say them. */
export function duration(secs: number): string {
  const whole = Math.round(secs);
  if (whole < 60) return `${number(whole)} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

export function clock(millis: number): string {
  return new Date(millis).toLocaleString(locale(), { dateStyle: "short", timeStyle: "medium" });
}
