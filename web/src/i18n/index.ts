/** Two languages. The shell's texts are here; each page brings its own under the page's name (see pages/registry.ts). */
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { setCallContext, type Language } from "../api";
import en from "./en.json";
import zh from "./zh.json";

export const LANGUAGES: readonly Language[] = ["zh", "en"];
const STORED = "plinth.language";

export type Texts = Record<string, unknown>;

/** What the person chose on this machine; else null. */
export function storedLanguage(): Language | null {
  const stored = localStorage.getItem(STORED);
  return stored === "zh" || stored === "en" ? stored : null;
}

function firstLanguage(): Language {
  return storedLanguage() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
}

function apply(language: string): void {
  document.documentElement.lang = language;
  setCallContext({ language }); // the API answers in this language too
}

export async function startTexts(): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: firstLanguage(),
    fallbackLng: "en",
    defaultNS: "shell",
    ns: ["shell"],
    resources: { en: { shell: en }, zh: { shell: zh } },
    interpolation: { escapeValue: false }, // React escapes
    returnNull: false,
  });
  apply(i18next.language);
  i18next.on("languageChanged", apply);
}

export async function chooseLanguage(language: Language, remember = true): Promise<void> {
  if (remember) localStorage.setItem(STORED, language);
  await i18next.changeLanguage(language);
}

export function addTexts(namespace: string, texts: Record<Language, Texts>): void {
  for (const language of LANGUAGES) i18next.addResourceBundle(language, namespace, texts[language]);
}
