/** "?": every shortcut that works right now. */
import { Modal } from "antd";
import { useCallback, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { useShortcut } from "../ui";
import { useShortcuts } from "../ui/keyboard";
import { openShortcuts, shortcutSheet } from "./overlays";

export function ShortcutSheet() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  const shortcuts = useShortcuts();
  useEffect(() => shortcutSheet.listen(setOpen), []);
  useShortcut("?", t("shortcuts.title"), openShortcuts);
  const goHome = useCallback(() => void navigate("/"), [navigate]);
  useShortcut("h", t("shortcuts.home"), goHome);
  return (
    <Modal open={open} onCancel={() => setOpen(false)} footer={null} title={t("shortcuts.title")}>
      <dl className="shortcuts">
        {shortcuts.map(({ keys, label }) => (
          <div key={keys + label}>
            <dt>
              {keys.split("+").map((key) => (
                <kbd key={key}>{key === "mod" ? "Ctrl" : key.length === 1 ? key.toUpperCase() : key}</kbd>
              ))}
            </dt>
            <dd>{label}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
