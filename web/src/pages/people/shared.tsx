/** What the tabs have in common: roles to choose from, lifetimes of keys, and secrets that are shown once. */
import { Alert, Button, Form, Input, Modal, Select, type ModalProps } from "antd";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { CopyButton } from "../../ui";

/** In the order of what they may do. The API calls a developer `member` and a viewer `reader` in answers. */
export const ROLES = ["owner", "admin", "developer", "annotator", "agent", "viewer"] as const;

export const canonicalRole = (role: string) => ({ member: "developer", reader: "viewer" })[role] ?? role;

export function useRoleName(): (role: string) => string {
  const { t } = useTranslation();
  return (role) => t(`roles.${role}`, { defaultValue: role });
}

export function useRoleOptions(roles: readonly string[] = ROLES) {
  const nameOf = useRoleName();
  return roles.map((value) => ({ value, label: nameOf(value) }));
}

export function RoleField({ name = "role", label, roles }: { name?: string; label?: string; roles?: readonly string[] }) {
  const { t } = useTranslation("people");
  const options = useRoleOptions(roles);
  return (
    <Form.Item name={name} label={label ?? t("role")} rules={[{ required: true, message: t("missing.role") }]}>
      <Select options={options} />
    </Form.Item>
  );
}

export function NameField({ name = "name", autoFocus = true }: { name?: string; autoFocus?: boolean }) {
  const { t } = useTranslation("people");
  return (
    <Form.Item name={name} label={t("name")} rules={[{ required: true, whitespace: true, message: t("missing.name") }]}>
      <Input maxLength={200} autoFocus={autoFocus} autoComplete="off" />
    </Form.Item>
  );
}

const DAY = 86_400;
const LIFETIMES = [30, 90, 365, 0] as const;

/** Days of life as the API's seconds; 0 is forever. */
export const lifetime = (days: number) => (days > 0 ? { expires_in_seconds: days * DAY } : {});

export function LifetimeField() {
  const { t } = useTranslation("people");
  const options = LIFETIMES.map((days) => ({ value: days, label: days ? t("days", { count: days }) : t("forever") }));
  return (
    <Form.Item name="days" label={t("expiresAfter")} initialValue={90}>
      <Select options={options} />
    </Form.Item>
  );
}

/** A button that opens a dialog; `children` gets a way to close it. */
export function Dialog({ button, title, children, ...rest }: Omit<ModalProps, "children"> & {
  button: (open: () => void) => ReactNode;
  title: string;
  children: (close: () => void) => ReactNode;
}) {
  const [open, setOpen] = useState(false);
  return (
    <>
      {button(() => setOpen(true))}
      <Modal {...rest} open={open} title={title} footer={null} onCancel={() => setOpen(false)} destroyOnHidden>
        {children(() => setOpen(false))}
      </Modal>
    </>
  );
}

/** A secret that nobody can read again: it stays until the person says that it is kept. */
export function SecretOnce({ secret, hint, onKept }: { secret: string; hint: string; onKept: () => void }) {
  const { t } = useTranslation("people");
  return (
    <>
      <Alert type="warning" showIcon title={t("once.title")} description={hint} className="form-error" />
      <div className="once">
        <code data-testid="secret">{secret}</code>
        <CopyButton text={secret} label={t("once.copy")} />
      </div>
      <Button type="primary" onClick={onKept} className="once-done">
        {t("once.kept")}
      </Button>
    </>
  );
}
