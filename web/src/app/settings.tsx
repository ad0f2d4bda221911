/** Light or dark, as chosen on this machine or as the system says; and Ant Design set up accordingly. */
import { App as AntApp, ConfigProvider } from "antd";
import enUS from "antd/locale/en_US";
import zhCN from "antd/locale/zh_CN";
import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { themeConfig, type ThemeChoice } from "../ui/theme";
import { nonce } from "./nonce";

const STORED = "plinth.theme";
const DARK = window.matchMedia("(prefers-color-scheme: dark)");
const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");

interface ThemeContext {
  choice: ThemeChoice;
  choose: (choice: ThemeChoice) => void;
}

const Context = createContext<ThemeContext>({ choice: "system", choose: () => {} });

export const useTheme = () => useContext(Context);

function storedTheme(): ThemeChoice {
  const stored = localStorage.getItem(STORED);
  return stored === "light" || stored === "dark" ? stored : "system";
}

export function ThemeProvider({ children }: { children: ReactNode }) {
  const { i18n } = useTranslation();
  const [choice, setChoice] = useState(storedTheme);
  const [systemDark, setSystemDark] = useState(DARK.matches);
  useEffect(() => {
    const follow = () => setSystemDark(DARK.matches);
    DARK.addEventListener("change", follow);
    return () => DARK.removeEventListener("change", follow);
  }, []);
  const dark = choice === "dark" || (choice === "system" && systemDark);
  useEffect(() => {
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
  }, [dark]);
  const context = useMemo(() => {
    const choose = (next: ThemeChoice) => {
      localStorage.setItem(STORED, next);
      setChoice(next);
    };
    return { choice, choose };
  }, [choice]);
  const theme = useMemo(() => themeConfig(dark, !STILL.matches), [dark]);
  const csp = useMemo(() => ({ nonce: nonce() }), []);
  return (
    <ConfigProvider
      theme={theme}
      csp={csp}
      locale={i18n.language === "zh" ? zhCN : enUS}
      button={{ autoInsertSpace: false }}
    >
      <Context value={context}>
        <AntApp className="app">{children}</AntApp>
      </Context>
    </ConfigProvider>
  );
}
