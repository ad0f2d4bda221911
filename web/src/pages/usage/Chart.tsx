/** Bars over time, stacked, each group with a colour and a pattern of its own; and the same numbers as a table. */
import { useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ticksOf, type Series } from "./totals";

export const MOST_SERIES = 7;
const COLOURS = ["#1668dc", "#d46b08", "#13a8a8", "#cb2b83", "#5b8c00", "#7b4fd1", "#7d8590"];
const HEIGHT = 240;
const MARGIN = { top: 12, right: 8, bottom: 24, left: 72 };

interface ChartProps {
  /** What the chart shows, in a sentence. */
  label: string;
  buckets: readonly number[];
  series: readonly Series[];
  nameOf: (group: string) => string;
  bucketText: (start: number) => string;
  /** Exact, for the table and the hints. */
  valueText: (value: number) => string;
  provisional: ReadonlySet<number>;
}

export function Chart(props: ChartProps) {
  const { t } = useTranslation("usage");
  const id = useId();
  const [box, width] = useWidth();
  return (
    <figure className="usage-chart">
      <div ref={box}>
        <svg role="img" aria-label={props.label} width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`}>
          <Patterns id={id} count={props.series.length} />
          <Bars {...props} id={id} width={width} />
        </svg>
      </div>
      <figcaption>
        <Legend id={id} series={props.series} nameOf={props.nameOf} />
        {props.provisional.size > 0 && <p className="quiet">{t("provisional")}</p>}
      </figcaption>
      <details>
        <summary>{t("asTable")}</summary>
        <DataTable {...props} />
      </details>
    </figure>
  );
}

function useWidth() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(720);
  useEffect(() => {
    const node = box.current;
    if (!node) return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.max(280, Math.floor(entry.contentRect.width))));
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  return [box, width] as const;
}

function Bars({ buckets, series, nameOf, bucketText, valueText, provisional, id, width }: ChartProps & { id: string; width: number }) {
  const sums = buckets.map((_, index) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0));
  const ticks = ticksOf(Math.max(0, ...sums));
  const top = ticks.at(-1) ?? 1;
  const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const step = inner.width / Math.max(1, buckets.length);
  const y = (value: number) => MARGIN.top + inner.height * (1 - value / top);
  // as many dates as fit side by side
  const every = Math.max(1, Math.ceil(64 / step));
  return (
    <g aria-hidden="true">
      {ticks.map((tick) => (
        <g key={tick}>
          <line x1={MARGIN.left} x2={width - MARGIN.right} y1={y(tick)} y2={y(tick)} className="usage-grid" />
          <text x={MARGIN.left - 8} y={y(tick) + 4} textAnchor="end">
            {valueText(tick)}
          </text>
        </g>
      ))}
      {buckets.map((start, index) => {
        const x = MARGIN.left + index * step;
        let floor = 0;
        return (
          <g key={start} className={provisional.has(start) ? "usage-provisional" : undefined}>
            {series.map(({ group, values }, place) => {
              const value = values[index] ?? 0;
              if (value <= 0) return null;
              floor += value;
              return (
                <rect
                  key={group}
                  x={x + step * 0.12}
                  width={step * 0.76}
                  y={y(floor)}
                  height={Math.max(1, y(floor - value) - y(floor))}
                  fill={`url(#${id}-${place})`}
                >
                  <title>{`${bucketText(start)} · ${nameOf(group)}: ${valueText(value)}`}</title>
                </rect>
              );
            })}
            {index % every === 0 && (
              <text x={x + step / 2} y={HEIGHT - 8} textAnchor="middle">
                {bucketText(start)}
              </text>
            )}
          </g>
        );
      })}
    </g>
  );
}

/** The lines that a pattern draws over its colour: the colour is never the only sign. */
const STROKES = ["", "M0 8 L8 0", "M0 4 H8", "M4 0 V8", "M0 0 L8 8", "M0 4 H8 M4 0 V8", "M2 2 h1 M6 6 h1"];

function Patterns({ id, count }: { id: string; count: number }) {
  return (
    <defs>
      {Array.from({ length: count }, (_, place) => (
        <pattern key={place} id={`${id}-${place}`} width="8" height="8" patternUnits="userSpaceOnUse">
          <rect width="8" height="8" fill={COLOURS[place % COLOURS.length]} />
          <path d={STROKES[place % STROKES.length]} stroke="#fff" strokeWidth="1.4" strokeOpacity="0.75" />
        </pattern>
      ))}
    </defs>
  );
}

function Legend({ id, series, nameOf }: { id: string; series: readonly Series[]; nameOf: (group: string) => string }) {
  return (
    <ul className="plain usage-legend">
      {series.map(({ group }, place) => (
        <li key={group}>
          <svg width="16" height="16" aria-hidden="true">
            <rect width="16" height="16" rx="3" fill={`url(#${id}-${place})`} />
          </svg>{" "}
          {nameOf(group)}
        </li>
      ))}
    </ul>
  );
}

function DataTable({ label, buckets, series, nameOf, bucketText, valueText, provisional }: ChartProps) {
  const { t } = useTranslation("usage");
  return (
    <div className="usage-data-table" tabIndex={0} role="region" aria-label={label}>
      <table>
        <caption className="unseen">{label}</caption>
        <thead>
          <tr>
            <th scope="col">{t("when")}</th>
            {series.map(({ group }) => (
              <th key={group} scope="col">
                {nameOf(group)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {buckets.map((start, index) => (
            <tr key={start}>
              <th scope="row">
                {bucketText(start)}
                {provisional.has(start) && ` (${t("provisionalShort")})`}
              </th>
              {series.map(({ group, values }) => (
                <td key={group} className="number">
                  {valueText(values[index] ?? 0)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
