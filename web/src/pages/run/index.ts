/** What the pages deploy, playground and usage share. No page of its own. */
import { addTexts } from "../../i18n";
import en from "./en.json";
import zh from "./zh.json";

addTexts("run", { en, zh });

export { readDraft, useDraft, writeDraft } from "./draft";
export { ModelSelect, useModels, useRoutes, type Model, type Route } from "./models";
export { usePrincipals } from "./people";
