/** A value with its 95 % interval, drawn: a dot with whiskers on a scale that it shares with those beside it. */
import { theme } from "antd";
import { useTranslation } from "react-i18next";
import { scaleOf, type Domain } from "./scale";

/** As the API writes an estimate. */
export interface Estimate {
  value: number | null;
  interval: { low: number; high: number } | null;
  n: number;
}

interface IntervalBarProps {
  /** What is measured; read out before the numbers. */
  label: string;
  value: number | null;
  interval: { low: number; high: number } | null;
  domain: Domain;
  format: (value: number) => string;
  /** A value to hold it against, such as 0 for a difference. */
  line?: number;
  width?: number;
}

const HEIGHT = 22;
const EDGE = 6;

export function IntervalBar({ label, value, interval, domain, format, line, width = 240 }: IntervalBarProps) {
  const { t } = useTranslation("lab");
  const { token } = theme.useToken();
  const place = scaleOf(domain, EDGE, width - EDGE);
  const inside = (at: number) => Math.max(EDGE, Math.min(width - EDGE, place(at)));
  const words =
    value === null
      ? t("noValue")
      : interval
        ? t("valueWithin", { value: format(value), low: format(interval.low), high: format(interval.high) })
        : format(value);
  return (
    <svg viewBox={`0 0 ${width} ${HEIGHT}`} width={width} height={HEIGHT} role="img" aria-label={`${label}: ${words}`}>
      <line x1={EDGE} x2={width - EDGE} y1={HEIGHT / 2} y2={HEIGHT / 2} stroke={token.colorBorderSecondary} />
      {line !== undefined && (
        <line x1={inside(line)} x2={inside(line)} y1="1" y2={HEIGHT - 1} stroke={token.colorTextTertiary} strokeDasharray="3 2" />
      )}
      {interval && (
        <g stroke={token.colorLink} strokeWidth="2.5">
          <line x1={inside(interval.low)} x2={inside(interval.high)} y1={HEIGHT / 2} y2={HEIGHT / 2} />
          <line x1={inside(interval.low)} x2={inside(interval.low)} y1="6" y2={HEIGHT - 6} />
          <line x1={inside(interval.high)} x2={inside(interval.high)} y1="6" y2={HEIGHT - 6} />
        </g>
      )}
      {value !== null && <circle cx={inside(value)} cy={HEIGHT / 2} r="4.5" fill={token.colorLink} />}
    </svg>
  );
}

/** The ends of the scale, to stand above a column of `IntervalBar`s. */
export function BarScale({ domain, format, width = 240 }: Pick<IntervalBarProps, "domain" | "format" | "width">) {
  return (
    <span className="bar-scale number quiet" style={{ width }}>
      <span>{format(domain[0])}</span>
      <span>{format(domain[1])}</span>
    </span>
  );
}
