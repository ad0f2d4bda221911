/** Keyboard shortcuts and commands that pages add to the help sheet and the command palette while they are open. */
import { useEffect, useSyncExternalStore } from "react";

export interface Shortcut {
  /** `KeyboardEvent.key`, such as "n", "Enter" or "?"; "mod+k" is Ctrl-K or Command-K. */
  keys: string;
  label: string;
}

export interface Command {
  id: string;
  label: string;
  run: () => void;
}

class Register<Item> {
  private items: readonly Item[] = [];
  private readonly listeners = new Set<() => void>();

  readonly all = () => this.items;

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  add(more: readonly Item[]): () => void {
    this.set([...this.items, ...more]);
    return () => this.set(this.items.filter((item) => !more.includes(item)));
  }

  private set(items: readonly Item[]): void {
    this.items = items;
    for (const listener of this.listeners) listener();
  }
}

const shortcuts = new Register<Shortcut>();
const commands = new Register<Command>();

export const useShortcuts = () => useSyncExternalStore(shortcuts.subscribe, shortcuts.all);
export const useCommands = () => useSyncExternalStore(commands.subscribe, commands.all);

/** Runs `action` on a key, except while somebody types; with a modifier also then. */
export function useShortcut(keys: string, label: string, action: () => void): void {
  useEffect(() => shortcuts.add([{ keys, label }]), [keys, label]);
  useEffect(() => {
    const modified = keys.startsWith("mod+");
    const wanted = modified ? keys.slice(4) : keys;
    const onKey = (event: KeyboardEvent) => {
      const held = event.ctrlKey || event.metaKey;
      if (event.key !== wanted || held !== modified || event.altKey || event.isComposing) return;
      if (!modified && (isTyping(event.target) || isDialogOpen())) return;
      event.preventDefault();
      action();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [keys, action]);
}

/** Adds commands to the palette while the page is open. Keep the array's identity stable (`useMemo`). */
export function usePageCommands(more: readonly Command[]): void {
  useEffect(() => commands.add(more), [more]);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function isDialogOpen(): boolean {
  return document.querySelector('[role="dialog"][aria-modal="true"]') !== null;
}
