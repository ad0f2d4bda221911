// Writes src/api/schema.ts from our OpenAPI document, or with --check says whether it is current.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const web = new URL("..", import.meta.url).pathname;
const python = process.env.PLINTH_PYTHON ?? join(web, "../.venv/bin/python");
const target = join(web, "src/api/schema.ts");
const check = process.argv.includes("--check");
const folder = mkdtempSync(join(tmpdir(), "plinth-types-"));
try {
  const document = join(folder, "openapi.json");
  const fresh = check ? join(folder, "schema.ts") : target;
  execFileSync(python, [join(web, "../tools/openapi.py"), "--types", document], { stdio: "inherit" });
  const generator = join(web, "node_modules/.bin/openapi-typescript");
  execFileSync(generator, [document, "-o", fresh, "--default-non-nullable", "false", "--alphabetize"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (check && readFileSync(fresh, "utf8") !== readFileSync(target, "utf8")) {
    process.stderr.write("web/src/api/schema.ts is not current: the API has changed. Run: make types\n");
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
