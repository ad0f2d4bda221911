/** The files of a version with their checksums. */
import { useTranslation } from "react-i18next";
import { CopyButton, EmptyState, Section, bytesText } from "../../ui";
import type { Version } from "./types";

export function Artefacts({ version }: { version: Version }) {
  const { t, i18n } = useTranslation("versions");
  const sums = version.artefacts.flatMap(({ files }) => files.map(({ sha256, path }) => `${sha256}  ${path}`));
  return (
    <Section
      title={t("artefacts.title")}
      extra={sums.length > 0 && <CopyButton label={t("artefacts.copy")} text={`${sums.join("\n")}\n`} />}
    >
      {sums.length === 0 ? (
        <EmptyState title={t("artefacts.none")} />
      ) : (
        <div className="scroll" tabIndex={0} role="region" aria-label={t("artefacts.title")}>
          <table className="matrix">
            <caption>{t("artefacts.caption")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("artefacts.file")}</th>
                <th scope="col">{t("artefacts.kind")}</th>
                <th scope="col">{t("artefacts.size")}</th>
                <th scope="col">SHA-256</th>
              </tr>
            </thead>
            <tbody>
              {version.artefacts.flatMap(({ kind, files }) =>
                files.map((file) => (
                  <tr key={`${kind} ${file.path}`}>
                    <th scope="row">{file.path}</th>
                    <td>{t(`artefacts.kinds.${kind}`, { defaultValue: kind })}</td>
                    <td>{bytesText(file.bytes, i18n.language)}</td>
                    <td>
                      <code>{file.sha256}</code>
                    </td>
                  </tr>
                )),
              )}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}
