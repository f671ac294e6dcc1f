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

/** Offers shortcuts as long as a component is there. */
export function useShortcuts(name: Key, shortcuts: readonly Shortcut[]): void {
  useEffect(() => {
    const scope = { name, shortcuts };
    scopes.value = [...scopes.value.filter((other) => other.name !== name), scope];
    return () => {
      scopes.value = scopes.value.filter((other) => other !== scope);
    };
  });
}

/** The shortcut that an event means, of the innermost scope that has one. */
export function match(event: KeyboardEvent, among = scopes.peek(), single = singleKeys.peek()): Shortcut | undefined {
  if (event.altKey || event.isComposing) return undefined;
  const ctrl = event.ctrlKey || event.metaKey;
  if (isTyping(event.target) && !(ctrl && event.key === "s")) return undefined;
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

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  if (!element?.tagName) return false;
  const { tagName } = element;
  if (tagName === "INPUT") return !["checkbox", "radio", "button"].includes((element as HTMLInputElement).type);
  return tagName === "TEXTAREA" || tagName === "SELECT" || element.isContentEditable;
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
