/** A field to choose one of the project's files of a purpose, newest first. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Button, Select } from "antd";
import { useTranslation } from "react-i18next";
import { api, type paths } from "../../api";
import { bytesText, dateTimeText } from "../../ui";

export type StoredFile = paths["/v1/files/{file_id}"]["get"]["responses"][200]["content"]["application/json"];

const PAGE = 100;

export function useFiles(purpose: string) {
  return useInfiniteQuery({
    queryKey: ["files", "by purpose", purpose],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      api.get("/v1/files", { query: { purpose, limit: PAGE, order: "desc", after: pageParam }, signal }),
    getNextPageParam: (page) => (page.has_more && page.last_id ? page.last_id : undefined),
  });
}

interface FileSelectProps {
  purpose: string;
  label: string;
  id?: string;
  value?: string | null;
  onChange?: (id: string | undefined) => void;
  optional?: boolean;
}

export function FileSelect({ purpose, label, id, value, onChange, optional = false }: FileSelectProps) {
  const { t, i18n } = useTranslation("lab");
  const files = useFiles(purpose);
  const known = files.data?.pages.flatMap((page) => page.data) ?? [];
  const options = known.map((file) => ({
    value: file.id,
    label: file.filename,
    search: `${file.filename} ${file.id}`.toLowerCase(),
    about: `${bytesText(file.bytes, i18n.language)} · ${dateTimeText(file.created_at, i18n.language)}`,
  }));
  return (
    <>
      <Select<string | undefined, (typeof options)[number]>
        {...(id !== undefined && { id })}
        aria-label={label}
        value={value ?? undefined}
        onChange={(chosen) => onChange?.(chosen)}
        placeholder={t("chooseFile")}
        notFoundContent={t("noFiles")}
        loading={files.isLoading}
        allowClear={optional}
        showSearch={{ filterOption: (typed, option) => option?.search.includes(typed.toLowerCase()) ?? false }}
        options={options}
        optionRender={({ data }) => (
          <>
            {data.label} <span className="quiet">{data.about}</span>
          </>
        )}
      />
      {files.hasNextPage && (
        <Button type="link" size="small" loading={files.isFetchingNextPage} onClick={() => void files.fetchNextPage()}>
          {t("moreFiles", { count: known.length })}
        </Button>
      )}
    </>
  );
}
