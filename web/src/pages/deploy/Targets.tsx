/** Who answers, and how much each: sliders that always add up to 100 %. */
import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { Button, InputNumber, Slider } from "antd";
import { useTranslation } from "react-i18next";
import { ModelSelect } from "../run";
import { Problem, useProblem } from "./problems";
import type { Target } from "./plan";
import { LEAST, added, moved, removed, sharesOf, weightOf, WHOLE } from "./shares";

const MOST = 32;

interface TargetsProps {
  /** Where it stands in the plan, as the API names it: "targets", "schedule.0.targets". */
  at: string;
  value: Target[];
  onChange: (targets: Target[]) => void;
}

export function Targets({ at, value, onChange }: TargetsProps) {
  const { t } = useTranslation("deploy");
  const shares = sharesOf(value.map((target) => target.weight));
  const withShares = (targets: { model: string }[], next: number[]) =>
    onChange(targets.map(({ model }, index) => ({ model, weight: weightOf(next[index] ?? LEAST) })));
  return (
    <div className="deploy-targets">
      <ul className="plain">
        {value.map((target, index) => (
          <TargetRow
            key={index}
            at={`${at}.${index}`}
            target={target}
            share={shares[index] ?? 0}
            alone={value.length === 1}
            most={WHOLE - (value.length - 1) * LEAST}
            taken={value.map(({ model }) => model)}
            onModel={(model) => onChange(value.map((known, place) => (place === index ? { ...known, model } : known)))}
            onShare={(share) => withShares(value, moved(shares, index, share))}
            onRemove={() => withShares(value.filter((_, place) => place !== index), removed(shares, index))}
          />
        ))}
      </ul>
      <Problem at={at} exactly />
      <Button
        icon={<PlusOutlined />}
        disabled={value.length >= MOST}
        onClick={() => withShares([...value, { model: "" }], added(shares))}
      >
        {t("addTarget")}
      </Button>
    </div>
  );
}

interface TargetRowProps {
  at: string;
  target: Target;
  share: number;
  alone: boolean;
  most: number;
  taken: string[];
  onModel: (model: string) => void;
  onShare: (share: number) => void;
  onRemove: () => void;
}

function TargetRow({ at, target, share, alone, most, taken, onModel, onShare, onRemove }: TargetRowProps) {
  const { t } = useTranslation("deploy");
  const name = target.model || t("newTarget");
  const label = t("shareOf", { model: name });
  const problem = useProblem(at);
  return (
    <li className="deploy-target-row">
      <ModelSelect
        label={t("targetModel")}
        value={target.model}
        exclude={taken}
        onChange={onModel}
        invalid={problem !== null}
      />
      <Slider
        className="deploy-target-slider"
        min={LEAST}
        max={WHOLE}
        value={share}
        disabled={alone}
        tooltip={{ formatter: (value) => `${(value ?? 0) / 10} %` }}
        ariaLabelForHandle={label}
        ariaValueTextFormatterForHandle={(value) => `${value / 10} %`}
        onChange={onShare}
      />
      <InputNumber<number>
        aria-label={label}
        min={LEAST / 10}
        max={most / 10}
        step={1}
        value={share / 10}
        disabled={alone}
        suffix="%"
        onChange={(percent) => percent !== null && onShare(percent * 10)}
      />
      <Button
        icon={<DeleteOutlined />}
        aria-label={t("removeTarget", { model: name })}
        title={t("removeTarget", { model: name })}
        disabled={alone}
        onClick={onRemove}
      />
      <Problem at={at} />
    </li>
  );
}
