/** A state in a word and a sign. Only the sign is coloured: antd's coloured texts on coloured grounds are too faint. */
import { Tag, theme } from "antd";
import type { ReactNode } from "react";

export type Tone = "good" | "bad" | "warn" | "busy" | "calm";

export function StateTag({ tone, icon, children }: { tone: Tone; icon?: ReactNode; children: ReactNode }) {
  const { token } = theme.useToken();
  const colour = { good: token.colorSuccess, bad: token.colorError, warn: token.colorWarning, busy: token.colorLink, calm: token.colorTextDescription };
  return (
    <Tag>
      {icon && (
        <span style={{ color: colour[tone] }} aria-hidden>
          {icon}{" "}
        </span>
      )}
      {children}
    </Tag>
  );
}
