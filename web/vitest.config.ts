import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["tests/**/*.test.{ts,tsx}", "src/**/*.test.{ts,tsx}"], environment: "jsdom" } });
