/** What pages are made of. Antd components that need no wrapping may be imported from antd directly. */
export { ConfirmDanger, JobProgress, useNotify } from "./actions";
export { ApiForm } from "./form";
export * from "./format";
export type { IconName } from "./icons";
export { usePageCommands, useShortcut } from "./keyboard";
export { EmptyState, ErrorState, Loaded, PageHeader, Section, useDocumentTitle, useErrorText } from "./page";
export { ServerTable, type Column } from "./table";
export { Code, CopyButton, Interval, Money, Time } from "./values";
