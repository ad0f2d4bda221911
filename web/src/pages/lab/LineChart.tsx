/** Curves over steps, as SVG: with a legend that does not need colours, a cursor for the keyboard, and their table. */
import { theme } from "antd";
import { useId, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { domainOf, positionsOf, scaleOf, thinned, ticksOf, valueAt, within, type Series } from "./scale";

interface LineChartProps {
  /** What the chart shows; read out, and the table's caption. */
  label: string;
  xLabel: string;
  series: readonly Series[];
  format: (value: number) => string;
  /** The least and the most that is possible. */
  bounds?: readonly [number, number];
}

const WIDTH = 640;
const HEIGHT = 240;
const LEFT = 56;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 28;
const DASHES = ["", "7 4", "2 3"];
const MARKED = 60;
const TABLE_ROWS = 120;

export function useSeriesColours(): string[] {
  const { token } = theme.useToken();
  return [token.colorLink, token["orange-7"], token["purple-6"]];
}

export function LineChart({ label, xLabel, series, format, bounds = [-Infinity, Infinity] }: LineChartProps) {
  const { t } = useTranslation("lab");
  const cursorId = useId();
  const colours = useSeriesColours();
  const positions = useMemo(() => positionsOf(series), [series]);
  const [chosen, setChosen] = useState<number | null>(null);
  const at = Math.min(chosen ?? positions.length - 1, positions.length - 1);
  const x = positions[at] ?? 0;
  const readout = series.flatMap((line) => {
    const point = valueAt(line, x);
    if (!point) return [];
    const behind = point.x === x ? "" : ` (${xLabel} ${point.x})`;
    return [`${line.name} ${format(point.y)}${behind}`];
  });
  return (
    <figure className="chart">
      <ul className="chart-legend" aria-hidden>
        {series.map((line, index) => (
          <li key={line.key}>
            <svg width="34" height="10">
              <line x1="0" x2="34" y1="5" y2="5" stroke={colours[index]} strokeWidth="2.5" strokeDasharray={DASHES[index]} />
              <Mark index={index} x={17} y={5} colour={colours[index]} />
            </svg>
            {line.name}
          </li>
        ))}
      </ul>
      <Drawing {...{ label, xLabel, series, format, bounds, positions, x, colours }} />
      {positions.length > 1 && (
        <div className="chart-cursor">
          <label htmlFor={cursorId}>{xLabel}</label>
          <input
            id={cursorId}
            type="range"
            min={0}
            max={positions.length - 1}
            value={at}
            aria-valuetext={`${xLabel} ${x}: ${readout.join(", ")}`}
            onChange={(event) => setChosen(Number(event.target.value))}
          />
        </div>
      )}
      <figcaption className="number">
        {xLabel} {x}: {readout.join(" · ")}
      </figcaption>
      <details>
        <summary>{t("asTable")}</summary>
        <ChartTable {...{ label, xLabel, series, format, positions }} />
      </details>
    </figure>
  );
}

type DrawingProps = Required<LineChartProps> & { positions: readonly number[]; x: number; colours: readonly string[] };

function Drawing({ label, xLabel, series, format, bounds, positions, x, colours }: DrawingProps) {
  const { token } = theme.useToken();
  const { t } = useTranslation("lab");
  const first = positions[0] ?? 0;
  const xDomain: [number, number] = [Math.min(first, 1), Math.max(positions.at(-1) ?? 1, first + 1)];
  const yDomain = within(domainOf(series.flatMap(({ points }) => points.map(({ y }) => y))), bounds[0], bounds[1]);
  const placeX = scaleOf(xDomain, LEFT, WIDTH - RIGHT);
  const placeY = scaleOf(yDomain, HEIGHT - BOTTOM, TOP);
  const ends = series.flatMap((line) => {
    const last = line.points.at(-1);
    return last ? [`${line.name} ${format(last.y)}`] : [];
  });
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      className="chart-drawing"
      role="img"
      aria-label={t("chartNow", { label, values: ends.join(", ") })}
    >
      {ticksOf(yDomain).map((tick) => (
        <g key={tick}>
          <line x1={LEFT} x2={WIDTH - RIGHT} y1={placeY(tick)} y2={placeY(tick)} stroke={token.colorBorderSecondary} />
          <text x={LEFT - 8} y={placeY(tick) + 4} textAnchor="end" fontSize="12" fill={token.colorTextDescription}>
            {format(tick)}
          </text>
        </g>
      ))}
      {ticksOf(xDomain, 6)
        .filter(Number.isInteger)
        .map((tick) => (
          <text key={tick} x={placeX(tick)} y={HEIGHT - 10} textAnchor="middle" fontSize="12" fill={token.colorTextDescription}>
            {tick}
          </text>
        ))}
      <text x={WIDTH - RIGHT} y={HEIGHT - 10} textAnchor="end" fontSize="12" fill={token.colorTextDescription}>
        {xLabel}
      </text>
      <line x1={placeX(x)} x2={placeX(x)} y1={TOP} y2={HEIGHT - BOTTOM} stroke={token.colorTextTertiary} strokeDasharray="3 3" />
      {series.map((line, index) => (
        <g key={line.key}>
          <polyline
            points={line.points.map((point) => `${placeX(point.x).toFixed(1)},${placeY(point.y).toFixed(1)}`).join(" ")}
            fill="none"
            stroke={colours[index]}
            strokeWidth="2"
            strokeDasharray={DASHES[index]}
          />
          {line.points.length <= MARKED &&
            line.points.map((point) => (
              <Mark key={point.x} index={index} x={placeX(point.x)} y={placeY(point.y)} colour={colours[index]} />
            ))}
        </g>
      ))}
    </svg>
  );
}

/** Circle, square or triangle: tells the curves apart without colour. */
function Mark({ index, x, y, colour }: { index: number; x: number; y: number; colour: string | undefined }) {
  if (index === 0) return <circle cx={x} cy={y} r="3" fill={colour} />;
  if (index === 1) return <rect x={x - 3} y={y - 3} width="6" height="6" fill={colour} />;
  return <polygon points={`${x},${y - 4} ${x + 4},${y + 3} ${x - 4},${y + 3}`} fill={colour} />;
}

type TableProps = Pick<LineChartProps, "label" | "xLabel" | "series" | "format"> & { positions: readonly number[] };

function ChartTable({ label, xLabel, series, format, positions }: TableProps) {
  const { t } = useTranslation("lab");
  const values = series.map(({ points }) => new Map(points.map((point) => [point.x, point.y])));
  const rare = new Set(series.slice(1).flatMap(({ points }) => points.map((point) => point.x)));
  const shown = thinned(positions, rare, TABLE_ROWS);
  return (
    <div className="scroll chart-table" tabIndex={0} role="region" aria-label={label}>
      <table className="matrix">
        <caption>
          {label}
          {shown.length < positions.length && <> {t("someRows", { shown: shown.length, total: positions.length })}</>}
        </caption>
        <thead>
          <tr>
            <th scope="col">{xLabel}</th>
            {series.map((line) => (
              <th scope="col" key={line.key}>
                {line.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((position) => (
            <tr key={position}>
              <th scope="row">{position}</th>
              {values.map((column, index) => {
                const value = column.get(position);
                return <td key={series[index]?.key}>{value === undefined ? "–" : format(value)}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
