/** Colours, fonts and sizes. Contrast was measured with axe-core in both themes: change colours only with it. */
import { theme as antdTheme, type ThemeConfig } from "antd";

export type ThemeChoice = "light" | "dark" | "system";

const FONTS = 'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';
const MONOSPACE = 'ui-monospace, "SF Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace';

const COMMON = { fontFamily: FONTS, fontFamilyCode: MONOSPACE, borderRadius: 6 };

export function themeConfig(dark: boolean, motion: boolean): ThemeConfig {
  return {
    algorithm: dark ? antdTheme.darkAlgorithm : antdTheme.defaultAlgorithm,
    token: dark
      ? { ...COMMON, motion, colorPrimary: "#3c89e8", colorLink: "#6aa9f4", colorTextDescription: "#a3adba", colorTextTertiary: "#a3adba", colorTextPlaceholder: "#9aa5b3", colorTextDisabled: "#8c97a6", colorBgLayout: "#0f1216" }
      : { ...COMMON, motion, colorPrimary: "#0958d9", colorLink: "#0958d9", colorTextDescription: "#566175", colorTextTertiary: "#566175", colorTextPlaceholder: "#667085", colorTextDisabled: "#667085", colorBgLayout: "#f5f7fa" },
    components: {
      Layout: { siderBg: dark ? "#14181e" : "#101a2b", headerBg: dark ? "#14181e" : "#ffffff", headerHeight: 52, headerPadding: "0 16px" },
      Menu: { darkItemColor: "#d5dbe6", darkItemBg: dark ? "#14181e" : "#101a2b", darkGroupTitleColor: "#a9b4c4", darkItemSelectedBg: "#0958d9" },
      // white on the dark theme's lighter blue would be too faint
      Button: dark ? { colorPrimary: "#1a66d0", colorPrimaryHover: "#2673dd", colorPrimaryActive: "#1455b0" } : {},
    },
  };
}
