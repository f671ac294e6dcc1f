/**
 * Keys as data: what is pressed, what it does, and a text for the list behind `?`. Single characters can be switched off
 * (WCAG 2.1.4); arrows, Enter and keys with Ctrl always work.
 */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Key } from "./i18n";
import { singleKeys } from "./store";

export type Shortcut = { key: string; text: Key; run: (event: KeyboardEvent) => void; ctrl?: boolean; shift?: boolean };

/** The shortcuts of the parts of the page that are there, the innermost last. */
export const scopes = signal<{ name: Key; shortcuts: readonly Shortcut[] }[]>([]);

/** The scope that all pages share; it is asked last. */
const OUTERMOST: Key = "keys.everywhere";

/** Offers shortcuts as long as a component is there. */
export function useShortcuts(name: Key, shortcuts: readonly Shortcut[]): void {
  useEffect(() => {
    const scope = { name, shortcuts };
    const others = scopes.peek();
    const at = others.findIndex((other) => other.name === name);
    // In its place: a page that is drawn anew does not change which scope is the innermost.
    if (at >= 0) scopes.value = others.with(at, scope);
    else scopes.value = name === OUTERMOST ? [scope, ...others] : [...others, scope];
  });
  useEffect(() => () => {
    scopes.value = scopes.peek().filter((other) => other.name !== name);
  }, [name]);
}

/** The shortcut that an event means, of the innermost scope that has one. */
export function match(event: KeyboardEvent, among = scopes.peek(), single = singleKeys.peek()): Shortcut | undefined {
  if (event.altKey || event.isComposing) return undefined;
  const ctrl = event.ctrlKey || event.metaKey;
  if (belongsTo(event.target, event.key)) return undefined;
  if (!ctrl && event.key.length === 1 && event.key !== " " && !single) return undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  for (const scope of [...among].reverse()) {
    const found = scope.shortcuts.find(
      (shortcut) =>
        shortcut.key === key && (shortcut.ctrl ?? false) === ctrl && (shortcut.shift === undefined || shortcut.shift === event.shiftKey),
    );
    if (found) return found;
  }
  return undefined;
}

/** Keys that a control of the page needs for itself. */
function belongsTo(target: EventTarget | null, key: string): boolean {
  const element = target as HTMLElement | null;
  if (!element?.tagName) return false;
  if (element.tagName === "INPUT" && ["checkbox", "radio", "range"].includes((element as HTMLInputElement).type)) {
    return key === " " || ["Arrow", "Page", "Home", "End"].some((start) => key.startsWith(start));
  }
  return ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName) || element.isContentEditable;
}

export function listen(): void {
  addEventListener("keydown", (event) => {
    // Enter and space on a button or a link press that.
    const target = event.target as HTMLElement | null;
    const presses = event.key === "Enter" || event.key === " ";
    if (presses && target?.closest("button, a, summary, dialog")) return;
    if (document.querySelector("dialog[open]")) return;
    const shortcut = match(event);
    if (!shortcut) return;
    event.preventDefault();
    shortcut.run(event);
  });
}
