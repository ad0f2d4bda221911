/** From the form to what the API is asked. */
import type { Wire } from "../../api";

export const RECIPES = ["quick", "good", "best"] as const;

export interface Draft {
  training_file: string;
  validation_file?: string | null;
  model: string;
  recipe: string;
  n_epochs?: number | null;
  batch_size?: number | null;
  learning_rate_multiplier?: number | null;
  suffix?: string;
  seed?: number | null;
}

/** Empty fields are left to the API: it decides them from the rows. */
export function orderOf(draft: Draft): Wire<"CreateJob"> {
  return {
    model: draft.model,
    training_file: draft.training_file,
    recipe: draft.recipe,
    hyperparameters: {
      n_epochs: draft.n_epochs ?? "auto",
      batch_size: draft.batch_size ?? "auto",
      learning_rate_multiplier: draft.learning_rate_multiplier ?? "auto",
    },
    ...(draft.validation_file && { validation_file: draft.validation_file }),
    ...(draft.suffix?.trim() && { suffix: draft.suffix.trim() }),
    ...(typeof draft.seed === "number" && { seed: draft.seed }),
  };
}
