/** A form whose contents survive a reload until they are sent. */
import { Form, type FormInstance } from "antd";
import { useCallback, useEffect, useRef, useState } from "react";
import { useProject } from "../../app";
import { readDraft, writeDraft } from "../run";

interface FormDraft<Values> {
  /** What was typed before the reload. */
  stored: Partial<Values>;
  /** What stands in the form now; undefined until it is drawn. */
  values: Partial<Values> | undefined;
  /** After sending. */
  forget: () => void;
}

export function useFormDraft<Values extends object>(form: FormInstance<Values>, name: string): FormDraft<Values> {
  const key = `${useProject()?.id ?? ""}.${name}`;
  const [stored] = useState<Partial<Values>>(() => {
    const draft = readDraft(key);
    return typeof draft === "object" && draft !== null ? draft : {};
  });
  const values = Form.useWatch([], form) as Partial<Values> | undefined;
  const sent = useRef(false);
  useEffect(() => {
    if (values !== undefined && !sent.current) writeDraft(key, values);
  }, [key, values]);
  const forget = useCallback(() => {
    sent.current = true;
    writeDraft(key, null);
  }, [key]);
  return { stored, values, forget };
}
