/** Colours, fonts and sizes. Contrast was measured with axe-core in both themes: change colours only with it. */
import { theme as antdTheme, type ThemeConfig } from "antd";

export type ThemeChoice = "light" | "dark" | "system";

const FONTS = 'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';
const MONOSPACE = 'ui-monospace, "SF Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace';

const COMMON = { fontFamily: FONTS, fontFamilyCode: MONOSPACE, borderRadius: 6 };

const LIGHT = {
  colorPrimary: "#0958d9",
  colorPrimaryHover: "#0b4fbf",
  colorPrimaryActive: "#073f99",
  colorLink: "#0958d9",
  colorLinkHover: "#0b4fbf",
  colorLinkActive: "#073f99",
  colorError: "#c4161c",
  colorErrorHover: "#a81016",
  colorErrorActive: "#8c0b10",
  colorSuccess: "#2c730d",
  colorWarning: "#985500",
  colorInfo: "#0958d9",
  // antd derives these from the colours above, and from dark ones it derives grey
  colorSuccessBg: "#f0f9eb",
  colorSuccessBorder: "#b7dba5",
  colorWarningBg: "#fff7e6",
  colorWarningBorder: "#ffd591",
  colorErrorBg: "#fff1f0",
  colorErrorBorder: "#ffccc7",
  colorTextDescription: "#566175",
  colorTextTertiary: "#566175",
  colorTextPlaceholder: "#667085",
  colorTextDisabled: "#667085",
  colorBgLayout: "#f5f7fa",
};

const DARK = {
  colorPrimary: "#3c89e8",
  colorLink: "#6aa9f4",
  colorLinkHover: "#8fc0f8",
  colorError: "#f37370",
  colorTextDescription: "#a3adba",
  colorTextTertiary: "#a3adba",
  colorTextPlaceholder: "#9aa5b3",
  colorTextDisabled: "#8c97a6",
  colorBgLayout: "#0f1216",
};

export function themeConfig(dark: boolean, motion: boolean): ThemeConfig {
  return {
    algorithm: dark ? antdTheme.darkAlgorithm : antdTheme.defaultAlgorithm,
    token: { ...COMMON, motion, ...(dark ? DARK : LIGHT) },
    components: {
      Layout: { siderBg: dark ? "#14181e" : "#101a2b", headerBg: dark ? "#14181e" : "#ffffff", headerHeight: 52, headerPadding: "0 16px" },
      Menu: { darkItemColor: "#d5dbe6", darkItemBg: dark ? "#14181e" : "#101a2b", darkGroupTitleColor: "#a9b4c4", darkItemSelectedBg: "#0958d9" },
      Tabs: dark ? { itemSelectedColor: "#6aa9f4", itemHoverColor: "#8fc0f8", itemActiveColor: "#8fc0f8" } : {},
      // white text on the colours that the dark theme uses for text would be too faint
      Button: dark
        ? {
            colorPrimary: "#1a66d0",
            colorPrimaryHover: "#2270dc",
            colorPrimaryActive: "#1455b0",
            dangerColor: "#2b0b0b",
          }
        : {},
    },
  };
}
