/** Other targets at some hours of the week. The first open window counts, so their order matters. */
import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { Button, Checkbox, Flex, Input, Select } from "antd";
import { useTranslation } from "react-i18next";
import { Field } from "./fields";
import { DAYS, emptyWindow, type Window } from "./plan";
import { Problem } from "./problems";
import { Targets } from "./Targets";

const MOST = 64;
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const ZONES = [...new Set([HERE, "UTC", ...Intl.supportedValuesOf("timeZone")])].map((zone) => ({ value: zone, label: zone }));

export function Schedule({ value, onChange }: { value: Window[]; onChange: (windows: Window[]) => void }) {
  const { t } = useTranslation("deploy");
  return (
    <>
      {value.map((window, index) => (
        <WindowFields
          key={index}
          index={index}
          window={window}
          onChange={(change) => onChange(value.map((known, place) => (place === index ? { ...known, ...change } : known)))}
          onRemove={() => onChange(value.filter((_, place) => place !== index))}
        />
      ))}
      <Problem at="schedule" exactly />
      <Button icon={<PlusOutlined />} disabled={value.length >= MOST} onClick={() => onChange([...value, emptyWindow(HERE)])}>
        {t("schedule.add")}
      </Button>
    </>
  );
}

interface WindowFieldsProps {
  index: number;
  window: Window;
  onChange: (change: Partial<Window>) => void;
  onRemove: () => void;
}

function WindowFields({ index, window, onChange, onRemove }: WindowFieldsProps) {
  const { t } = useTranslation("deploy");
  const at = `schedule.${index}`;
  const title = t("schedule.window", { number: index + 1 });
  return (
    <fieldset className="deploy-window">
      <legend>{title}</legend>
      <Flex justify="space-between" align="start" gap={16}>
        <div className="deploy-plan-fields">
          <Field at={`${at}.days`} label={t("schedule.days")}>
            {() => (
              <Checkbox.Group
                aria-label={t("schedule.days")}
                value={window.days}
                options={DAYS.map((day) => ({ value: day, label: t(`days.${day}`) }))}
                onChange={(days) => onChange({ days: DAYS.filter((day) => (days).includes(day)) })}
              />
            )}
          </Field>
          <Field at={`${at}.start`} label={t("schedule.start")}>
            {(id) => <Input id={id} value={window.start} placeholder="08:00" maxLength={5} onChange={(event) => onChange({ start: event.target.value })} />}
          </Field>
          <Field at={`${at}.end`} label={t("schedule.end")} hint={t("schedule.endHint")}>
            {(id) => <Input id={id} value={window.end} placeholder="18:00" maxLength={5} onChange={(event) => onChange({ end: event.target.value })} />}
          </Field>
          <Field at={`${at}.timezone`} label={t("schedule.timezone")}>
            {(id) => (
              <Select<string> id={id} showSearch value={window.timezone} options={ZONES} onChange={(timezone) => onChange({ timezone })} style={{ minWidth: 200 }} />
            )}
          </Field>
        </div>
        <Button icon={<DeleteOutlined />} aria-label={t("schedule.remove", { window: title })} onClick={onRemove}>
          {t("schedule.removeShort")}
        </Button>
      </Flex>
      <Targets at={`${at}.targets`} value={window.targets} onChange={(targets) => onChange({ targets })} />
    </fieldset>
  );
}
