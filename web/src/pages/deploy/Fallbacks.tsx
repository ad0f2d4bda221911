/** Who answers when no target does, in order. */
import { ArrowDownOutlined, ArrowUpOutlined, DeleteOutlined } from "@ant-design/icons";
import { Button, Flex } from "antd";
import { useTranslation } from "react-i18next";
import { ModelSelect } from "../run";
import { Problem } from "./problems";

const MOST = 16;

export function Fallbacks({ value, onChange }: { value: string[]; onChange: (fallbacks: string[]) => void }) {
  const { t } = useTranslation("deploy");
  const without = (index: number) => value.filter((_, place) => place !== index);
  const swapped = (index: number) => {
    const next = [...value];
    next.splice(index - 1, 0, ...next.splice(index, 1));
    return next;
  };
  return (
    <>
      {value.length > 0 && (
        <ol className="deploy-fallbacks">
          {value.map((model, index) => (
            <li key={model}>
              <Flex gap={8} align="center">
                <code className="deploy-grow">{model}</code>
                <Button
                  icon={<ArrowUpOutlined />}
                  disabled={index === 0}
                  aria-label={t("earlier", { model })}
                  title={t("earlier", { model })}
                  onClick={() => onChange(swapped(index))}
                />
                <Button
                  icon={<ArrowDownOutlined />}
                  disabled={index === value.length - 1}
                  aria-label={t("later", { model })}
                  title={t("later", { model })}
                  onClick={() => onChange(swapped(index + 1))}
                />
                <Button
                  icon={<DeleteOutlined />}
                  aria-label={t("removeTarget", { model })}
                  title={t("removeTarget", { model })}
                  onClick={() => onChange(without(index))}
                />
              </Flex>
              <Problem at={`fallbacks.${index}`} />
            </li>
          ))}
        </ol>
      )}
      <Problem at="fallbacks" exactly />
      {value.length < MOST && (
        <ModelSelect
          label={t("addFallback")}
          value=""
          exclude={value}
          onChange={(model) => onChange([...value, model])}
        />
      )}
    </>
  );
}
