/** What an import would make of a file, before anything is started: rows, format, labels, bad lines. */
import { useQuery } from "@tanstack/react-query";
import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { api, type Wire } from "../../api";
import { useMay } from "../../app";
import { numberText, useErrorText } from "../../ui";

const SHOWN_PROBLEMS = 5;

/** A dry run: nothing is stored. A file never changes, so neither does its answer. */
export function useFileCheck(fileId: string | undefined) {
  const may = useMay()("data:write");
  return useQuery({
    queryKey: ["file-check", fileId],
    enabled: may && fileId !== undefined,
    staleTime: Infinity,
    retry: false,
    queryFn: async ({ signal }) => {
      const body = { name: "check", file_id: fileId ?? "", dry_run: true };
      return (await api.post("/api/datasets", { body, signal })) as Wire<"DryRunObject">;
    },
  });
}

export function FileCheck({ fileId, label }: { fileId: string | undefined; label: string }) {
  const { t, i18n } = useTranslation("tune");
  const textOf = useErrorText();
  const check = useFileCheck(fileId);
  if (fileId === undefined || !check.isEnabled) return null;
  if (check.error) {
    return <Alert type="error" showIcon role="alert" className="form-error" title={label} description={textOf(check.error)} />;
  }
  const found = check.data;
  if (!found) return <Alert type="info" role="status" className="form-error" title={t("check.running", { label })} />;
  const number = (value: number) => numberText(value, i18n.language);
  const labels = Object.keys(found.statistics["labels"] ?? {}).length;
  const rows = Number(found.statistics["rows"] ?? 0);
  if (found.ok) {
    const facts = [
      t("check.rows", { count: rows, number: number(rows) }),
      t(`check.formats.${found.format ?? "chat"}`, { defaultValue: found.format ?? "" }),
      ...(labels ? [t("check.labels", { count: labels })] : []),
    ];
    return <Alert type="success" showIcon role="status" className="form-error" title={t("check.ok", { label })} description={facts.join(" · ")} />;
  }
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      className="form-error"
      title={t("check.bad", { label, count: found.bad_row_count })}
      description={
        <>
          <ul>
            {found.bad_rows.slice(0, SHOWN_PROBLEMS).map((problem) => (
              <li key={`${problem.line}:${problem.code}`}>{t("check.line", { line: problem.line, reason: problem.reason })}</li>
            ))}
          </ul>
          {t("check.badNext")}
        </>
      }
    />
  );
}
