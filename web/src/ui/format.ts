/** Numbers, money, times and durations as text, in the chosen language. Pure functions. */

const NANOS = 1_000_000_000n;

/** 1e-9 of the currency's unit, exactly, as a decimal text without surplus zeros. */
export function decimalOfNanos(nanos: bigint | number): string {
  const value = BigInt(nanos);
  const digits = (value < 0n ? -value : value).toString().padStart(10, "0");
  const fraction = digits.slice(-9).replace(/0+$/, "");
  const whole = (BigInt(digits) / NANOS).toString();
  return `${value < 0n ? "-" : ""}${whole}${fraction ? `.${fraction}` : ""}`;
}

/** Two digits after the point for everyday sums; small sums keep three that count, so that a request is not "0.00". */
export function moneyText(value: string | number, currency: string, language: string): string {
  const amount = Number(value);
  const small = amount !== 0 && Math.abs(amount) < 0.1;
  const digits = small ? { maximumSignificantDigits: 3 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return new Intl.NumberFormat(language, {
    style: "currency",
    currency: currency.toUpperCase(),
    currencyDisplay: "narrowSymbol",
    ...digits,
  }).format(amount);
}

export function numberText(value: number, language: string, digits = 0): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
}

export function percentText(value: number, language: string, digits = 1): string {
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }).format(value);
}

export function bytesText(bytes: number, language: string): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log(bytes) / Math.log(1024)));
  return `${numberText(bytes / 1024 ** step, language, step > 1 ? 1 : 0)} ${units[step] ?? ""}`;
}

export function dateTimeText(unixSeconds: number, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(unixSeconds * 1000);
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** "3 minutes ago", "in 2 days". */
export function relativeText(unixSeconds: number, nowSeconds: number, language: string): string {
  const distance = unixSeconds - nowSeconds;
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  for (const [unit, seconds] of STEPS) {
    if (Math.abs(distance) >= seconds) return format.format(Math.trunc(distance / seconds), unit);
  }
  return format.format(0, "second");
}

export function durationText(seconds: number, language: string): string {
  const part = (value: number, unit: string) =>
    new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 0 }).format(value);
  if (seconds < 60) return part(Math.max(0, seconds), "second");
  if (seconds < 3600) return part(seconds / 60, "minute");
  return `${part(Math.floor(seconds / 3600), "hour")} ${part((seconds % 3600) / 60, "minute")}`;
}
