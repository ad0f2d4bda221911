/** "Connection lost, trying again", over everything, until the server answers. Then what is shown is fetched anew. */
import { DisconnectOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { connection } from "../api";

export function ConnectionBar() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const lost = useSyncExternalStore(connection.subscribe, connection.isLost);
  const wasLost = useRef(false);
  useEffect(() => {
    if (wasLost.current && !lost) void client.invalidateQueries();
    wasLost.current = lost;
  }, [lost, client]);
  return (
    <div role="status" aria-live="polite">
      {lost && (
        <div className="connection-bar">
          <DisconnectOutlined /> {t("connection.lost")}
        </div>
      )}
    </div>
  );
}
