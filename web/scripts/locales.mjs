// Every text exists in Chinese and English, with the same placeholders. Exit code 1 names what is missing.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const source = new URL("../src", import.meta.url).pathname;
const folders = [join(source, "i18n"), ...readdirSync(join(source, "pages")).map((name) => join(source, "pages", name))];

const flat = (table, prefix = "") =>
  Object.entries(table).flatMap(([key, value]) =>
    typeof value === "string" ? [[prefix + key, value]] : flat(value, `${prefix}${key}.`),
  );
const placeholders = (text) => [...new Set(text.match(/{{[^}]+}}|<\/?\w+>/g) ?? [])].sort().join(" ");
// English has a singular, Chinese has not: `x_one` and `x_other` both match Chinese `x_other`
const common = (key) => key.replace(/_(one|other)$/, "");

const problems = [];
for (const folder of folders) {
  const [zhFile, enFile] = ["zh.json", "en.json"].map((name) => join(folder, name));
  if (!existsSync(zhFile) && !existsSync(enFile)) continue;
  if (!existsSync(zhFile) || !existsSync(enFile)) {
    problems.push(`${folder}: one of zh.json and en.json is missing`);
    continue;
  }
  const [zh, en] = [zhFile, enFile].map((file) => flat(JSON.parse(readFileSync(file, "utf8"))));
  const zhTexts = new Map(zh.map(([key, text]) => [common(key), text]));
  const enKeys = new Set(en.map(([key]) => common(key)));
  for (const [key, text] of en) {
    const other = zhTexts.get(common(key));
    if (other === undefined) problems.push(`${zhFile}: ${key} is missing`);
    else if (!key.endsWith("_one") && placeholders(other) !== placeholders(text))
      problems.push(`${zhFile}: ${key} has other placeholders than en.json`);
  }
  for (const [key, text] of zh) {
    if (!enKeys.has(common(key))) problems.push(`${enFile}: ${key} is missing`);
    if (!text.trim()) problems.push(`${zhFile}: ${key} is empty`);
  }
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exit(problems.length ? 1 : 0);
