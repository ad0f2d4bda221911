/** What the check of a file found, and the button that makes the dataset of it. */
import { useQueryClient } from "@tanstack/react-query";
import { Alert, Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { numberText, Section, useErrorText, useNotify } from "../../../ui";
import { DATASETS, type DryRun, type Version } from "../types";
import { BadRows } from "./BadRows";
import { Counts } from "./Counts";
import { RowView } from "./RowView";

interface Props {
  result: DryRun;
  /** Whether the form still says what was checked. */
  isCurrent: boolean;
  create: () => Promise<Version | DryRun>;
  onCreated: () => void;
}

export function Checked({ result, isCurrent, create, onCreated }: Props) {
  const { t, i18n } = useTranslation("data");
  const navigate = useNavigate();
  const client = useQueryClient();
  const notify = useNotify();
  const textOf = useErrorText();
  const [pending, setPending] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const rows = typeof result.statistics.rows === "number" ? result.statistics.rows : 0;
  const make = async () => {
    setPending(true);
    setFailure(null);
    try {
      const version = await create();
      onCreated();
      await client.invalidateQueries({ queryKey: DATASETS });
      if (version.object === "dataset.version") {
        notify.success(t("new.created", { name: version.dataset, number: version.version }));
        void navigate(`/data/versions/${encodeURIComponent(version.id)}`);
      }
    } catch (error) {
      setFailure(error);
      setPending(false);
    }
  };
  return (
    <Section title={t("new.result")}>
      <BadRows rows={result.bad_rows} total={result.bad_row_count} />
      {result.ok && (
        <Alert
          type="success"
          showIcon
          role="status"
          className="form-error"
          title={t("new.good", { count: rows, number: numberText(rows, i18n.language) })}
          description={t("new.read", { format: t(`formats.${result.format ?? "auto"}`) })}
        />
      )}
      {!result.ok && result.bad_row_count === 0 && <Alert type="warning" showIcon role="alert" title={t("new.empty")} />}
      {rows > 0 && <Counts statistics={result.statistics} />}
      {result.sample.length > 0 && (
        <>
          <h3>{t("new.sample")}</h3>
          {result.sample.map((row, index) => (
            <RowView key={index} row={row} />
          ))}
        </>
      )}
      {failure !== null && <Alert type="error" showIcon role="alert" className="form-error" title={textOf(failure)} />}
      {result.ok && (
        <div className="data-make">
          <Button type="primary" disabled={!isCurrent} loading={pending} onClick={make}>
            {t("new.create")}
          </Button>
          {!isCurrent && <span className="quiet"> {t("new.stale")}</span>}
        </div>
      )}
    </Section>
  );
}
