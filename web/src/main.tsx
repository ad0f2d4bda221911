import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { startTexts } from "./i18n";
import "./ui/styles.css";

const root = document.getElementById("root");
if (!root) throw new Error("the page has no #root");
void startTexts().then(() => createRoot(root).render(<App />));
