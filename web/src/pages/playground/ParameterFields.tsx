/** How the model shall answer. What is empty is left to the model. */
import { InputNumber } from "antd";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import type { Parameters } from "./settings";

const FIELDS: { name: keyof Parameters; min: number; max: number; step: number }[] = [
  { name: "temperature", min: 0, max: 2, step: 0.1 },
  { name: "top_p", min: 0, max: 1, step: 0.05 },
  { name: "max_tokens", min: 1, max: 1_000_000, step: 64 },
  { name: "seed", min: 0, max: 2_147_483_647, step: 1 },
];

interface ParameterFieldsProps {
  value: Parameters;
  onChange: (change: Partial<Parameters>) => void;
}

export function ParameterFields({ value, onChange }: ParameterFieldsProps) {
  const { t } = useTranslation("playground");
  const id = useId();
  return (
    <div className="play-parameters">
      {FIELDS.map(({ name, min, max, step }) => (
        <div key={name}>
          <label htmlFor={`${id}-${name}`}>{t(`parameters.${name}`)}</label>
          <InputNumber<number>
            id={`${id}-${name}`}
            min={min}
            max={max}
            step={step}
            value={value[name]}
            placeholder={t("parameters.default")}
            onChange={(next) => onChange({ [name]: next })}
          />
          <div className="quiet">{t(`parameters.${name}Hint`)}</div>
        </div>
      ))}
    </div>
  );
}
