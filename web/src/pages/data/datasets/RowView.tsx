/** One canonical row as a conversation, with its label and what else it carries. */
import { Tag } from "antd";
import { useTranslation } from "react-i18next";

interface Message {
  role: string;
  text: string;
}

export function RowView({ row }: { row: Record<string, unknown> }) {
  const { t } = useTranslation("data");
  const { messages, label, metadata, ...rest } = row;
  const others = { ...(isRecord(metadata) ? metadata : {}), ...rest };
  return (
    <div className="data-row">
      <dl>
        {messagesOf(messages).map((message, index) => (
          <div key={index}>
            <dt>{t(`roles.${message.role}`, { defaultValue: message.role })}</dt>
            <dd>{message.text}</dd>
          </div>
        ))}
      </dl>
      {typeof label === "string" && <Tag><strong>{label}</strong></Tag>}
      {Object.entries(others).map(([name, value]) => (
        <Tag key={name}>
          {name}: {textOf(value)}
        </Tag>
      ))}
    </div>
  );
}

export function messagesOf(messages: unknown): Message[] {
  if (!Array.isArray(messages)) return [];
  return messages.filter(isRecord).map((message) => ({
    role: typeof message.role === "string" ? message.role : "?",
    text: [textOf(message.content), textOf(message.tool_calls)].filter(Boolean).join("\n"),
  }));
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
