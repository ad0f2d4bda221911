/** What the pages deploy, playground and usage share. No page of its own. */
import i18next from "i18next";
import { addTexts } from "../../i18n";
import en from "./en.json";
import zh from "./zh.json";

const add = () => addTexts("run", { en, zh });
if (i18next.isInitialized) add();
else i18next.on("initialized", add);

export { readDraft, useDraft, useOwner, writeDraft } from "./draft";
export { ModelSelect, useModels, useRoutes, type Model, type Route } from "./models";
export { usePrincipals } from "./people";
