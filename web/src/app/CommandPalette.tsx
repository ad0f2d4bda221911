/** Ctrl-K: go anywhere and do anything that the open page offers, by typing. */
import { Input, Modal, type InputRef } from "antd";
import { useCallback, useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import type { Language } from "../api";
import { useShortcut } from "../ui";
import { useCommands, type Command } from "../ui/keyboard";
import { useVisiblePages } from "./Navigation";
import { openPalette, openShortcuts, palette } from "./overlays";
import { useSessionContext, useSignedIn } from "./session";
import { useTheme } from "./settings";

export function CommandPalette() {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  useEffect(() => palette.listen(setOpen), []);
  useShortcut("mod+k", t("palette.open"), openPalette);
  return (
    <Modal open={open} onCancel={() => setOpen(false)} footer={null} title={t("palette.title")} destroyOnHidden>
      <Search onDone={() => setOpen(false)} />
    </Modal>
  );
}

function useAllCommands(): Command[] {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const pages = useVisiblePages();
  const own = useCommands();
  const { projects } = useSignedIn();
  const { project, chooseProject } = useSessionContext();
  const { choose } = useTheme();
  return useMemo(() => {
    const language = i18n.language as Language;
    const other = language === "zh" ? "en" : "zh";
    return [
      ...own,
      ...pages.map((page) => ({
        id: `page:${page.name}`,
        // the other language's title is found too
        label: `${page.title[language]} · ${page.title[other]}`,
        run: () => void navigate(`/${page.path}`),
      })),
      ...projects
        .filter((item) => item.id !== project?.id)
        .map((item) => ({
          id: `project:${item.id}`,
          label: t("palette.project", { name: item.name }),
          run: () => chooseProject(item.id),
        })),
      { id: "theme:light", label: t("palette.light"), run: () => choose("light") },
      { id: "theme:dark", label: t("palette.dark"), run: () => choose("dark") },
      { id: "keys", label: t("shortcuts.title"), run: openShortcuts },
    ];
  }, [own, pages, projects, project, i18n.language, navigate, chooseProject, choose, t]);
}

function Search({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const all = useAllCommands();
  const [words, setWords] = useState("");
  const [chosen, setChosen] = useState(0);
  const input = useRef<InputRef>(null);
  const list = useId();
  // the dialog moves the focus to itself when it has opened
  useEffect(() => {
    const timer = setTimeout(() => input.current?.focus(), 0);
    return () => clearTimeout(timer);
  }, []);
  const found = useMemo(() => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    return all.filter(({ label }) => wanted.every((word) => label.toLowerCase().includes(word)));
  }, [all, words]);
  const run = useCallback(
    (command: Command | undefined) => {
      if (!command) return;
      onDone();
      command.run();
    },
    [onDone],
  );
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) {
      event.preventDefault();
      if (found.length > 0) setChosen((chosen + step + found.length) % found.length);
    } else if (event.key === "Enter" && !event.nativeEvent.isComposing) {
      event.preventDefault();
      run(found[chosen]);
    }
  };
  const active = found[chosen];
  return (
    <>
      <Input
        ref={input}
        role="combobox"
        aria-expanded
        aria-controls={list}
        aria-label={t("palette.title")}
        aria-activedescendant={active ? `${list}-${chosen}` : undefined}
        placeholder={t("palette.placeholder")}
        value={words}
        onChange={(event) => {
          setWords(event.target.value);
          setChosen(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul id={list} role="listbox" aria-label={t("palette.title")} className="palette">
        {found.map((command, index) => (
          <li
            key={command.id}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === chosen}
            onMouseMove={() => setChosen(index)}
            onClick={() => run(command)}
            ref={index === chosen ? (node) => node?.scrollIntoView({ block: "nearest" }) : null}
          >
            {command.label}
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className="quiet">{t("palette.nothing")}</p>}
    </>
  );
}
