// Writes the licences of everything that the bundle contains beside it, and refuses those we do not ship.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SHIPPED = new Set(["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD"]);
const web = new URL("..", import.meta.url).pathname;
const bundle = join(web, "../src/plinth/console/bundle");
const { packages } = JSON.parse(readFileSync(join(web, "package-lock.json"), "utf8"));

const parts = ["The console contains these packages, under these licences.\n"];
const refused = [];
for (const [folder, entry] of Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1))) {
  if (folder === "" || entry.dev || entry.optional) continue;
  const name = folder.slice(folder.lastIndexOf("node_modules/") + "node_modules/".length);
  if (!SHIPPED.has(entry.license)) refused.push(`${name} ${entry.version}: ${entry.license}`);
  const file = readdirSync(join(web, folder)).find((found) => /^licen[cs]e/i.test(found));
  const text = file ? readFileSync(join(web, folder, file), "utf8").trim() : `Licensed under ${entry.license}.`;
  parts.push(`${"=".repeat(80)}\n${name} ${entry.version} (${entry.license})\n\n${text}\n`);
}
if (refused.length > 0) {
  process.stderr.write(`Not a licence that we ship:\n${refused.join("\n")}\n`);
  process.exit(1);
}
if (process.argv.includes("--check")) process.exit(0);
if (!existsSync(bundle)) throw new Error("build the console first");
writeFileSync(join(bundle, "THIRD_PARTY_LICENCES.txt"), parts.join("\n"));
