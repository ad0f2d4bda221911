/** One or two models, the same question to both, answers side by side. */
import { PauseCircleOutlined, SendOutlined, SplitCellsOutlined } from "@ant-design/icons";
import { Alert, Button, Collapse, Flex, Input } from "antd";
import { useEffect, useId, useMemo, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";
import { useMay } from "../../app";
import { PageHeader, usePageCommands } from "../../ui";
import { useDraft, useOwner } from "../run";
import { Pane } from "./Pane";
import { ParameterFields } from "./ParameterFields";
import { Prompts } from "./Prompts";
import { FRESH, settingsOf, type Settings } from "./settings";
import { useChat } from "./useChat";

export function Playground() {
  const { t } = useTranslation("playground");
  const owner = useOwner();
  const [settings, setSettings] = useDraft<Settings>("playground", FRESH, settingsOf);
  const set = (change: Partial<Settings>) => setSettings((before) => ({ ...before, ...change }));
  useAskedModel((model) => setSettings((before) => ({ ...before, models: [model, ...before.models.slice(1)] })));
  const chats = [useChat("a"), useChat("b")].slice(0, settings.models.length);
  const two = settings.models.length === 2;
  const compare = () => set({ models: two ? settings.models.slice(0, 1) : [...settings.models, ""] });
  const running = chats.some((chat) => chat.running);
  const ready = !running && settings.question.trim() !== "" && settings.models.every(Boolean);
  const mayUse = useMay()("models:use");

  const send = () => {
    if (!ready || !mayUse) return;
    set({ question: "" });
    chats.forEach((chat, index) => void chat.send(settings.question, settings.models[index] ?? "", settings));
  };
  const commands = useMemo(
    () => [{ id: "playground:clear", label: t("clearAll"), run: () => chats.forEach((chat) => chat.clear()) }],
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the clearing functions only change with the project
    [t, settings.models.length],
  );
  usePageCommands(commands);
  return (
    <>
      <PageHeader
        title={t("title")}
        intro={t("intro")}
        help="docs/playground"
        actions={
          <>
            <Link to="/playground/batches" className="play-link">{t("batches.link")}</Link>
            <Button icon={<SplitCellsOutlined />} aria-pressed={two} disabled={running} onClick={compare}>
              {two ? t("single") : t("compare")}
            </Button>
          </>
        }
      />
      {!mayUse && <Alert type="info" showIcon title={t("mayNot")} className="play-playground-note" />}
      <Collapse
        className="section"
        items={[
          {
            key: "settings",
            label: t("settings"),
            children: (
              <div className="play-settings">
                <Prompts owner={owner} value={settings.system} onChange={(system) => set({ system })} />
                <ParameterFields value={settings} onChange={set} />
              </div>
            ),
          },
        ]}
      />
      <div className={two ? "play-panes play-panes-two" : "play-panes"}>
        {chats.map((chat, index) => (
          <Pane
            key={index}
            title={two ? t(index === 0 ? "first" : "second") : t("model")}
            chat={chat}
            model={settings.models[index] ?? ""}
            settings={settings}
            onModel={(model) => set({ models: settings.models.map((known, place) => (place === index ? model : known)) })}
          />
        ))}
      </div>
      <Composer
        value={settings.question}
        onChange={(question) => set({ question })}
        onSend={send}
        ready={ready && mayUse}
        missingModel={!settings.models.every(Boolean)}
        {...(running && { onStop: () => chats.forEach((chat) => chat.stop()) })}
      />
    </>
  );
}

/** `?model=` in a link chooses the first model, once. */
function useAskedModel(choose: (model: string) => void): void {
  const [query, setQuery] = useSearchParams();
  const asked = query.get("model");
  useEffect(() => {
    if (!asked) return;
    choose(asked);
    setQuery({}, { replace: true });
    // eslint-disable-next-line react-hooks/exhaustive-deps -- once for each link
  }, [asked]);
}

interface ComposerProps {
  value: string;
  onChange: (text: string) => void;
  onSend: () => void;
  onStop?: () => void;
  ready: boolean;
  missingModel: boolean;
}

function Composer({ value, onChange, onSend, onStop, ready, missingModel }: ComposerProps) {
  const { t } = useTranslation("playground");
  const id = useId();
  const onKeyDown = (event: KeyboardEvent) => {
    // an input method uses Enter to take a word
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    onSend();
  };
  return (
    <div className="play-composer">
      <label htmlFor={id} className="unseen">
        {t("question")}
      </label>
      <Flex gap={8} align="end">
        <Input.TextArea
          id={id}
          value={value}
          rows={2}
          placeholder={t("questionHint")}
          aria-describedby={`${id}-hint`}
          onChange={(event) => onChange(event.target.value)}
          onKeyDown={onKeyDown}
        />
        {onStop ? (
          <Button danger icon={<PauseCircleOutlined />} onClick={onStop}>
            {t("stop")}
          </Button>
        ) : (
          <Button type="primary" icon={<SendOutlined />} disabled={!ready} onClick={onSend}>
            {t("send")}
          </Button>
        )}
      </Flex>
      <p id={`${id}-hint`} className="quiet">
        {missingModel ? t("chooseFirst") : t("keys")}
      </p>
    </div>
  );
}
