/** Single values as a person reads them. */
import { CheckOutlined, CopyOutlined } from "@ant-design/icons";
import { Button, Tooltip } from "antd";
import { useEffect, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { dateTimeText, decimalOfNanos, moneyText, numberText, percentText, relativeText } from "./format";

/** A moment: how long ago, with the exact time on hover and for machines. */
export function Time({ at, absolute = false }: { at: number | null | undefined; absolute?: boolean }) {
  const { i18n } = useTranslation();
  const now = useNow(30_000);
  if (at === null || at === undefined) return <span>–</span>;
  const exact = dateTimeText(at, i18n.language);
  return (
    <time dateTime={new Date(at * 1000).toISOString()} title={exact}>
      {absolute ? exact : relativeText(at, now / 1000, i18n.language)}
    </time>
  );
}

function useNow(everyMilliseconds: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMilliseconds);
    return () => clearInterval(timer);
  }, [everyMilliseconds]);
  return now;
}

type MoneyProps = { currency: string } & ({ nanos: bigint | number } | { value: number | string });

/** An amount; give `nanos` (1e-9 of the unit) or the API's decimal `value`. The exact amount is on hover. */
export function Money(props: MoneyProps) {
  const { i18n } = useTranslation();
  const exact = "nanos" in props ? decimalOfNanos(props.nanos) : String(props.value);
  return (
    <span title={`${exact} ${props.currency.toUpperCase()}`} className="number">
      {moneyText(exact, props.currency, i18n.language)}
    </span>
  );
}

interface IntervalProps {
  value: number;
  low?: number | null | undefined;
  high?: number | null | undefined;
  n?: number | null | undefined;
  percent?: boolean;
  digits?: number;
}

/** A measured value with its 95 % interval and how many items it rests on. */
export function Interval({ value, low, high, n, percent = false, digits = 1 }: IntervalProps) {
  const { t, i18n } = useTranslation();
  const text = (v: number) => (percent ? percentText(v, i18n.language, digits) : numberText(v, i18n.language, digits));
  const known = low !== null && low !== undefined && high !== null && high !== undefined;
  const words = known ? t("ui.interval", { low: text(low), high: text(high) }) : t("ui.noInterval");
  return (
    <span className="number">
      <strong>{text(value)}</strong> <span className="quiet">{known ? `[${text(low)}, ${text(high)}]` : ""}</span>
      {n !== null && n !== undefined && <span className="quiet"> n = {numberText(n, i18n.language)}</span>}
      <span className="unseen">{words}</span>
    </span>
  );
}

/** Copies a text and says that it did. */
export function CopyButton({ text, label }: { text: string; label?: string }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  const words = copied ? t("ui.copied") : (label ?? t("ui.copy"));
  const copy = async () => {
    await copyText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <Tooltip title={label ? "" : words}>
      <Button size="small" aria-label={words} icon={copied ? <CheckOutlined /> : <CopyOutlined />} onClick={copy}>
        {label ? words : null}
      </Button>
    </Tooltip>
  );
}

/** Browsers give the clipboard to pages on https and localhost only; elsewhere a selection is copied. */
async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way without https
    document.execCommand("copy");
    area.remove();
  }
}

/** An id or a secret in monospace, with a button that copies it. */
export function Code({ children, copy = false }: { children: string; copy?: boolean }): ReactNode {
  return (
    <span className="code">
      <code>{children}</code>
      {copy && <CopyButton text={children} />}
    </span>
  );
}
