/** Names and percents of splits, with what they add up to. An antd form control: `value` and `onChange`. */
import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { Button, Flex, Input, InputNumber } from "antd";
import { useTranslation } from "react-i18next";
import { numberText } from "../../../ui";
import { problemOf, totalPercent, type SplitShare } from "./shares";

interface Props {
  id?: string;
  value?: SplitShare[];
  onChange?: (shares: SplitShare[]) => void;
}

const MOST_SPLITS = 10;

export function SplitFields({ id, value = [], onChange }: Props) {
  const { t, i18n } = useTranslation("data");
  const change = (index: number, part: Partial<SplitShare>) =>
    onChange?.(value.map((share, place) => (place === index ? { ...share, ...part } : share)));
  const problem = problemOf(value);
  return (
    <Flex vertical gap={8} id={id} role="group" aria-label={t("splits.title")}>
      {value.map((share, index) => (
        <Flex key={index} gap={8} align="center">
          <Input
            className="data-split-name"
            aria-label={t("splits.name", { number: index + 1 })}
            value={share.name}
            maxLength={32}
            onChange={(event) => change(index, { name: event.target.value })}
          />
          <InputNumber
            aria-label={t("splits.percent", { name: share.name })}
            value={share.percent}
            min={0}
            max={100}
            precision={2}
            suffix="%"
            onChange={(percent) => change(index, { percent })}
          />
          <Button
            icon={<DeleteOutlined />}
            aria-label={t("splits.remove", { name: share.name })}
            disabled={value.length < 2}
            onClick={() => onChange?.(value.filter((_, place) => place !== index))}
          />
        </Flex>
      ))}
      <Flex gap={12} align="center" wrap>
        <Button
          icon={<PlusOutlined />}
          disabled={value.length >= MOST_SPLITS}
          onClick={() => onChange?.([...value, { name: "", percent: null }])}
        >
          {t("splits.add")}
        </Button>
        <span role="status" className={problem ? "data-problem" : "quiet"}>
          {t("splits.total", { total: numberText(totalPercent(value), i18n.language, 2) })}
        </span>
      </Flex>
    </Flex>
  );
}
