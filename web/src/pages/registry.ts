/**
 * Every page of the console, in the order of the navigation. To add one: a folder here and one line below
 * (web/README.md says how). A page is loaded when it is first opened.
 */
import type { ComponentType } from "react";
import type { Language } from "../api";
import type { Texts } from "../i18n";
import type { IconName } from "../ui";

export type Group = "overview" | "build" | "run" | "govern" | "help";

export const GROUPS: readonly Group[] = ["overview", "build", "run", "govern", "help"];

/** What `src/pages/<name>/index.tsx` exports. */
export interface PageModule {
  default: ComponentType;
  texts: Record<Language, Texts>;
}

export interface Page {
  /** The folder, and the namespace of its texts: `useTranslation("<name>")`. */
  name: string;
  /** Under `/console/`. The page also gets what comes below it (`data/ds_1`), for its own `<Routes>`. */
  path: string;
  title: Record<Language, string>;
  icon: IconName;
  group: Group;
  /** Any one of these shows it in the navigation. Only a courtesy: the API decides what may be read. */
  needs?: readonly string[];
  load: () => Promise<PageModule>;
}

// prettier-ignore
export const pages: readonly Page[] = [
  { name: "home", path: "", title: { zh: "概览", en: "Home" }, icon: "home", group: "overview", load: () => import("./home") },
  { name: "models", path: "models", title: { zh: "模型", en: "Models" }, icon: "models", group: "build", needs: ["models:read"], load: () => import("./models") },
  { name: "data", path: "data", title: { zh: "数据", en: "Data" }, icon: "data", group: "build", needs: ["data:read"], load: () => import("./data") },
  { name: "tune", path: "tune", title: { zh: "微调", en: "Tune" }, icon: "tune", group: "build", needs: ["tuning:read"], load: () => import("./tune") },
  { name: "versions", path: "versions", title: { zh: "版本", en: "Versions" }, icon: "versions", group: "build", needs: ["models:read"], load: () => import("./versions") },
  { name: "evaluate", path: "evaluate", title: { zh: "评测", en: "Evaluate" }, icon: "evaluate", group: "build", needs: ["evals:read"], load: () => import("./evaluate") },
  { name: "deploy", path: "deploy", title: { zh: "部署", en: "Deploy" }, icon: "deploy", group: "run", needs: ["serving:read"], load: () => import("./deploy") },
  { name: "playground", path: "playground", title: { zh: "模型体验", en: "Playground" }, icon: "playground", group: "run", needs: ["models:use"], load: () => import("./playground") },
  { name: "usage", path: "usage", title: { zh: "用量与成本", en: "Usage & cost" }, icon: "usage", group: "govern", needs: ["usage:read", "organization:read"], load: () => import("./usage") },
  { name: "people", path: "people", title: { zh: "密钥与人员", en: "Keys & people" }, icon: "people", group: "govern", needs: ["project:write", "organization:read"], load: () => import("./people") },
  { name: "audit", path: "audit", title: { zh: "审计", en: "Audit" }, icon: "audit", group: "govern", needs: ["organization:read"], load: () => import("./audit") },
  { name: "system", path: "system", title: { zh: "系统", en: "System" }, icon: "system", group: "govern", load: () => import("./system") },
  // help: docs
];
