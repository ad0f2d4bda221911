import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const BUNDLE = "../src/plinth/console/bundle";
// where `npm run dev` finds a running platform
const PLATFORM = process.env.PLINTH_URL ?? "http://127.0.0.1:8400";

/** Writes `x.js.gz` beside every asset that gains from it; the server sends it to who accepts gzip. */
function precompressed(): Plugin {
  return {
    name: "precompressed",
    apply: "build",
    writeBundle(options) {
      const folder = join(options.dir ?? BUNDLE, "assets");
      for (const name of readdirSync(folder)) {
        if (!/\.(js|css|svg)$/.test(name)) continue;
        const plain = readFileSync(join(folder, name));
        const packed = gzipSync(plain, { level: 9 });
        if (packed.length < plain.length) writeFileSync(join(folder, `${name}.gz`), packed);
      }
    },
  };
}

export default defineConfig({
  base: "/console/",
  plugins: [react(), precompressed()],
  build: {
    outDir: BUNDLE,
    emptyOutDir: true,
    // data: URLs would need a wider content security policy
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    manifest: true,
  },
  server: {
    host: "127.0.0.1",
    proxy: Object.fromEntries(["/api", "/v1", "/health", "/livez", "/openapi.json"].map((path) => [path, PLATFORM])),
  },
});
