/** What the pages tune, versions and evaluate share: charts, differences, files to choose from. No page of its own. */
import { addTexts } from "../../i18n";
import en from "./en.json";
import "./styles.css";
import zh from "./zh.json";

addTexts("lab", { en, zh });

export { Difference } from "./Difference";
export { FileSelect, useFiles, type StoredFile } from "./FileSelect";
export { useFormDraft } from "./formDraft";
export { BarScale, IntervalBar, type Estimate } from "./IntervalBar";
export { LineChart } from "./LineChart";
export { StateTag, type Tone } from "./StateTag";
export { domainOf, within, type Domain, type Series } from "./scale";
