/** Small labelled inputs of the plan editor. */
import { Form, InputNumber, Select } from "antd";
import { useId, type ReactNode } from "react";
import { useProblem } from "./problems";

interface FieldProps {
  /** Where it stands in the plan, as the API names it. */
  at: string;
  label: string;
  hint?: string;
  children: (id: string) => ReactNode;
}

export function Field({ at, label, hint, children }: FieldProps) {
  const id = useId();
  const problem = useProblem(at);
  return (
    <Form.Item
      label={label}
      htmlFor={id}
      extra={hint}
      className="deploy-plan-field"
      {...(problem !== null && { validateStatus: "error" as const, help: problem })}
    >
      {children(id)}
    </Form.Item>
  );
}

interface NumberFieldProps extends Omit<FieldProps, "children"> {
  value: number | null;
  onChange: (value: number | null) => void;
  min: number;
  max: number;
  step?: number;
  suffix?: string;
  placeholder?: string;
}

/** Empty means null where `placeholder` says what null means. */
export function NumberField({ value, onChange, min, max, step = 1, suffix, placeholder, ...field }: NumberFieldProps) {
  return (
    <Field {...field}>
      {(id) => (
        <InputNumber<number>
          id={id}
          min={min}
          max={max}
          step={step}
          value={value}
          {...(suffix !== undefined && { suffix })}
          {...(placeholder !== undefined && { placeholder })}
          onChange={(next) => {
            if (next !== null || placeholder !== undefined) onChange(next);
          }}
          className="deploy-number-field"
        />
      )}
    </Field>
  );
}

interface ChoiceFieldProps<Value extends string> extends Omit<FieldProps, "children"> {
  value: Value | null;
  choices: readonly { value: Value; label: string }[];
  onChange: (value: Value | null) => void;
  /** Said when nothing is chosen; then the choice may be taken back. */
  none?: string;
}

export function ChoiceField<Value extends string>(props: ChoiceFieldProps<Value>) {
  const { value, choices, onChange, none, ...field } = props;
  return (
    <Field {...field}>
      {(id) => (
        <Select<Value>
          id={id}
          {...(value === null ? { value: null } : { value })}
          allowClear={none !== undefined}
          placeholder={none}
          options={[...choices]}
          onChange={(next: Value | undefined) => onChange(next ?? null)}
        />
      )}
    </Field>
  );
}
