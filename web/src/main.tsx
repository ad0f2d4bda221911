import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { giveStylesTheNonce } from "./app/nonce";
import { startTexts } from "./i18n";
import "./ui/styles.css";

const root = document.getElementById("root");
if (!root) throw new Error("the page has no #root");
giveStylesTheNonce();
void startTexts().then(() => createRoot(root).render(<App />));
