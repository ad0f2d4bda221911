/** One side: a model, the conversation with it, and what each answer took. */
import { DeleteOutlined, PauseCircleOutlined } from "@ant-design/icons";
import { Button, Flex, Tag } from "antd";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { EmptyState, ErrorState } from "../../ui";
import { ModelSelect } from "../run";
import { CopyCode } from "./CopyCode";
import { Readout } from "./Readout";
import { requestOf, type Settings } from "./settings";
import { messagesOf, type Turn } from "./turns";
import type { Chat } from "./useChat";

interface PaneProps {
  title: string;
  chat: Chat;
  model: string;
  settings: Settings;
  onModel: (model: string) => void;
}

export function Pane({ title, chat, model, settings, onModel }: PaneProps) {
  const { t } = useTranslation("playground");
  const asked = messagesOf(chat.turns.at(-1)?.role === "assistant" ? chat.turns.slice(0, -1) : chat.turns);
  const question = asked.length > 0 ? asked : [{ role: "user" as const, content: settings.question || t("code.example") }];
  return (
    <section className="play-pane" aria-label={title}>
      <Flex gap={8} align="center">
        <ModelSelect label={title} value={model} onChange={onModel} withRoutes capability="generate" disabled={chat.running} />
        {chat.running && (
          <Button icon={<PauseCircleOutlined />} onClick={chat.stop}>
            {t("stop")}
          </Button>
        )}
        <CopyCode request={requestOf(settings, model || "MODEL", question)} />
        <Button
          icon={<DeleteOutlined />}
          aria-label={t("clear", { pane: title })}
          title={t("clear", { pane: title })}
          disabled={chat.turns.length === 0}
          onClick={chat.clear}
        />
      </Flex>
      <Conversation title={title} chat={chat} />
      {chat.error !== null && <ErrorState error={chat.error} />}
    </section>
  );
}

function Conversation({ title, chat }: { title: string; chat: Chat }) {
  const { t } = useTranslation("playground");
  const list = useRef<HTMLDivElement>(null);
  const length = chat.turns.at(-1)?.content.length ?? 0;
  useEffect(() => {
    // follow the text, unless somebody scrolled up to read
    const box = list.current;
    if (box && box.scrollHeight - box.scrollTop - box.clientHeight < 120) box.scrollTop = box.scrollHeight;
  }, [length, chat.turns.length]);
  return (
    <div className="play-conversation" ref={list} role="log" aria-label={t("conversation", { pane: title })} aria-busy={chat.running} tabIndex={0}>
      {chat.turns.length === 0 && <EmptyState title={t("empty")} next={t("emptyNext")} />}
      {chat.turns.map((turn, index) => (
        <TurnOf key={index} turn={turn} />
      ))}
    </div>
  );
}

function TurnOf({ turn }: { turn: Turn }) {
  const { t } = useTranslation("playground");
  const running = turn.readout?.state === "running";
  return (
    <div className={`play-turn play-turn-${turn.role}`}>
      <Tag>{t(`roles.${turn.role}`)}</Tag>
      <div className="play-turn-text">
        {turn.content}
        {running && <span className="play-caret" aria-hidden="true" />}
        {running && turn.content === "" && <span className="quiet">{t("waiting")}</span>}
      </div>
      {turn.readout && <Readout facts={turn.readout} />}
    </div>
  );
}
